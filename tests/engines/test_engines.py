"""The engines: what they answer, which of them is chosen, and what becomes of damaged files."""

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from app.settings import Settings
from chromaserve.color.lab import srgb_to_L
from chromaserve.engines import Engine, EngineUnusable
from chromaserve.engines.choose import load_engines
from chromaserve.engines.ncnn_engine import FOLDER, NcnnEngine
from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.store.contract import NETWORK_SIZE, network_input
from chromaserve.store.errors import ModelCorrupt
from chromaserve.store.versions import ModelStore, ModelVersion
from tests.conftest import serving
from tests.sample_photos import load
from tests.saved_models import publish

Floats = NDArray[np.float32]
# Of a photo's colours, what a batch or a number of threads may change: 1/255 of the range of ab.
UNSEEN_AB = 1e-3
SETTINGS = Settings(device="cpu", engine_threads=2)


@pytest.fixture(scope="module")
def model(model_root: Path) -> ModelVersion:
    return ModelStore(model_root).resolve("latest")


@pytest.fixture(scope="module")
def ncnn(model: ModelVersion) -> Engine:
    (engine,) = load_engines(model, SETTINGS.model_copy(update={"engine": "ncnn"}))
    return engine


@pytest.fixture
def copied(model: ModelVersion, tmp_path: Path) -> ModelVersion:
    """A version of its own for a test that harms it."""
    folder = tmp_path / model.description.name / str(model.version)
    shutil.copytree(model.path, folder)
    return ModelStore(tmp_path).resolve("latest")


@pytest.fixture(scope="module")
def original(model: ModelVersion) -> Engine:
    settings = SETTINGS.model_copy(update={"engine": "savedmodel", "max_batch": 1})
    (engine,) = load_engines(model, settings)
    return engine


class Small(tf.Module):  # type: ignore[misc]
    """A network of one convolution, which is converted in no time."""

    def __init__(self) -> None:
        kernel = np.linspace(-1, 1, 18, dtype=np.float32).reshape(3, 3, 1, 2)
        self.kernel = tf.Variable(kernel, trainable=False)

    def __call__(self, L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(L / 100, self.kernel, 1, "SAME") * vividness * 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    return publish(Small(), tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def L() -> Floats:  # noqa: N802
    """Five photos, float32 [5, 224, 224, 1]."""
    names = ("astronaut.png", "chelsea.png", "coffee.png", "camera.png", "page.png")
    grey = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) if p.ndim == 3 else p for p in map(load, names))
    return np.stack([network_input(srgb_to_L(np.asarray(p, np.uint8))) for p in grey])


def test_ncnn_gives_the_colours_that_the_saved_model_gives(
    ncnn: Engine, original: Engine, L: Floats
) -> None:
    given = np.linspace(0, 1, len(L), dtype=np.float32)
    assert (ncnn.name, original.name) == ("ncnn", "savedmodel")
    np.testing.assert_allclose(ncnn.infer(L, given), original.infer(L, given), atol=0.2)


@pytest.mark.slow
def test_a_photo_of_ncnn_is_the_same_in_every_batch(ncnn: Engine, L: Floats) -> None:
    given = np.linspace(0, 1, len(L), dtype=np.float32)
    alone = np.concatenate([ncnn.infer(L[n : n + 1], given[n : n + 1]) for n in range(len(L))])
    assert alone.shape == (5, NETWORK_SIZE, NETWORK_SIZE, 2)
    for count in (2, 3, 5):
        together = ncnn.infer(L[:count], given[:count])
        np.testing.assert_allclose(together, alone[:count], atol=UNSEEN_AB)


@pytest.mark.slow
def test_ncnn_on_one_thread_gives_the_same(ncnn: Engine, model: ModelVersion, L: Floats) -> None:
    given = np.full(2, 0.65, np.float32)
    one = NcnnEngine(model.path / FOLDER, threads=1, max_batch=4)
    np.testing.assert_allclose(one.infer(L[:2], given), ncnn.infer(L[:2], given), atol=UNSEEN_AB)
    assert one.device == "CPU (1 threads)"
    assert one.max_batch == 4


