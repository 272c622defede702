"""From the sample photos to a published model by the command line, killed once on the way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chromaserve.store.contract import check_signatures
from chromaserve.store.versions import ModelStore
from tests.training.program import train_here

ROOT = Path(__file__).parents[2]
CONFIG = """
name = "tiny"
seed = 3
[data]
train = ["colour"]
val_fraction = 0.3
[encoder]
weights = "none"
{encoder}
[cache]
copies.colour = 1
limit_gb = {limit}
[decoder]
width_7 = 16
width_14 = 16
width_28 = 16
width_56 = 8
[fit]
epochs = {epochs}
images_per_epoch = 8
batch = 4
warmup_steps = 1
"""


class Trainer:
    """The command line, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configure()

    def configure(self, epochs: int = 2, limit: float = 1.0, encoder: str = "") -> None:
        text = CONFIG.format(epochs=epochs, limit=limit, encoder=encoder)
        (self.folder / "tiny.toml").write_text(text)

    def arguments(self, stage: str, *more: str) -> list[str]:
        return [
            *(stage, "--config", str(self.folder / "tiny.toml")),
            *("--photos", str(ROOT / "samples"), "--run", str(self.folder / "run"), *more),
        ]

    def command(self, stage: str) -> list[str]:
        return [sys.executable, "-m", "training", *self.arguments(stage)]

    def run(self, stage: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(stage), capture_output=True, text=True, cwd=ROOT, timeout=300
        )

    def run_here(self, stage: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return train_here(*self.arguments(stage, *more))


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    trainer = Trainer(tmp_path_factory.mktemp("training"))
    for stage in ("scan", "cache"):
        done = trainer.run(stage)
        assert done.returncode == 0, done.stderr
    return trainer


def test_cache_says_what_it_takes_and_keeps_under_the_limit(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer.configure(limit=0.001)
    assert trainer.run("scan").returncode == 0
    refused = trainer.run("cache")
    assert refused.returncode == 2
    assert "limit 0.001 GB" in refused.stderr
    assert not list((tmp_path / "run").rglob("*.npy"))


def test_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    (tmp_path / "tiny.toml").write_text('name = "x"\n[fit]\nepoch = 3\n')
    refused = trainer.run("scan")
    assert refused.returncode == 2
    assert "fit.epoch" in refused.stderr


def test_killed_fit_resumes_then_publishes_and_evaluates(cached: Trainer) -> None:
    cached.configure(epochs=200)
    process = subprocess.Popen(
        cached.command("fit"), stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL

    history = cached.folder / "run" / "history.csv"
    seen = len(history.read_text().splitlines()) - 1
    cached.configure(epochs=seen + 2)
    resumed = cached.run("fit")
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed after epoch" in resumed.stdout
    assert "mean of best and last weights" in resumed.stdout
    done_already = cached.run_here("fit")
    assert done_already.returncode == 0
    assert "mean of best" not in done_already.stdout
    best = json.loads((cached.folder / "run" / "summary.json").read_text())["best_val_gain_db"]
    gains = [float(x.split(",")[8]) for x in history.read_text().splitlines()[1:]]
    assert best >= max(gains) - 1e-4
    epochs = [int(x.split(",")[0]) for x in history.read_text().splitlines()[1:]]
    assert epochs == list(range(1, seen + 3))
    assert Image.open(cached.folder / "run" / "loss.png").size[0] > 100
    assert list((cached.folder / "run" / "tensorboard").iterdir())

    store = cached.folder / "models"
    published = cached.run_here("publish", "--store", str(store))
    assert published.returncode == 0, published.stderr
    model = ModelStore(store).resolve("latest")
    ModelStore(store).verify(model)
    assert (model.path / "MODEL_CARD.md").read_text().startswith("# Model card")
    assert {"all"} <= model.description.metrics["vividness 1"].keys()
    loaded = tf.saved_model.load(str(model.path))
    check_signatures(loaded.signatures)
    L = np.full((3, 224, 224, 1), 50, np.float32)
    safe = loaded.signatures["serving_default"](L=tf.constant(L))["ab"].numpy()
    zero = loaded.signatures["vivid"](L=tf.constant(L), vividness=tf.zeros([3]))["ab"].numpy()
    np.testing.assert_allclose(zero, safe, atol=1e-3)

    out = cached.folder / "evaluation"
    evaluated = train_here(
        *("evaluate", str(ROOT / "samples" / "colour"), "--store", str(store)),
        *("--out", str(out), "--sheet-photos", "6"),
    )
    assert evaluated.returncode == 0, evaluated.stderr
    summary = json.loads((out / "summary.json").read_text())["all"]
    assert summary["photos"] == len(list((ROOT / "samples" / "colour").iterdir()))
    assert summary["psnr_grey"] > 0
    assert summary["gain"] == pytest.approx(summary["psnr"] - summary["psnr_grey"], abs=1e-3)
    assert Image.open(out / "contact_sheet.png").size[0] > 600


def test_end_to_end_fitting_moves_the_unfrozen_block_only(cached: Trainer) -> None:
    cached.configure(epochs=1, encoder='trainable_from = "block5"')
    (cached.folder / "end").mkdir()
    index = cached.folder / "run" / "index.csv"
    (cached.folder / "end" / "index.csv").write_bytes(index.read_bytes())
    done = cached.run_here("fit", "--end-to-end", "--run", str(cached.folder / "end"))
    assert done.returncode == 0, done.stderr
    assert (cached.folder / "end" / "best.weights.npz").is_file()
