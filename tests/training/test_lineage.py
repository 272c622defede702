"""What a published version says of its training: every step, views counted, no folders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chromaserve.store.versions import BUNDLED_ROOT
from tests.training.program import train_here
from training.config import Config, Encoder, Train
from training.export import published_weights
from training.lineage import SOURCES, how_trained, total_views, unfrozen
from training.weights import average_npz


def run(folder: Path, start: Path | None, first: str | None, losses: list[float]) -> Path:
    folder.mkdir()
    config = Config(
        name=folder.name,
        encoder=Encoder(weights=str(folder / "vgg.npz"), trainable_from=first),
        train=Train(start_from=str(start) if start else None, views_per_epoch=10, batch=4),
    )
    (folder / "config.json").write_text(config.model_dump_json())
    lines = "".join(f"{i},{loss}\n" for i, loss in enumerate(losses))
    (folder / "log.csv").write_text("epoch,val_loss\n" + lines)
    return folder


def test_a_history_goes_back_to_the_version_that_it_started_from(tmp_path: Path) -> None:
    version = next(p.parent for p in BUNDLED_ROOT.glob("colorizer/*/model.json"))
    run(tmp_path / "one", version, "block5", [3, 1, 2])
    run(tmp_path / "two", tmp_path / "one" / "best.npz", "block4", [3, 2, 1])
    told = how_trained(tmp_path / "two" / "last.npz")
    assert (told["epochs"], told["views"]) == (3, 24)
    # The best of the first run had seen two epochs of two batches of four.
    assert told["started_from"]["views"] == 16
    assert told["started_from"]["started_from"]["published"] == f"colorizer {version.name}"
    assert total_views(told) == 40
    assert unfrozen(told) == "block4"
    assert str(tmp_path) not in json.dumps(told)


def test_what_was_done_twice_after_a_kill_counts_once(tmp_path: Path) -> None:
    folder = run(tmp_path / "one", None, "block5", [])
    (folder / "log.csv").write_text("epoch,val_loss\n0,4\n1,3\n1,3\n2,1\n3,2\n")
    assert how_trained(folder / "last.npz")["epochs"] == 4
    assert how_trained(folder / "best.npz")["epochs"] == 3


def test_what_runs_of_a_mean_have_in_common_counts_once(tmp_path: Path) -> None:
    run(tmp_path / "base", None, "block5", [3, 2, 1])
    for name in ("one", "two"):
        run(tmp_path / name, tmp_path / "base" / "last.npz", "block5", [2, 1])
    mean = run(tmp_path / "mean", None, "block5", []) / "mean.npz"
    sources = ["../one/last.npz", "../two/last.npz", "../two/best.npz"]
    (mean.parent / SOURCES).write_text(json.dumps({mean.name: sources}))
    assert total_views(how_trained(mean)) == 24 + 16 + 16


def test_a_mean_tells_of_each(tmp_path: Path) -> None:
    run(tmp_path / "one", None, None, [3, 1])
    for value, name in enumerate(("best", "last")):
        np.savez(tmp_path / "one" / f"{name}.npz", w=np.full(3, value, np.float32))
    mean = tmp_path / "mean" / "mean.npz"
    sources = [str(tmp_path / "one" / f"{name}.npz") for name in ("best", "last")]
    done = train_here("average", *sources, "--out", str(mean))
    assert done.returncode == 0, done.stderr
    with np.load(mean) as weights:
        assert weights["w"].tolist() == [0.5] * 3
    told = how_trained(mean)
    assert [each["epochs"] for each in told["mean_of"]] == [2, 2]
    assert unfrozen(told) is None


def test_a_mean_replaces_nothing_of_another_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        np.savez(run(tmp_path / name, None, None, [3, 1]) / "last.npz", w=np.ones(3))
    weights = [str(tmp_path / name / "last.npz") for name in ("one", "two")]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out in (tmp_path / "two" / "mean.npz", tmp_path / "one" / "last.npz"):
        done = train_here("average", *weights, "--out", str(out))
        assert done.returncode == 2
        assert "by --out" in done.stderr
        assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for _ in range(2):
        mean = tmp_path / "mean" / "mean.npz"
        assert train_here("average", *weights, "--out", str(mean)).returncode == 0


@pytest.mark.slow
def test_a_mean_may_have_a_version_in_it(tmp_path: Path) -> None:
    version = next(p.parent for p in BUNDLED_ROOT.glob("colorizer/*/model.json"))
    run(tmp_path / "one", version, "block4", [3])
    before = dict(published_weights(version))
    after: dict[str, Any] = {name: 3 * each for name, each in before.items()} | {
        "bin_weights": np.ones(4)
    }
    np.savez(tmp_path / "one" / "last.npz", **after)
    (tmp_path / "mean").mkdir()
    mean = tmp_path / "mean" / "mean.npz"
    average_npz([tmp_path / "one" / "last.npz", version], mean)
    with np.load(mean) as weights:
        assert weights["bin_weights"].tolist() == [1] * 4
        for name, each in before.items():
            assert np.allclose(weights[name], 2 * each, rtol=1e-6)
    (mean.parent / "config.json").write_bytes((tmp_path / "one" / "config.json").read_bytes())
    sources = {mean.name: ["../one/last.npz", str(version)]}
    (mean.parent / SOURCES).write_text(json.dumps(sources))
    told = how_trained(mean)
    assert [each.get("published") for each in told["mean_of"]] == [
        None,
        f"colorizer {version.name}",
    ]
    assert total_views(told) == 8
    assert unfrozen(told) == "block4"
