import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from chromaserve.cluster.places import Place
from chromaserve.cluster.run import places_for
from chromaserve.cluster.work import Job
from chromaserve.command_line.main import command
from chromaserve.library.files import part_name
from tests.cluster.conftest import workers
from tests.library.test_files import ended_process

pytestmark = pytest.mark.slow

SAMPLES = sorted((Path(__file__).parent.parent.parent / "samples" / "grey").iterdir())[:4]
LONGEST_S = 300
COLORIZERS = "MapWorker(MapBatches(Colorize))"
CHOSEN = {"vividness": "0.2", "metadata": "none", "colour": "keep"}
BROKEN = {
    "empty.jpg": (b"", "damaged-photo"),
    "text.png": (b"not a photo", "unsupported-format"),
    "deep/cut.jpg": (SAMPLES[0].read_bytes()[:900], "damaged-photo"),
}


@dataclass
class Tree:
    """A folder of photos, and what is expected of it."""

    source: Path
    target: Path
    photos: dict[str, Path]
    """By their names within it, the sample that each is a copy of."""

    def outputs(self) -> dict[str, Path]:
        return {
            str(path.relative_to(self.target)): path
            for path in self.target.rglob("*")
            if path.is_file() and "_reports" not in path.parts
        }

    def batch(self, cluster: str) -> tuple[int, str, list[dict[str, object]]]:
        """The command's exit status, what it says, and its report."""
        before = set(self.target.rglob("*.jsonl"))
        done = CliRunner().invoke(
            command,
            [
                *("batch", str(self.source), str(self.target), "--address", cluster),
                *("--workers", "2", "--parcel", "3"),
                *(f"--{name}={value}" for name, value in CHOSEN.items()),
            ],
        )
        parts = set(self.target.rglob("*.jsonl")) - before
        lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
        return done.exit_code, done.output, lines


def result_of(name: str) -> str:
    """0.jpg and 0.png lie beside each other, every other name is alone."""
    return f"{name}.png" if name in ("0.jpg", "0.png") else f"{name.removesuffix('.jpg')}.png"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    folder = tmp_path_factory.mktemp("batch")
    source = folder / "100% grey, #1?"
    photos: dict[str, Path] = {}
    for number in range(4):
        for sample, place in zip(SAMPLES, ("", "deep/", "deep/er/", "wide/"), strict=True):
            photos[f"{place}{number}.jpg"] = sample
    photos["0.png"] = SAMPLES[1]  # a JPEG, and another photo than 0.jpg
    photos[os.fsdecode(b"wide/caf\xe9.jpg")] = SAMPLES[2]  # of a system that was not UTF-8
    photos["x" * (255 - len(".jpg")) + ".jpg"] = SAMPLES[0]  # its result's is as long as can be
    for name, sample in photos.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample, source / name)
    for name, (data, _) in BROKEN.items():
        (source / name).write_bytes(data)
    (source / "notes.txt").write_text("no photo")
    return Tree(source, folder / "in colour", photos)


def test_a_worker_killed_while_it_works_loses_nothing_and_does_nothing_twice(
    cluster: str, tree: Tree, http: httpx.Client
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(tree.batch, cluster)
        deadline = time.monotonic() + LONGEST_S
        while len(tree.outputs()) < 4:
            assert time.monotonic() < deadline
            assert not running.done(), running.result()
            time.sleep(0.05)
        busiest = max(workers(COLORIZERS), key=lambda process: sum(process.cpu_times()[:2]))
        busiest.send_signal(signal.SIGKILL)
        status, said, report = running.result(timeout=LONGEST_S)

    psutil.wait_procs([busiest], timeout=10)
    assert not busiest.is_running()
    assert status == 1, said
    assert "19 colorized, 3 failed, 0 there already" in said
    assert sorted(str(line["input"]) for line in report) == sorted([*tree.photos, *BROKEN])
    for line in report:
        failure = BROKEN.get(str(line["input"]))
        assert line["problem"] == (failure[1] if failure else None), line
        assert line["output"] == (None if failure else result_of(str(line["input"])))
        assert bool(line["detail"]) == bool(failure)
    outputs = tree.outputs()
    assert sorted(outputs) == sorted(map(result_of, tree.photos))
    service = {
        sample: http.post("/colorize", params=CHOSEN, files={"file": sample.read_bytes()}).content
        for sample in SAMPLES
    }
    for name, sample in tree.photos.items():
        assert outputs[result_of(name)].read_bytes() == service[sample], name


def test_what_is_done_is_not_done_again(cluster: str, tree: Tree) -> None:
    missing = {"0.jpg.png", "deep/er/3.png", "wide/3.png"}
    for name in missing:
        (tree.target / name).unlink()
    left = part_name().replace(f"-{os.getpid()}-", f"-{ended_process()}-")
    (tree.target / "deep" / left).write_bytes(b"half")
    before = {name: path.stat().st_mtime_ns for name, path in tree.outputs().items()}

    status, said, report = tree.batch(cluster)

    assert status == 1
    assert "3 colorized, 3 failed, 16 there already" in said
    assert {result_of(str(line["input"])) for line in report if not line["problem"]} == missing
    after = {name: path.stat().st_mtime_ns for name, path in tree.outputs().items()}
    assert after.keys() == set(map(result_of, tree.photos))
    assert {name for name in after if after[name] != before.get(name)} == missing


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_a_signal_ends_tells_of_all_that_was_done(
    cluster: str, tmp_path: Path, number: signal.Signals
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for n in range(300):
        shutil.copy(SAMPLES[0], source / f"{n}.jpg")
    tree = Tree(source, tmp_path / "target", {})
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "chromaserve", "batch", str(source), str(tree.target)),
            *("--address", cluster, "--workers", "1", "--parcel", "150"),
        ],
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + LONGEST_S
        while len(tree.outputs()) < 3:
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert b"interrupted" in said
    lines = [
        json.loads(line)
        for part in tree.target.rglob("*.jsonl")
        for line in part.read_text().splitlines()
    ]
    assert 3 <= len(lines) < 150, "in the middle of the first parcel"
    assert sorted(str(line["output"]) for line in lines) == sorted(tree.outputs())
    [summary] = tree.target.rglob("summary.json")
    told = json.loads(summary.read_text())
    assert (told["done"], told["interrupted"]) == (len(lines), True)


def test_a_target_that_takes_nothing_is_said_before_anything_is_done(
    cluster: str, tree: Tree
) -> None:
    file = tree.target.parent / "file"
    file.write_text("no folder")
    status, said, _ = replace(tree, target=file).batch(cluster)
    assert status == 2
    assert "DST: [Errno 20] Not a directory" in said


@pytest.mark.usefixtures("cluster")
def test_a_machine_of_ones_own_without_room_is_not_waited_for(tree: Tree) -> None:
    done = CliRunner().invoke(
        command, ["batch", str(tree.source), str(tree.target / "none"), "--gpus", "500"]
    )
    assert done.exit_code == 2
    assert "this machine has no room for a worker of 1 cores and 500 GPUs" in done.stderr
    assert not (tree.target / "none").exists()


@pytest.mark.parametrize(("cpus", "places"), [(0.5, 8), (2, 2), (3, 0)])
def test_a_worker_has_to_fit_on_one_machine(
    cluster: str, tree: Tree, cpus: float, places: int
) -> None:
    from_, to = Place.of(str(tree.source)), Place.of(str(tree.target))
    assert cluster
    assert places_for(Job(from_, to, "png", {}, None, None, cpus, 0, 64)) == places