def test_a_cpu_runs_the_versions_own_engine_without_tensorflow(tmp_path: Path) -> None:
    """A start writes nothing: not beside the model, nor in the user's home."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    with serving(tmp_path, home=home, device="cpu") as server:
        loaded = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "ncnn" in server.client().get("/models").json()["engine"]
        assert "ncnn" in loaded
        assert "tensorflow" not in loaded
    assert list(home.iterdir()) == []


def test_a_version_without_a_cpu_engine_runs_as_saved_model_and_says_how_to_mend_that(
    small: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    (engine,) = load_engines(small, SETTINGS)
    assert engine.name == "savedmodel"
    assert "chromaserve models convert 1" in caplog.text
    with pytest.raises(EngineUnusable, match=r"CHROMASERVE_ENGINE=ncnn cannot run .* convert 1"):
        load_engines(small, SETTINGS.model_copy(update={"engine": "ncnn"}))


def test_savedmodel_is_what_it_says(original: Engine) -> None:
    assert original.name == "savedmodel"
    assert isinstance(original, SavedModelEngine)


def test_without_tensorflow_a_saved_model_says_what_it_needs(
    model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    # As many threads as no other test asks for: an answer from before is kept.
    with pytest.raises(EngineUnusable, match="not installed"):
        load_engines(model, Settings(engine="savedmodel", device="cpu", engine_threads=7))


def test_files_that_changed_are_not_served(copied: ModelVersion) -> None:
    weights = copied.path / FOLDER / "network.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelCorrupt, match=r"cpu/network\.bin has changed"):
        ModelStore(copied.path.parent.parent).verify(copied)


def largest_kernel(network: bytes) -> int:
    """Where the middle of the largest kernel is, in numbers of 16 bits; a flag precedes each."""
    starts = [found.start() for found in re.finditer(re.escape(b"\x47\x6b\x30\x01"), network)]
    length, start = max((b - a, a) for a, b in pairwise(starts))
    return (start + length // 2) // 2


@pytest.mark.slow
def test_weights_that_answer_otherwise_are_refused_whatever_the_checksums_say(
    copied: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    path = copied.path / FOLDER / "network.bin"
    weights = np.fromfile(path, np.float16)
    middle = largest_kernel(path.read_bytes())
    weights[middle - 900_000 : middle + 900_000] = 0
    weights.tofile(path)
    (engine,) = load_engines(copied, SETTINGS.model_copy(update={"max_batch": 1}))
    assert engine.name == "savedmodel"
    assert "differ" in caplog.text
    with pytest.raises(EngineUnusable, match=r"CHROMASERVE_ENGINE=ncnn cannot run .* differ"):
        load_engines(copied, SETTINGS.model_copy(update={"engine": "ncnn"}))


@pytest.mark.slow
def test_both_engines_tell_how_likely_each_colour_is(
    ncnn: Engine, original: Engine, L: Floats
) -> None:
    L = L[:2]
    assert ncnn.has_distribution
    assert original.has_distribution
    one, other = ncnn.distribution(L), original.distribution(L)
    assert one.logits.shape == (len(L), 56, 56, len(one.bins))
    np.testing.assert_allclose(one.bins, other.bins, atol=0.01)
    np.testing.assert_allclose(softmax(one.logits), softmax(other.logits), atol=0.02)


def softmax(logits: Floats) -> Floats:
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(p / p.sum(-1, keepdims=True))


@pytest.mark.slow
def test_the_mean_of_the_distribution_is_what_the_liveliest_colours_come_from(
    ncnn: Engine, L: Floats
) -> None:
    found = ncnn.distribution(L)
    mean = (softmax(found.logits) @ found.bins).reshape(-1)
    lively = ncnn.infer(L, np.ones(len(L), np.float32))
    lively = lively.reshape(len(L), 56, 4, 56, 4, 2).mean((2, 4)).reshape(-1)
    assert np.corrcoef(mean, lively)[0, 1] > 0.98


def test_a_network_without_a_distribution_says_so(small: ModelVersion) -> None:
    assert not SavedModelEngine(small, device="cpu", threads=2).has_distribution


def test_ncnn_does_not_run_on_a_gpu(model: ModelVersion) -> None:
    with pytest.raises(EngineUnusable, match="CHROMASERVE_DEVICE=gpu"):
        load_engines(model, Settings(engine="ncnn", device="gpu"))


@pytest.mark.slow
def test_replicas_share_the_threads(model: ModelVersion) -> None:
    settings = Settings(engine="ncnn", engine_threads=4, replicas=2)
    engines = load_engines(model, settings)
    assert [engine.device for engine in engines] == ["CPU (2 threads)"] * 2


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
from pathlib import Path
from chromaserve.engines.savedmodel import load_replicas
from chromaserve.settings import PipelineSettings
from chromaserve.store.versions import ModelStore

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
small = ModelStore(Path(sys.argv[1])).resolve("latest")
L = np.linspace(0, 100, 3 * 224 * 224, dtype=np.float32).reshape(3, 224, 224, 1)
engines = load_replicas(small, PipelineSettings(device="cpu", max_batch=4))
first, second = (engine.infer(L, np.ones(3, np.float32)) for engine in engines)
np.testing.assert_allclose(first, second, atol=1e-3)
print(first.shape, *(engine.signature.variables[0].device[-5:] for engine in engines))
"""


