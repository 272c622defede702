"""How small fits run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from chromaserve.engines import savedmodel
from training import vgg
from training.conversion import convert


@contextmanager
def untraced() -> Iterator[None]:
    """Without tracing, which takes longer than the few steps of a small fit."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eagerly() -> Iterator[None]:
    with untraced():
        yield


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG16 with an eighth of its channels: what is around it is looked at."""
    from training import ncnn_encoder, network

    blocks = tuple((convolutions, width // 8) for convolutions, width in vgg.BLOCKS)
    for module in (network, ncnn_encoder):
        monkeypatch.setattr(module, "BLOCKS", blocks)
    for name, (side, width) in list(vgg.TAP_SHAPES.items()):
        monkeypatch.setitem(vgg.TAP_SHAPES, name, (side, width // 8))


@pytest.fixture(autouse=True, scope="package")
def _briefly() -> Iterator[None]:
    """How fast engines are is measured on few photos: what is found isn't looked at here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(convert, "_ROUNDS", {False: 1, True: 1})
        patched.setattr(convert, "_BUSY_S", 0.1)
        patched.setitem(savedmodel._MAX_BATCH, "CPU", 1)
        yield


@pytest.fixture(autouse=True, scope="module")
def _threads_of_a_fit() -> Iterator[None]:
    """A fit tells the processes that it starts to have few; later services' are not its own."""
    with patch.dict(os.environ):
        yield
