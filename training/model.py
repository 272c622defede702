"""The network as Keras fits it: a `keras.Model` that knows its losses, on any backend."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import KerasTensor as Tensor
from keras import ops
from numpy.typing import NDArray

from .config import TAP_NAMES, Config
from .losses import (
    ab_bins,
    annealed_mean,
    distribution_loss,
    log_mean_squared_error,
    mean_squared_error,
)
from .network import (
    AB_SCALE,
    NORM_MOMENTUM,
    build_decoder,
    build_encoder,
    build_fusion,
    build_heads,
    encoder_top,
    freeze_below,
    pixels_from_L,
    pool_taps,
)
from .vgg import frozen_taps

Float = NDArray[np.float32]


def target_side(config: Config, side: int) -> int:
    """The side of the answer to an input of that side."""
    return side // (2 if config.decoder.width_112 else 4)


class ColorizationModel(keras.Model):  # type: ignore[misc]
    """VGG16's encoder, the decoder's trunk and two heads.

    Inputs: {"L": float32 [N, side, side, 1] in [0, 100]}, or the taps of the frozen blocks by name,
    as `pool_taps` gives them; with "offset" int32 [N, 2] in {0, 1} the distribution is computed for
    that quarter of the pixels alone. Outputs: {"regression": ab/128 [N, h, w, 2], "logits":
    [N, h, w, bins]}, or [N, h/2, w/2, bins]. Targets: {"ab": [N, h, w, 2] in Lab units}.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(name="colorizer")
        self.config = config
        self.encoder = build_encoder(config.encoder.weights)
        freeze_below(self.encoder, config.encoder.trainable_from)
        # What is kept is an average of weights: the statistics are to be of the same steps.
        momentum = max(NORM_MOMENTUM, config.train.ema_momentum)
        self.decoder = build_decoder(config.decoder, momentum)
        self.bins = ab_bins()
        self.regression, self.distribution = build_heads(config.decoder, len(self.bins))
        self.fusion: keras.Model | None = None
        if config.decoder.fusion:
            self.fusion, _ = build_fusion(config.fusion, config.decoder.fusion, 1)
        self.bin_weights = self.add_weight(
            shape=(len(self.bins),), initializer="ones", trainable=False, name="bin_weights"
        )
        first = config.encoder.trainable_from
        self._top = encoder_top(self.encoder, first) if first in ("block4", "block5") else None
        self._means = {
            name: keras.metrics.Mean(name=name)
            for name in ("loss", "regression", "distribution", "gain_db")
        }
        self.built = True

    @property
    def parts(self) -> list[keras.Model]:
        """What the stored weights are named after."""
        parts = [self.encoder, self.decoder, self.regression, self.distribution]
        return parts if self.fusion is None else [*parts, self.fusion]

    @property
    def pretrained_variables(self) -> list[keras.Variable]:
        """The trainable weights that were trained before, and learn slowly."""
        pretrained = [self.encoder] if self.fusion is None else [self.encoder, self.fusion]
        return [v for part in pretrained for v in part.trainable_variables]

    @property
    def metrics(self) -> list[keras.Metric]:
        """Running means of the losses and of the gain over grey."""
        return list(self._means.values())

    def taps(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """The taps as the decoder takes them, from L, from those of the frozen blocks, or all."""
        if "L" in inputs:
            taps = self.encoder(pixels_from_L(inputs["L"]), training=training)
            return pool_taps(taps, self.config.decoder)
        taps = {name: inputs[name] for name in TAP_NAMES if name in inputs}
        if self._top is not None and len(taps) < len(TAP_NAMES):
            below = frozen_taps(self.config)[-1]
            taps |= self._top(taps[below], training=training)
        return taps

    def features(self, inputs: Mapping[str, Tensor], training: bool = False) -> Tensor:
        """The trunk's features [N, h, w, width]."""
        taps = self.taps(inputs, training)
        if self.fusion is not None:
            taps["fusion"] = self.fusion(taps["block5_conv3"], training=training)
        return self.decoder({n: taps[n] for n in self.decoder.input}, training=training)

    def call(self, inputs: Mapping[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Both heads' answers."""
        features = self.features(inputs, training)
        seen = quarter(features, inputs["offset"]) if "offset" in inputs else features
        return {"regression": self.regression(features), "logits": self.distribution(seen)}

    def compute_loss(
        self,
        x: Mapping[str, Tensor],
        y: Mapping[str, Tensor],
        y_pred: Mapping[str, Tensor],
        sample_weight: None = None,  # noqa: ARG002
        training: bool = True,  # noqa: ARG002
    ) -> Tensor:
        """Both heads' losses, weighted, and the penalties on weights."""
        settings, ab = self.config.train, y["ab"]
        predicted = y_pred["regression"]
        if settings.regression_loss == "log_mse":
            regression = log_mean_squared_error(predicted, ab, settings.log_mse_floor)
        else:
            regression = mean_squared_error(predicted, ab)
        seen = quarter(ab, x["offset"]) if "offset" in x else ab
        bins = ops.convert_to_tensor(self.bins)
        loss = settings.regression_weight * regression
        distribution = ops.zeros(())
        if settings.distribution_weight:
            distribution = distribution_loss(y_pred["logits"], seen, bins, self.bin_weights)
            loss = loss + settings.distribution_weight * distribution
        for penalty in self.losses:
            loss = loss + penalty
        n = ops.shape(ab)[0]
        self._means["loss"].update_state(loss, n)
        self._means["regression"].update_state(regression, n)
        self._means["distribution"].update_state(distribution, n)
        self._means["gain_db"].update_state(gain_db(predicted * AB_SCALE, ab))
        return loss

    def answers(
        self, inputs: Mapping[str, Tensor], temperatures: tuple[float, ...]
    ) -> list[Tensor]:
        """ab in Lab units [N, h, w, 2]: the regression's, and the annealed mean's at each
        temperature."""
        out = self(inputs, training=False)
        n = ops.shape(out["logits"])[0]
        bins = ops.convert_to_tensor(self.bins)
        return [
            out["regression"] * AB_SCALE,
            *(annealed_mean(out["logits"], bins, ops.full((n,), t)) for t in temperatures),
        ]


def quarter(x: Tensor, offset: Tensor) -> Tensor:
    """Every second pixel of every second row of [N, h, w, C], from the batch's offset on."""
    _, h, w, c = x.shape
    rows = ops.take(ops.reshape(x, (-1, h // 2, 2, w, c)), offset[0, 0], axis=2)
    return ops.take(ops.reshape(rows, (-1, h // 2, w // 2, 2, c)), offset[0, 1], axis=3)


def gain_db(predicted: Tensor, ab: Tensor) -> Tensor:
    """How many dB each photo's ab error is below that of grey: [N]; both [N, h, w, 2]."""
    error = ops.mean((predicted - ab) ** 2, axis=(1, 2, 3)) + 1e-6
    grey = ops.mean(ab**2, axis=(1, 2, 3)) + 1e-6
    return 10 / np.log(10) * ops.log(grey / error)
