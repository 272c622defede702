"""The engines: what they answer, which of them is chosen, and what becomes of bad conversions."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
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
from chromaserve.engines.conversion import converted
from chromaserve.engines.ncnn_engine import MAX_BATCH, NcnnEngine
from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.store.contract import NETWORK_SIZE, network_input
from chromaserve.store.versions import ModelStore, ModelVersion
from tests.sample_photos import load
from tests.saved_models import publish

Floats = NDArray[np.float32]
# Of a photo's colours, what a batch or a number of threads may change: 1/255 of the range of ab.
UNSEEN_AB = 1e-3


@pytest.fixture(scope="module")
def model(model_root: Path) -> ModelVersion:
    return ModelStore(model_root).resolve("latest")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, model: ModelVersion) -> Path:
    """A cache that holds the model's conversion, as the service made it here."""
    folder = tmp_path_factory.mktemp("cache")
    with converted(model, cache=None, threads=2, max_batch=MAX_BATCH) as (made, _):
        shutil.copytree(made, folder / made.name)
    return folder


@pytest.fixture(scope="module")
def ncnn(model: ModelVersion, cache: Path) -> Engine:
    (engine,) = load_engines(model, Settings(engine="ncnn", engine_cache=cache, engine_threads=2))
    return engine


@pytest.fixture
def copied(cache: Path, tmp_path: Path) -> Path:
    """A cache of its own for a test that harms it."""
    return Path(shutil.copytree(cache, tmp_path / "cache"))


@pytest.fixture(scope="module")
def original(model: ModelVersion) -> SavedModelEngine:
    return SavedModelEngine(model, device="cpu", threads=2)


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


@pytest.mark.parametrize("vividness", [0.0, 0.65, 1.0])
def test_ncnn_gives_the_colours_that_the_saved_model_gives(
    ncnn: Engine, original: SavedModelEngine, L: Floats, vividness: float
) -> None:
    given = np.full(len(L), vividness, np.float32)
    assert (ncnn.name, original.name) == ("ncnn", "savedmodel")
    np.testing.assert_allclose(ncnn.infer(L, given), original.infer(L, given), atol=0.01)


def test_a_photo_of_ncnn_is_the_same_in_every_batch(ncnn: Engine, L: Floats) -> None:
    given = np.linspace(0, 1, len(L), dtype=np.float32)
    alone = np.concatenate([ncnn.infer(L[n : n + 1], given[n : n + 1]) for n in range(len(L))])
    assert alone.shape == (5, NETWORK_SIZE, NETWORK_SIZE, 2)
    for count in (2, 3, 5):
        together = ncnn.infer(L[:count], given[:count])
        np.testing.assert_allclose(together, alone[:count], atol=UNSEEN_AB)


def test_ncnn_on_one_thread_gives_the_same(ncnn: Engine, cache: Path, L: Floats) -> None:
    (folder,) = cache.iterdir()
    given = np.full(2, 0.65, np.float32)
    one = NcnnEngine(folder, threads=1, max_batch=4)
    np.testing.assert_allclose(one.infer(L[:2], given), ncnn.infer(L[:2], given), atol=UNSEEN_AB)
    assert one.device == "CPU (1 threads)"
    assert one.max_batch == 4


def test_a_conversion_is_made_once(
    model: ModelVersion, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)  # no other process is started
    load_engines(model, Settings(engine="ncnn", engine_cache=cache, engine_threads=2))


