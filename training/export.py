"""From a fitted network to a SavedModel of the contract, its kernels in half precision."""

from pathlib import Path

import keras
import tensorflow as tf

from chromaserve.store.contract import NETWORK_SIZE

from .colorizer import Colorizer, blend
from .config import Publish

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
    `training.colorizer.blend`.
    """

    def __init__(self, network: Colorizer, settings: Publish) -> None:
        super().__init__(name="colorizer")
        if network.encoder is None:
            raise ValueError("a serving model needs the encoder")
        self._settings = settings
        self._parts = {m.name: _HalfPrecision(m) for m in network.trainable_parts}
        # The same forward pass as in training, over the stored weights.
        self._network = Colorizer(
            encoder=_Applied(self._parts[network.encoder.name]),
            decoder=_Applied(self._parts[network.decoder.name], network.decoder.input),
            regression=_Applied(self._parts[network.regression.name]),
            distribution=_Applied(self._parts[network.distribution.name]),
            bins=network.bins,
            fusion=None if network.fusion is None else _Applied(self._parts[network.fusion.name]),
        )

    @tf.function(input_signature=[_PLANE])  # type: ignore[untyped-decorator]
    def serving_default(self, L: tf.Tensor) -> dict[str, tf.Tensor]:
        """L float32 [N, 224, 224, 1] in [0, 100] -> ab float32 [N, 224, 224, 2], the safest."""
        features = self._network.features(self._network.taps(L))
        return {"ab": _enlarge(self._settings.safe_scale * self._network.ab(features))}

    @tf.function(input_signature=[_PLANE, _VIVIDNESS])  # type: ignore[untyped-decorator]
    def vivid(self, L: tf.Tensor, vividness: tf.Tensor) -> dict[str, tf.Tensor]:
        """L as above, vividness float32 [N] in [0, 1] -> ab float32 [N, 224, 224, 2]."""
        features = self._network.features(self._network.taps(L))
        return {"ab": self.vivid_ab(features, vividness)}

    def vivid_ab(self, features: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
        """The trunk's features, vividness float32 [N] -> ab float32 [N, 224, 224, 2]."""
        temperature = tf.fill(tf.shape(vividness), self._settings.temperature)
        annealed = self._network.vivid_ab(features, temperature)
        return _enlarge(blend(self._network.ab(features), annealed, vividness, self._settings))

    @tf.function(input_signature=[_PLANE])  # type: ignore[untyped-decorator]
    def spread(self, L: tf.Tensor) -> dict[str, tf.Tensor]:
        """L as above -> mean ab of the distribution, and how far it expects to be off.

        deviation is float32 [N, 224, 224, 1]: the root mean square distance of the distribution
        from its mean, Lab units.
        """
        ab, deviation = self.spread_of(self._network.features(self._network.taps(L)))
        return {"ab": ab, "deviation": deviation}

    def spread_of(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The trunk's features -> what `spread` gives."""
        probabilities = tf.nn.softmax(self._network.distribution(features))
        bins = tf.constant(self._network.bins)
        mean = tf.linalg.matmul(probabilities, bins)
        squares = tf.linalg.matmul(probabilities, tf.reduce_sum(bins**2, -1, keepdims=True))
        deviation = tf.sqrt(tf.maximum(squares - tf.reduce_sum(mean**2, -1, keepdims=True), 0.0))
        return _enlarge(mean), _enlarge(deviation)


class _Applied:
    """A stored model under a Keras model's calling convention."""

    def __init__(self, stored: _HalfPrecision, inputs: object = None) -> None:
        self._stored = stored
        self.input = inputs

    def __call__(self, x: tf.Tensor | dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        if training:
            raise ValueError("a stored model is for inference only")
        return self._stored(x)


def _enlarge(ab: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(ab, (NETWORK_SIZE, NETWORK_SIZE), "bilinear")


def export(network: Colorizer, settings: Publish, folder: Path) -> None:
    """Write the SavedModel with its three signatures into a folder."""
    model = ServingModel(network, settings)
    tf.saved_model.save(
        model, str(folder),
        signatures={
            "serving_default": model.serving_default, "vivid": model.vivid, "spread": model.spread,
        },
    )  # fmt: skip
