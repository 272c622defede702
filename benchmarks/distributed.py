"""Whether a fit on several devices is the fit of one device: loss curves side by side.

    python -m benchmarks.distributed --epochs 12 --workers

Fits one small configuration on the sample photos on one device, on two logical devices of the CPU,
with --workers also on two processes by TF_CONFIG, and on one device with another seed, which says
how large a difference is one of chance.
"""

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
CONFIG = """
name = "distributed"
seed = {seed}
[data]
train = ["colour"]
val_fraction = 0.3
[encoder]
weights = "{weights}"
[cache]
copies.colour = 1
engine = "tensorflow"
[decoder]
width_7 = 64
width_14 = 64
width_28 = 48
width_56 = 32
l2 = 1e-5
[fit]
epochs = {epochs}
images_per_epoch = 16
batch = 8
warmup_steps = 4
ema_momentum = 0.9
learning_rate = 1e-3
{fit}
"""
COLUMNS = ("loss", "regression", "distribution", "penalty")
Curves = dict[str, NDArray[np.float64]]


def command(stage: str, folder: Path, run: str, cache: str = "cache") -> list[str]:
    return [
        *(sys.executable, "-m", "training", stage, "--config", str(folder / f"{run}.toml")),
        *("--photos", str(ROOT / "samples"), "--run", str(folder / run)),
        *("--cache", str(folder / cache)),
    ]


def start(words: list[str], **extra: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        words, cwd=ROOT, env=os.environ | extra, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> None:
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(output)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("localhost", 0))
        return int(s.getsockname()[1])


def clusters(workers: int) -> list[str]:
    """TF_CONFIG of each of so many processes on this machine."""
    hosts = [f"localhost:{free_port()}" for _ in range(workers)]
    return [
        json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}})
        for i in range(workers)
    ]


def curves(folder: Path) -> Curves:
    with (folder / "history.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    return {name: np.array([float(r[name]) for r in rows]) for name in COLUMNS}


def difference(a: Curves, b: Curves) -> float:
    """The largest relative difference of any loss in any epoch."""
    return max(float(np.max(np.abs(a[n] - b[n]) / np.maximum(np.abs(a[n]), 1e-9))) for n in COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--epochs", type=int, default=12, help="of two steps each")
    parser.add_argument("--weights", default="none", help="encoder: none, or the path of an .npz")
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--workers", action="store_true", help="two processes as well")
    arguments = parser.parse_args()
    settings = {
        "one": (1, 'strategy = "one"'),
        "two devices": (1, "logical_devices = 2"),
        "two workers": (1, 'strategy = "multi_worker"'),
        "another seed": (2, 'strategy = "one"'),
    }
    if not arguments.workers:
        settings.pop("two workers")
    results: dict[str, Curves] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, (seed, fit) in settings.items():
            text = CONFIG.format(
                seed=seed, weights=arguments.weights, epochs=arguments.epochs,
                fit=f'precision = "{arguments.precision}"\n{fit}',
            )  # fmt: skip
            (folder / f"{name}.toml").write_text(text)
        for stage in ("scan", "cache"):
            finish(start(command(stage, folder, "one")))
        for name in settings:
            began = time.perf_counter()
            words = command("fit", folder, name)
            if name == "two workers":
                processes = [start(words, TF_CONFIG=c) for c in clusters(2)]
            else:
                processes = [start(words)]
            for process in processes:
                finish(process)
            results[name] = curves(folder / name)
            print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    print(f"\n{'epoch':>5}  " + "  ".join(f"{name:>12}" for name in results) + "   (loss)")
    for i in range(arguments.epochs):
        losses = "  ".join(f"{c['loss'][i]:12.6f}" for c in results.values())
        print(f"{i + 1:5d}  {losses}")
    print("\nlargest relative difference from one device, of any loss in any epoch")
    for name in list(results)[1:]:
        print(f"  {name:12}  {difference(results['one'], results[name]):.2e}")
    print("the same, in the first epoch")
    for name in list(results)[1:]:
        first = [{n: c[n][:1] for n in COLUMNS} for c in (results["one"], results[name])]
        print(f"  {name:12}  {difference(*first):.2e}")


if __name__ == "__main__":
    main()
