"""Weights to start from: those of an earlier run, or of a published version."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from chromaserve.store.contract import ModelDescription

from .colorizer import Colorizer, build_colorizer
from .config import Config, Decoder, Encoder, Fusion
from .errors import WeightsError
from .run import assign, load_weights, named_weights


def start_from(source: Path, network: Colorizer) -> list[str]:
    """Set the network's weights from a run's .npz, or from a published version's folder.

    Returns the names of weights that the source lacks: those of parts that are new.
    Raises WeightsError when the source isn't there or has other shapes.
    """
    parts = network.trainable_parts
    if source.is_file():
        return load_weights(source, parts)
    if not (source / "model.json").is_file():
        raise WeightsError(f"no weights to start from at {source}")
    return assign(published_weights(source), parts)


def published_weights(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a published version, by the names of `named_weights`, float32."""
    text = (folder / "model.json").read_text()
    training = ModelDescription.model_validate_json(text).training
    unfrozen = training["encoder"]["trainable_from"]
    config = Config(
        name="published",
        encoder=Encoder(weights="none", trainable_from=unfrozen),
        decoder=Decoder.model_validate(training["decoder"]),
        fusion=Fusion.model_validate(training.get("fusion", {})),
    )
    network = build_colorizer(config, with_encoder=True)
    stored = tf.saved_model.load(str(folder))._parts
    for part in network.trainable_parts:
        kept = stored[part.name]
        for variables, values in (
            (part.trainable_variables, kept.trained), (part.non_trainable_variables, kept.fixed),
        ):  # fmt: skip
            for variable, value in zip(variables, values, strict=True):
                variable.assign(tf.cast(value, variable.dtype))
    return {name: np.asarray(w) for name, w in named_weights(network.trainable_parts).items()}