@pytest.mark.slow
def test_each_replica_has_a_device_of_its_own(small: ModelVersion) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(small.path.parent.parent)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["(3, 224, 224, 2) CPU:0 CPU:1"], done.stderr


@pytest.mark.slow
def test_both_engines_see_the_same_in_photos(ncnn: Engine, original: Engine, L: Floats) -> None:
    L = L[:2]
    assert ncnn.has_features
    assert original.has_features
    one, other = ncnn.features(L), original.features(L)
    assert one.fine.shape == (len(L), 28, 28, 512)
    assert one.coarse.shape == (len(L), 14, 14, 512)
    for mine, theirs in ((one.fine, other.fine), (one.coarse, other.coarse)):
        np.testing.assert_allclose(np.square(mine).sum(-1), 1, atol=1e-4)
        # Cosine of what the two see at one place.
        assert (mine * theirs).sum(-1).min() > 0.999
        np.testing.assert_allclose(mine, theirs, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ncnn", "savedmodel"])
def test_colours_and_features_come_from_one_run(
    name: str, ncnn: Engine, original: Engine, L: Floats
) -> None:
    engine, L = ncnn if name == "ncnn" else original, L[:2]
    vividness = np.linspace(0, 1, len(L), dtype=np.float32)
    ab, seen = engine.infer_with_features(L, vividness)
    np.testing.assert_allclose(ab, engine.infer(L, vividness), atol=UNSEEN_AB)
    alone = engine.features(L[1:2])
    np.testing.assert_allclose(seen.fine[1:2], alone.fine, atol=1e-4)
    np.testing.assert_allclose(seen.coarse[1:2], alone.coarse, atol=1e-4)


def test_features_follow_what_is_seen(ncnn: Engine, L: Floats) -> None:
    """A photo moved by two places of the fine grid is seen moved."""
    moved = np.roll(L[:1], 16, axis=2)
    here, there = ncnn.features(L[:1]).fine[0, 8:20], ncnn.features(moved).fine[0, 8:20]
    same = (here[:, 6:18] * there[:, 8:20]).sum(-1).mean()
    other = (here[:, 6:18] * there[:, 6:18]).sum(-1).mean()
    assert same > 0.95
    assert other < 0.8


def test_a_model_without_an_encoder_has_no_features(small: ModelVersion) -> None:
    (engine,) = load_engines(small, SETTINGS)
    assert not engine.has_features