def test_a_conversion_made_elsewhere_serves_where_ncnn_is_asked_for(
    model: ModelVersion, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an image that has one, and no TensorFlow to make another."""
    (folder,) = copied.iterdir()
    made_of, _, _ = folder.name.partition("-")
    folder.rename(copied / f"{made_of}-another-machine")
    monkeypatch.setattr(subprocess, "run", None)  # no other process is started
    settings = Settings(engine="ncnn", engine_cache=copied, engine_threads=1)
    (engine,) = load_engines(model, settings)
    assert (engine.name, engine.device) == ("ncnn", "CPU (1 threads)")


def test_the_service_does_not_import_tensorflow_where_ncnn_serves(cache: Path) -> None:
    program = (
        "import sys; from chromaserve.pipeline.models import Models;"
        "from app.settings import Settings;"
        "name = Models(Settings()).load_default().engine.name;"
        "print(name, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "CHROMASERVE_ENGINE": "ncnn",
            "CHROMASERVE_ENGINE_CACHE": str(cache),
            "CHROMASERVE_ENGINE_THREADS": "2",
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["ncnn", "False"]


def test_without_tensorflow_a_saved_model_says_what_it_needs(
    model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    # As many threads as no other test asks for: an answer from before is kept.
    with pytest.raises(EngineUnusable, match="not installed"):
        load_engines(model, Settings(engine="savedmodel", device="cpu", engine_threads=7))


def _report(cache: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the report of the conversion in a cache."""
    (folder,) = cache.iterdir()
    path = folder / "report.json"
    fields = json.loads(path.read_text("utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), "utf-8")


def _with_speed(cache: Path, ncnn_ms: tuple[float, float]) -> None:
    """Say how fast ncnn was measured: the SavedModel took 100 ms alone and 50 in batches."""
    _report(cache, lambda fields: fields.update(savedmodel_ms=[100, 50], ncnn_ms=list(ncnn_ms)))


@pytest.mark.parametrize(("ncnn_ms", "chosen"), [((90, 54), "ncnn"), ((120, 45), "savedmodel")])
def test_auto_takes_the_engine_that_was_faster(
    model: ModelVersion, copied: Path, ncnn_ms: tuple[float, float], chosen: str
) -> None:
    _with_speed(copied, ncnn_ms)
    settings = Settings(engine_cache=copied, engine_threads=2, device="cpu")
    (engine,) = load_engines(model, settings)
    assert engine.name == chosen


def test_savedmodel_is_what_it_says(model: ModelVersion, tmp_path: Path) -> None:
    settings = Settings(engine="savedmodel", engine_cache=tmp_path / "cache", engine_threads=2)
    (engine,) = load_engines(model, settings)
    assert engine.name == "savedmodel"
    assert not (tmp_path / "cache").exists()


def test_a_weight_that_was_tampered_with_is_refused(
    model: ModelVersion, copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder,) = copied.iterdir()
    weights = np.fromfile(folder / "network.bin", np.float32)
    weights[-600:-100] *= 1.2  # the last layers'
    weights.tofile(folder / "network.bin")
    sha256 = hashlib.sha256((folder / "network.bin").read_bytes()).hexdigest()

    def forge(fields: dict[str, object]) -> None:
        files = fields["files"]
        assert isinstance(files, dict)
        files["network.bin"] = sha256

    _report(copied, forge)
    _with_speed(copied, (1, 1))
    settings = Settings(engine_cache=copied, engine_threads=2, device="cpu")
    (engine,) = load_engines(model, settings)
    assert engine.name == "savedmodel"
    assert "differ" in caplog.text
    with pytest.raises(EngineUnusable, match=r"CHROMASERVE_ENGINE=ncnn cannot run .* differ"):
        load_engines(model, settings.model_copy(update={"engine": "ncnn"}))


def test_a_damaged_conversion_is_made_anew(small: ModelVersion, tmp_path: Path) -> None:
    settings = Settings(engine="ncnn", engine_cache=tmp_path, engine_threads=2)
    load_engines(small, settings)
    (folder,) = tmp_path.iterdir()
    whole = (folder / "network.bin").read_bytes()
    for damage in (whole[: len(whole) // 2], b""):
        (folder / "network.bin").write_bytes(damage)
        (engine,) = load_engines(small, settings)
        assert engine.name == "ncnn"
        assert (folder / "network.bin").read_bytes() == whole
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_cache_that_cannot_be_is_no_error(small: ModelVersion, tmp_path: Path, L: Floats) -> None:
    file = tmp_path / "cache"
    file.write_text("not a folder")
    settings = Settings(engine="ncnn", engine_cache=file, engine_threads=2)
    (engine,) = load_engines(small, settings)
    assert (engine.name, engine.infer(L[:1], np.ones(1, np.float32)).shape[-1]) == ("ncnn", 2)
    assert file.read_text() == "not a folder"


def test_an_operation_that_ncnn_does_not_know_leaves_the_saved_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, L: Floats
) -> None:
    odd = publish(lambda L, v: tf.concat([tf.math.erf(L / 100), L], -1) * v, tmp_path)
    settings = Settings(engine_cache=tmp_path / "cache", engine_threads=2, device="cpu")
    (engine,) = load_engines(odd, settings)
    assert engine.name == "savedmodel"
    assert "ncnn cannot run Erf" in caplog.text
    np.testing.assert_allclose(engine.infer(L[:1], np.ones(1, np.float32))[..., 1:], L[:1])
    # The refusal is kept: it isn't found out anew at every start.
    (folder,) = (tmp_path / "cache").iterdir()
    assert "Erf" in json.loads((folder / "report.json").read_text())["refused"]
    with pytest.raises(EngineUnusable, match=r"CHROMASERVE_ENGINE=ncnn .* cannot run Erf"):
        load_engines(odd, settings.model_copy(update={"engine": "ncnn"}))


def test_ncnn_does_not_run_on_a_gpu(model: ModelVersion) -> None:
    with pytest.raises(EngineUnusable, match="CHROMASERVE_DEVICE=gpu"):
        load_engines(model, Settings(engine="ncnn", device="gpu"))


def test_replicas_share_the_threads(small: ModelVersion, tmp_path: Path) -> None:
    settings = Settings(engine="ncnn", engine_cache=tmp_path, engine_threads=4, replicas=2)
    engines = load_engines(small, settings)
    assert [engine.device for engine in engines] == ["CPU (2 threads)"] * 2


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
from pathlib import Path
from chromaserve.engines.savedmodel import load_replicas
from app.settings import Settings
from chromaserve.store.versions import ModelStore

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
small, bundled = (ModelStore(Path(root)).resolve("latest") for root in sys.argv[1:])
L = np.linspace(0, 100, 3 * 224 * 224, dtype=np.float32).reshape(3, 224, 224, 1)
for xla in (False, True):
    engines = load_replicas(small, Settings(device="cpu", gpu_xla=xla, gpu_half=True, max_batch=4))
    first, second = (engine.infer(L, np.ones(3, np.float32)) for engine in engines)
    np.testing.assert_allclose(first, second, atol=1e-3)
    np.testing.assert_allclose(first, engines[0].infer(L, np.ones(3, np.float32)))
    print(first.shape, *(engine.weights_on for engine in engines))
one = dict(device="cpu", gpu_half=True, max_batch=1, replicas=1)
(compiled,) = load_replicas(bundled, Settings(gpu_xla=True, **one))
L, vividness = L[1:2], np.full(1, 0.5, np.float32)
expected = compiled.signature(L=tf.constant(L), vividness=tf.constant(vividness))["ab"]
np.testing.assert_allclose(compiled.infer(L, vividness), expected, atol=1e-2)
print("the bundled model, compiled")
"""


def test_each_replica_has_a_device_of_its_own(small: ModelVersion, model: ModelVersion) -> None:
    roots = (str(version.path.parent.parent) for version in (small, model))
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, *roots],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "(3, 224, 224, 2) CPU:0 CPU:1",
        "(3, 224, 224, 2) CPU:0 CPU:1",
        "the bundled model, compiled",
    ], done.stderr
