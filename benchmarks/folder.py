"""A folder by the command line against the engine alone; then killed and resumed.

    python -m benchmarks.folder --photos 200

The photos are the grey samples resized to the sizes asked for, each one a file of its own. The
engine alone runs in full batches, before and after, nothing else at work. The start is what the
command takes for one photo. Prints one JSON object.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from PIL import Image
from watchfiles import watch

from chromaserve.engines.throughput import throughput
from chromaserve.library.background import local_settings
from chromaserve.pipeline.models import Models
from chromaserve.settings import usable_cores

SAMPLES = Path(__file__).parents[1] / "samples" / "grey"
SIZES = {
    "small": [(256, 256)],
    "mixed": [(256, 256), (640, 480), (480, 640), (1024, 768), (1600, 1200), (3000, 2000)],
}
QUALITY = 90
COMMAND = [sys.executable, "-c", "from chromaserve.command_line.main import main; main()"]


def make_photos(folder: Path, count: int, sizes: list[tuple[int, int]]) -> None:
    """Write grey JPEGs, no two alike, into folders of a hundred."""
    samples = cycle(sorted(SAMPLES.iterdir()))
    for number, (sample, size) in enumerate(islice(zip(samples, cycle(sizes)), count)):
        with Image.open(sample) as image:
            # Shifted, so that no two photos are the same.
            shift = number // 10
            box = (shift, shift, image.width - shift, image.height - shift)
            grey = image.convert("L").resize(size, box=box)
        target = folder / f"{number // 100:03}" / f"{number:05}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        grey.save(target, quality=QUALITY)


def engine_alone(seconds: float) -> float:
    """Photos a second of the engine at its busiest."""
    code = f"from benchmarks.folder import print_engine; print_engine({seconds})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def print_engine(seconds: float) -> None:
    """For `engine_alone`, in a process of its own."""
    print(throughput(Models(local_settings()).load_default().engine, seconds))


def run(photos: Path, out: Path) -> float:
    """Seconds that the command takes over a folder, from nothing to its end."""
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run([*COMMAND, "colorize", str(photos), "-o", str(out), "--quiet"], check=True)
    return time.perf_counter() - start


def killed_and_resumed(photos: Path, whole: Path, out: Path) -> dict[str, Any]:
    """SIGKILL in the middle, then again; what is there afterwards, against a run as a whole."""
    expected = contents(whole)
    out.mkdir()
    command = [*COMMAND, "colorize", str(photos), "-o", str(out), "--quiet"]
    with subprocess.Popen(command) as process:
        for _ in watch(out, rust_timeout=100, yield_on_timeout=True, watch_filter=None):
            if len(results(out)) >= len(expected) // 2 or process.poll() is not None:
                break
        process.send_signal(signal.SIGKILL)
    before, left = contents(out), hidden(out)
    again = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    summary = json.loads(again.stdout.splitlines()[-1])["summary"]
    after = contents(out)
    return {
        "killed_after": len(before),
        "of_those_whole": sum(expected[name] == data for name, data in before.items()),
        "half_files_left": left,
        "then": summary,
        "all_there_once_and_equal": after == expected and not hidden(out),
    }


def results(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.png") if not path.name.startswith(".")]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in results(folder)}


def hidden(folder: Path) -> int:
    return sum(1 for path in folder.rglob(".*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--sizes", choices=SIZES, default="small")
    parser.add_argument("--folder", type=Path, help="photos of one's own")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15, help="of the engine alone")
    chosen = parser.parse_args()
    os.environ["CHROMASERVE_CACHE_MB"] = "0"
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        photos = chosen.folder or work / "photos"
        if chosen.folder is None:
            make_photos(photos, chosen.photos, SIZES[chosen.sizes])
        one = work / "one"
        one.mkdir()
        shutil.copy(min(photos.rglob("*.jpg")), one)
        engines, walls, starts = [engine_alone(chosen.seconds)], [], []
        for _ in range(chosen.rounds):
            starts.append(run(one, work / "of-one"))
            walls.append(run(photos, work / "whole"))
            engines.append(engine_alone(chosen.seconds))
        count = len(results(work / "whole"))
        alone, wall, start = map(statistics.mean, (engines, walls, starts))
        included, excluded = count / wall, (count - 1) / (wall - start)
        told = {
            "cores": usable_cores(),
            "photos": count,
            "sizes": str(chosen.folder or chosen.sizes),
            "engine_alone_per_s": [round(each, 2) for each in engines],
            "wall_s": [round(each, 2) for each in walls],
            "wall_of_one_photo_s": [round(each, 2) for each in starts],
            "per_s": round(included, 2),
            "ratio": round(included / alone, 3),
            "per_s_without_start": round(excluded, 2),
            "ratio_without_start": round(excluded / alone, 3),
            "killed_and_resumed": killed_and_resumed(photos, work / "whole", work / "out"),
        }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
