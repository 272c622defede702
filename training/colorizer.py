"""The parts of a network in training, held together: encoder, decoder, two heads, bins."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .config import TAP_NAMES, Config
from .losses import ab_bins
from .network import (
    AB_SCALE,
    build_decoder,
    build_encoder,
    build_fusion,
    build_heads,
    encoder_top,
    freeze_below,
    pixels_from_L,
    pool_taps,
)


@dataclass(frozen=True)
class Colorizer:
    """Encoder, decoder trunk, heads, ab bins [Q, 2], and the network that joins by fusion.

    encoder is absent when frozen taps come from the cache; top is the part of it that a fit on
    cached taps trains.
    """

    encoder: keras.Model | None
    decoder: keras.Model
    regression: keras.Model
    distribution: keras.Model
    bins: NDArray[np.float32]
    fusion: keras.Model | None = None
    top: keras.Model | None = None

    def taps(self, L: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """L float32 [N, 224, 224, 1] in [0, 100] -> pooled taps."""
        if self.encoder is None:
            raise ValueError("this network was built without its encoder")
        return pool_taps(self.encoder(pixels_from_L(L), training=training))

    def refreshed(self, taps: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Cached taps, those of the encoder's unfrozen blocks computed anew from the one below."""
        if self.top is None:
            return taps
        return {**taps, **self.top(taps[_below(self.top)], training=training)}

    @property
    def needed_taps(self) -> tuple[str, ...]:
        """The cached taps that `refreshed` and `features` read."""
        names = set(self.decoder.input)
        if self.fusion is not None:
            names.add("block5_conv3")
        if self.top is not None:
            names |= {_below(self.top)}
            names -= set(self.top.output)
        return tuple(name for name in TAP_NAMES if name in names)

    def features(self, taps: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Pooled taps -> the trunk's features [N, 56, 56, width_56]."""
        if self.fusion is not None:
            taps = taps | {"fusion": self.fusion(taps["block5_conv3"], training=training)}
        chosen = {name: taps[name] for name in self.decoder.input}
        return self.decoder(chosen, training=training)

    def ab(self, features: tf.Tensor) -> tf.Tensor:
        """The regression head's ab [N, 56, 56, 2], Lab units."""
        return self.regression(features) * AB_SCALE

    def vivid_ab(self, features: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
        """The distribution head's annealed mean at temperature [N]: ab [N, 56, 56, 2]."""
        # As `annealed_mean`, by TensorFlow's own product, which the converter knows.
        sharpened = self.distribution(features) / temperature[:, None, None, None]
        return tf.linalg.matmul(tf.nn.softmax(sharpened), tf.constant(self.bins))

    @property
    def trainable_parts(self) -> list[keras.Model]:
        """The models whose weights a checkpoint holds and an optimiser may move."""
        parts = [self.encoder, self.decoder, self.regression, self.distribution, self.fusion]
        return [part for part in parts if part is not None]


def _below(top: keras.Model) -> str:
    """The tap that the unfrozen part of an encoder starts from."""
    return TAP_NAMES[min(map(TAP_NAMES.index, top.output)) - 1]


def build_colorizer(
    config: Config,
    with_encoder: bool,
    scales: dict[str, NDArray[np.float32]] | None = None,
    from_cache: bool = False,
) -> Colorizer:
    """Build the network that a configuration describes.

    scales: what the decoder divides each tap's channels by, float32 [C] a tap (see TapScale).
    from_cache: unfrozen blocks of the encoder are to start from cached taps.
    """
    bins = ab_bins()
    encoder = top = None
    trainable_from = config.encoder.trainable_from
    if with_encoder:
        encoder = build_encoder(config.encoder.weights)
        freeze_below(encoder, trainable_from)
        if from_cache and trainable_from:
            top = encoder_top(encoder, trainable_from)
    decoder = build_decoder(config.decoder)
    for name, scale in (scales or {}).items():
        if name in decoder.input:
            decoder.get_layer(f"{name}_scale").set_weights([scale])
    regression, distribution = build_heads(config.decoder, len(bins))
    fusion = None
    if config.decoder.fusion:
        fusion, _ = build_fusion(config.fusion, config.decoder.fusion, 1)
    return Colorizer(encoder, decoder, regression, distribution, bins, fusion, top)
