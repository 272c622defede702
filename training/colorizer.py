"""The parts of a network in training, held together: encoder, decoder, two heads, bins."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.config import Config
from training.losses import ab_bins, annealed_mean
from training.network import (
    AB_SCALE,
    build_decoder,
    build_encoder,
    build_heads,
    freeze_below,
    pixels_from_L,
    pool_taps,
)


@dataclass(frozen=True)
class Colorizer:
    """Encoder (absent when taps come from the cache), decoder trunk, heads, ab bins [Q, 2]."""

    encoder: keras.Model | None
    decoder: keras.Model
    regression: keras.Model
    distribution: keras.Model
    bins: NDArray[np.float32]

    def taps(self, L: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """L float32 [N, 224, 224, 1] in [0, 100] -> pooled taps."""
        if self.encoder is None:
            raise ValueError("this network was built without its encoder")
        return pool_taps(self.encoder(pixels_from_L(L), training=training))

    def features(self, taps: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Pooled taps -> the trunk's features [N, 56, 56, width_56]."""
        chosen = {name: taps[name] for name in self.decoder.input}
        return self.decoder(chosen, training=training)

    def ab(self, features: tf.Tensor) -> tf.Tensor:
        """The regression head's ab [N, 56, 56, 2], Lab units."""
        return self.regression(features) * AB_SCALE

    def vivid_ab(self, features: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        """The distribution head's annealed mean at temperature [N]: ab [N, 56, 56, 2]."""
        return annealed_mean(self.distribution(features), tf.constant(self.bins), temperature)

    @property
    def trainable_parts(self) -> list[keras.Model]:
        """The models whose weights a checkpoint holds and an optimiser may move."""
        parts = [self.decoder, self.regression, self.distribution]
        return parts if self.encoder is None else [self.encoder, *parts]


def build_colorizer(
    config: Config, with_encoder: bool, scales: dict[str, NDArray[np.float32]] | None = None
) -> Colorizer:
    """Build the network that a configuration describes.

    scales: what the decoder divides each tap's channels by, float32 [C] a tap (see TapScale).
    """
    bins = ab_bins()
    encoder = None
    if with_encoder:
        encoder = build_encoder(config.encoder.weights)
        freeze_below(encoder, config.encoder.trainable_from)
    decoder = build_decoder(config.decoder)
    for name, scale in (scales or {}).items():
        if name in decoder.input:
            decoder.get_layer(f"{name}_scale").set_weights([scale])
    regression, distribution = build_heads(config.decoder, len(bins))
    return Colorizer(encoder, decoder, regression, distribution, bins)
