"""The CPU engine's files: made for a version that came without, all or nothing."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner, Result

from chromaserve.command_line.main import command
from chromaserve.engines.choose import load_engines
from chromaserve.settings import PipelineSettings
from chromaserve.store.versions import ModelStore, ModelVersion
from tests.saved_models import publish


class OneConvolution(tf.Module):  # type: ignore[misc]
    """A network that is converted in no time."""

    def __init__(self) -> None:
        kernel = np.linspace(-1, 1, 18, dtype=np.float32).reshape(3, 3, 1, 2)
        self.kernel = tf.Variable(kernel, trainable=False)

    def __call__(self, L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(L / 100, self.kernel, 1, "SAME") * vividness * 20


def convert(root: Path, *arguments: str) -> Result:
    """By the command, here: TensorFlow takes long to start in a process of its own."""
    environment = {"CHROMASERVE_MODEL_ROOT": str(root)}
    return CliRunner().invoke(command, ["models", "convert", *arguments], env=environment)


@pytest.fixture
def small(tmp_path: Path) -> ModelVersion:
    return publish(OneConvolution(), tmp_path)


def test_a_version_made_elsewhere_gets_its_cpu_engine_by_command(small: ModelVersion) -> None:
    root = small.path.parent.parent
    before = {path.name for path in small.path.parent.iterdir()}
    done = convert(root, "1")
    assert done.exit_code == 0, done.stderr
    store = ModelStore(root)
    converted = store.resolve("latest")
    store.verify(converted)
    assert {path.name for path in small.path.parent.iterdir()} == before
    assert converted.description.created == small.description.created
    told = converted.description.cpu_engine
    assert told is not None
    assert told.difference_ab < 0.05
    (engine,) = load_engines(converted, PipelineSettings(device="cpu", engine_threads=1))
    assert engine.name == "ncnn"
    again = convert(root)
    assert again.exit_code == 0, again.stderr
    assert store.resolve(1).description.files == converted.description.files


def test_a_network_that_ncnn_has_otherwise_is_refused_in_a_sentence(tmp_path: Path) -> None:
    twice = publish(lambda L, vividness: tf.concat([L, 2 * L], -1) * vividness, tmp_path)
    done = convert(twice.path.parent.parent)
    assert done.exit_code == 5
    assert "L is no input of the network that ncnn has" in done.stderr
    assert not twice.description.cpu_engine


def test_an_operation_that_ncnn_does_not_know_is_named_and_changes_nothing(tmp_path: Path) -> None:
    odd = publish(lambda L, v: tf.concat([tf.math.erf(L / 100), L], -1) * v, tmp_path)
    done = convert(odd.path.parent.parent)
    assert done.exit_code != 0
    assert "ncnn cannot run Erf" in done.stderr
    assert isinstance(done.exception, SystemExit)  # a message, no stack
    ModelStore(odd.path.parent.parent).verify(odd)
    assert [path.name for path in odd.path.parent.iterdir()] == ["1"]
