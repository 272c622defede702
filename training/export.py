"""From a fitted network to a SavedModel of the contract, its kernels in half precision."""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from chromaserve.store.contract import NETWORK_SIZE, ModelDescription

from .config import Config, Decoder, Encoder, Fusion, Publish, own_training
from .model import ColorizationModel
from .network import AB_SCALE, pixels_from_L, pool_taps
from .vividness import blend
from .weights import named_weights

_PLANE = tf.TensorSpec([None, NETWORK_SIZE, NETWORK_SIZE, 1], tf.float32, "L")
_VIVIDNESS = tf.TensorSpec([None], tf.float32, "vividness")


class _HalfPrecision(tf.Module):  # type: ignore[misc]
    """A Keras model's weights, kernels in float16, and the model applied to them as float32.

    Vectors (biases, normalisation) stay float32: they are small, and a variance may leave
    float16's range.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name=model.name)

        # A closure: as an attribute, the model would be stored too, its float32 weights with it.
        def forward(
            trained: list[tf.Tensor], fixed: list[tf.Tensor], x: tf.Tensor | dict[str, tf.Tensor]
        ) -> tf.Tensor:
            return model.stateless_call(trained, fixed, x, training=False)[0]

        self._forward = forward

        def store(variables: list[keras.Variable]) -> list[tf.Variable]:
            return [
                tf.Variable(
                    tf.cast(v.value, tf.float16 if len(v.shape) > 1 else tf.float32),
                    trainable=False,
                )
                for v in variables
            ]

        self.trained = store(model.trainable_variables)
        self.fixed = store(model.non_trainable_variables)

    def __call__(self, x: tf.Tensor | dict[str, tf.Tensor]) -> tf.Tensor:
        trained = [tf.cast(v, tf.float32) for v in self.trained]
        fixed = [tf.cast(v, tf.float32) for v in self.fixed]
        return self._forward(trained, fixed, x)


class ServingModel(tf.Module):  # type: ignore[misc]
    """The network as the contract has it: L -> ab at 224x224, with and without vividness.

    Vividness 0 is the regression head (least squared error), 1 the sharpened distribution: see
    `training.vividness.blend`.
    """

    def __init__(self, model: ColorizationModel, settings: Publish) -> None:
        super().__init__(name="colorizer")
        self._settings = settings
        self._parts = {part.name: _HalfPrecision(part) for part in model.parts}
        self._inputs = tuple(model.decoder.input)
        self._decoder = model.config.decoder
        self._bins = tf.constant(model.bins)

    def features(self, L: tf.Tensor) -> tf.Tensor:
        """L [N, 224, 224, 1] in [0, 100] -> the trunk's features [N, h, w, width]."""
        taps = pool_taps(self._parts["vgg16"](pixels_from_L(L)), self._decoder)
        if "fusion" in self._inputs:
            taps["fusion"] = self._parts["fusion"](taps["block5_conv3"])
        return self._parts["decoder"]({name: taps[name] for name in self._inputs})

    def _regression(self, features: tf.Tensor) -> tf.Tensor:
        return self._parts["regression_head"](features) * AB_SCALE

    def _distribution(self, features: tf.Tensor) -> tf.Tensor:
        return self._parts["distribution_head"](features)

    @tf.function(input_signature=[_PLANE])  # type: ignore[untyped-decorator]
    def serving_default(self, L: tf.Tensor) -> dict[str, tf.Tensor]:
        """L float32 [N, 224, 224, 1] in [0, 100] -> ab float32 [N, 224, 224, 2], the safest."""
        return {"ab": _enlarge(self._settings.safe_scale * self._regression(self.features(L)))}

    @tf.function(input_signature=[_PLANE, _VIVIDNESS])  # type: ignore[untyped-decorator]
    def vivid(self, L: tf.Tensor, vividness: tf.Tensor) -> dict[str, tf.Tensor]:
        """L as above, vividness float32 [N] in [0, 1] -> ab float32 [N, 224, 224, 2]."""
        features = self.features(L)
        # As `annealed_mean`, by TensorFlow's own product, which the converter knows.
        sharpened = self._distribution(features) / self._settings.temperature
        annealed = tf.linalg.matmul(tf.nn.softmax(sharpened), self._bins)
        regression = self._regression(features)
        return {"ab": _enlarge(blend(regression, annealed, vividness, self._settings))}

    @tf.function(input_signature=[_PLANE])  # type: ignore[untyped-decorator]
    def spread(self, L: tf.Tensor) -> dict[str, tf.Tensor]:
        """L as above -> mean ab of the distribution, and how far it expects to be off.

        deviation is float32 [N, 224, 224, 1]: the root mean square distance of the distribution
        from its mean, Lab units.
        """
        probabilities = tf.nn.softmax(self._distribution(self.features(L)))
        mean = tf.linalg.matmul(probabilities, self._bins)
        squares = tf.linalg.matmul(probabilities, tf.reduce_sum(self._bins**2, -1, keepdims=True))
        deviation = tf.sqrt(tf.maximum(squares - tf.reduce_sum(mean**2, -1, keepdims=True), 0.0))
        return {"ab": _enlarge(mean), "deviation": _enlarge(deviation)}


def _enlarge(ab: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(ab, (NETWORK_SIZE, NETWORK_SIZE), "bilinear")


def export(model: ColorizationModel, settings: Publish, folder: Path) -> None:
    """Write the SavedModel with its three signatures into a folder."""
    serving = ServingModel(model, settings)
    tf.saved_model.save(
        serving, str(folder),
        signatures={
            "serving_default": serving.serving_default, "vivid": serving.vivid,
            "spread": serving.spread,
        },
    )  # fmt: skip
    # TensorFlow leaves an empty folder for files that a model brings along.
    if not any((folder / "assets").iterdir()):
        (folder / "assets").rmdir()


def published_config(folder: Path) -> Config:
    """The network of a published version, as its model.json has it.

    Raises WeightsError for one that was not made by this program.
    """
    text = (folder / "model.json").read_text()
    training = own_training(ModelDescription.model_validate_json(text))
    return Config(
        name="published",
        encoder=Encoder(weights="none", trainable_from=training["encoder"]["trainable_from"]),
        decoder=Decoder.model_validate(training["decoder"]),
        fusion=Fusion.model_validate(training.get("fusion", {})),
    )


def published_weights(folder: Path) -> Mapping[str, NDArray[np.float32]]:
    """Read the weights of a published version, by the names of `named_weights`, float32.

    What training alone needs, the weights of the bins, is not in it.
    """
    model = ColorizationModel(published_config(folder))
    stored = tf.saved_model.load(str(folder))._parts
    for part in model.parts:
        kept = stored[part.name]
        for variables, values in (
            (part.trainable_variables, kept.trained), (part.non_trainable_variables, kept.fixed),
        ):  # fmt: skip
            for variable, value in zip(variables, values, strict=True):
                variable.assign(tf.cast(value, variable.dtype))
    names = named_weights(model).items()
    return {n: np.asarray(w, np.float32) for n, w in names if n != "bin_weights"}
