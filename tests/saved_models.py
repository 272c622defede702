"""Small SavedModels to the contract, for tests of what the service does with a model's files."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from chromaserve.store.versions import ModelStore, ModelVersion
from tests.small_network import describe

Network = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From L [N, 224, 224, 1] and a vividness [N, 1, 1, 1] to ab [N, 224, 224, 2].

Where it has weights it is a tf.Module.
"""


def save(network: Network, folder: Path) -> None:
    """Write a SavedModel whose `vivid` is this network."""
    photo = tf.TensorSpec([None, 224, 224, 1], tf.float32, "L")
    vividness = tf.TensorSpec([None], tf.float32, "vividness")

    def vivid(L: tf.Tensor, vividness: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ab": network(L, vividness[:, None, None, None])}

    def safe(L: tf.Tensor) -> dict[str, tf.Tensor]:
        return vivid(L, tf.zeros(tf.shape(L)[:1]))

    signatures = {
        "serving_default": tf.function(safe).get_concrete_function(photo),
        "vivid": tf.function(vivid).get_concrete_function(photo, vividness),
    }
    module = network if isinstance(network, tf.Module) else tf.Module()
    tf.saved_model.save(module, str(folder), signatures=signatures)


def publish(network: Network, root: Path) -> ModelVersion:
    """A store's next version with this network."""
    folder = root / "saved"
    save(network, folder)
    return ModelStore(root / "store").publish(folder, describe(default_vividness=0.5))
