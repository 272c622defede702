"""From the sample photos to a published version by the command line, killed once on the way."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from chromaserve import Colorizer
from chromaserve.store.contract import check_signatures
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from tests.training.conftest import untraced
from tests.training.program import train_here
from training.config import Config
from training.errors import DataError
from training.export import published_config, published_weights
from training.gains import load_model
from training.publish import publish

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EVALUATED = ("astronaut", "cat", "coffee", "dahlia", "pagoda", "rocket")
CONFIG = """
name = "tiny"
seed = 3
[data]
train = ["colour"]
val_fraction = 0.4
[encoder]
weights = "none"
trainable_from = "block5"
[decoder]
width_7 = 16
width_14 = 16
width_28 = 16
width_56 = 8
dropout = 0.1
width_112 = 8
depthwise_28 = 1
depthwise_56 = 1
[views]
side = 64
[train]
epochs = 2
views_per_epoch = 8
batch = 4
warmup = 1
val_photos = 2
"""


class Trainer:
    """The command line, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "run"
        (folder / "tiny.toml").write_text(CONFIG)

    def arguments(self, stage: str, *more: str) -> list[str]:
        return [
            *(stage, "--config", str(self.folder / "tiny.toml")),
            *("--photos", str(ROOT / "samples"), "--run", str(self.run), *more),
        ]

    def here(self, stage: str, *more: str) -> None:
        done = train_here(*self.arguments(stage, *more))
        assert done.returncode == 0, done.stderr

    def killed(self) -> int:
        """Begin the fit and kill it in its second epoch; the exit status."""
        process = subprocess.Popen(
            [sys.executable, "-m", "training", *self.arguments("train")],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                process.send_signal(signal.SIGKILL)
                break
        process.communicate(timeout=60)
        return process.returncode

    def publish(self, weights: str) -> ModelStore:
        store = ModelStore(self.folder / "models")
        done = train_here(
            *("publish", str(self.run / weights), "--photos", str(ROOT / "samples")),
            *("--store", str(store.root), "--count", "1"),
        )
        assert done.returncode == 0, done.stderr
        return store


@dataclass
class Published:
    """A fit that was killed, resumed and published."""

    trainer: Trainer
    status: int
    store: ModelStore


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    trainer = Trainer(tmp_path_factory.mktemp("published"))
    trainer.here("scan")
    status = trainer.killed()
    with untraced():
        trainer.here("train")
    return Published(trainer, status, trainer.publish("last.npz"))


def test_an_unknown_setting_is_refused_by_name(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    (tmp_path / "tiny.toml").write_text('name = "x"\n[train]\nepoch = 3\n')
    refused = train_here(*trainer.arguments("scan"))
    assert refused.returncode == 2
    assert "train.epoch" in refused.stderr


def test_a_killed_fit_resumes_then_is_published_and_evaluated(
    published: Published, tmp_path: Path
) -> None:
    trainer, store = published.trainer, published.store
    assert published.status == -signal.SIGKILL
    assert len((trainer.run / "log.csv").read_text().splitlines()) == 3

    model = store.resolve("latest")
    store.verify(model)
    assert (model.path / "MODEL_CARD.md").read_text().startswith("# Model card")
    assert model.description.metrics["vividness 1"]["all"]["photos"] == 1
    assert model.description.training["views"] == 16
    told = model.description.training["history"]
    assert told["weights"] == "last.npz"
    assert told["epochs"] == 2
    assert str(trainer.folder) not in (model.path / "model.json").read_text()
    loaded = tf.saved_model.load(str(model.path))
    check_signatures(loaded.signatures)
    L = np.full((3, 224, 224, 1), 50, np.float32)
    safe = loaded.signatures["serving_default"](L=tf.constant(L))["ab"].numpy()
    zero = loaded.signatures["vivid"](L=tf.constant(L), vividness=tf.zeros([3]))["ab"].numpy()
    np.testing.assert_allclose(zero, safe, atol=1e-3)

    # The CPU engine knows every layer of the network, and the library runs on it.
    assert model.description.cpu_engine is not None
    assert model.description.cpu_engine.difference_ab < 0.2
    with Colorizer(model_root=store.root, device="cpu", threads=1) as colorizer:
        assert colorizer.engine.startswith("ncnn")

    out, photos = tmp_path / "evaluation", tmp_path / "photos"
    photos.mkdir()
    for name in EVALUATED:
        shutil.copy(ROOT / "samples" / "colour" / f"{name}.jpg", photos)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"file,kind\n{EVALUATED[0]}.jpg,objects\n")
    evaluated = train_here(
        *("evaluate", str(photos), "--manifest", str(manifest), "--store", str(store.root)),
        *("--out", str(out), "--sheet-photos", "6", "--unseen"),
    )
    assert evaluated.returncode == 0, evaluated.stderr
    summaries = json.loads((out / "summary.json").read_text())
    assert {kind: each["photos"] for kind, each in summaries.items()} == {
        "all": len(EVALUATED), "objects": 1
    }  # fmt: skip
    summary = summaries["all"]
    assert summary["photos"] == len(EVALUATED)
    assert summary["gain"] == pytest.approx(summary["psnr"] - summary["psnr_grey"], abs=1e-3)
    assert Image.open(out / "contact_sheet.png").size[0] > 600

    default = f"{model.description.default_vividness:g}"
    told_again = store.resolve("latest")
    store.verify(told_again)
    assert told_again.description.metrics == model.description.metrics | {
        f"unseen photos, vividness {default}": json.loads((out / "summary.json").read_text())
    }
    _, unseen, validation = re.split(r"\n## On .*\n", (model.path / "MODEL_CARD.md").read_text())
    assert f"| PSNR gain over grey, dB | all | {len(EVALUATED)} | {summary['gain']:+.2f}" in unseen
    assert "### Vividness 1" in validation


def test_a_version_calibrated_anew_on_the_same_photos_is_what_it_was(
    published: Published, tmp_path: Path
) -> None:
    store = ModelStore(shutil.copytree(published.store.root, tmp_path / "models"))
    before = store.resolve("latest")
    photos = ("--photos", str(ROOT / "samples"))
    index = ("--index", str(published.trainer.run / "index.csv"))
    done = train_here("recalibrate", "--store", str(store.root), *photos, *index)
    assert done.returncode == 0, done.stderr
    after = store.resolve("latest")
    store.verify(after)
    assert after.version == before.version
    found, was = after.description.blend, before.description.blend
    assert found
    assert was
    assert found.scale == pytest.approx(was.scale, rel=0.01), "its weights have 16 bits"
    assert (after.path / "MODEL_CARD.md").read_text().startswith("# Model card")
    weights = published_weights(published.store.resolve("latest").path)
    np.testing.assert_equal(published_weights(after.path), weights)


def test_what_is_published_has_the_runs_weights_at_half_precision(published: Published) -> None:
    stored = published_weights(published.store.resolve("latest").path)
    with np.load(published.trainer.run / "last.npz") as kept:
        assert set(stored) == set(kept.files) - {"bin_weights"}
        for name, value in stored.items():
            own = kept[name]
            expected = own.astype(np.float16) if own.ndim > 1 else own
            np.testing.assert_array_equal(value, expected.astype(np.float32), err_msg=name)


def test_the_network_of_a_published_version_answers_as_it_does() -> None:
    bundled = ModelStore(BUNDLED_ROOT).resolve("latest").path
    model = load_model(bundled)
    assert model.config == published_config(bundled)
    L = tf.random.stateless_uniform((2, 224, 224, 1), (1, 2), 0, 100)
    signature = tf.saved_model.load(str(bundled)).signatures["serving_default"]
    side = 112 if model.config.decoder.width_112 else 56
    (here,) = model.answers({"L": L}, ())
    published = tf.image.resize(signature(L=L)["ab"], (side, side)).numpy()
    # The published answer is a factor of the regression head's, enlarged.
    here = np.asarray(here)
    factor = (published * here).sum() / (here * here).sum()
    assert 0.5 < factor < 1.5
    assert np.abs(published - factor * here).mean() < 1.0


def test_a_wrong_folder_of_photos_is_told_of_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no folder {tmp_path}/nowhere: check --photos"):
        publish(
            tmp_path / "a.npz", Config(name="a"), tmp_path / "nowhere", [], ModelStore(tmp_path)
        )
