"""The network trained apart: a photo's ab histogram from the encoder's deepest tap."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .config import Config
from .feed import CachedFeed
from .losses import ab_bins
from .network import TAP_SHAPES, build_fusion
from .run import save_weights

TAP = "block5_conv3"


def coarse_bins(step: int) -> NDArray[np.float32]:
    """Bins of the photo's histogram: those of the distribution head on a coarser grid, [B, 2]."""
    return np.asarray(np.unique(np.rint(ab_bins() / step), axis=0) * step, np.float32)


def histogram(ab: NDArray[np.float32], bins: NDArray[np.float32], step: int) -> tf.Tensor:
    """The ab histogram of each photo: ab [N, h, w, 2] -> [N, B], summing to 1.

    Each pixel is spread by a Gaussian of half a step, so that the histogram changes smoothly.
    """
    pixels = tf.reshape(tf.nn.avg_pool2d(ab, 4, 4, "VALID"), (len(ab), -1, 2))
    distance = tf.reduce_sum((pixels[:, :, None] - bins) ** 2, -1)
    return tf.reduce_mean(tf.nn.softmax(-distance / (2 * (step / 2) ** 2)), 1)


def fit_fusion(
    config: Config, feed: CachedFeed, weights: Path, report: Callable[[str], None]
) -> None:
    """Train the features on the cached deepest tap, and write their weights.

    The loss is the cross-entropy of the photo's histogram; its baseline, that of the training
    photos' mean histogram, is reported beside it. Raises ValueError without `[decoder] fusion`.
    """
    settings = config.fusion
    if not config.decoder.fusion:
        raise ValueError("the configuration has no [decoder] fusion")
    keras.utils.set_random_seed(config.seed)
    bins = coarse_bins(settings.bin_step)
    features, head = build_fusion(settings, config.decoder.fusion, len(bins))
    pool = keras.Model(features.input, features.get_layer("fusion_pooled").output)

    def pooled(split: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, _ = feed.select(split)
        rows = [i for i in rows if feed.rows[i].copy <= config.fit.copies]
        taps, targets = [], []
        for batch in feed.batches(np.asarray(rows, np.int64), (TAP,)):
            taps.append(pool(batch[TAP]).numpy())
            targets.append(histogram(batch["ab"], bins, settings.bin_step).numpy())
        return np.concatenate(taps), np.concatenate(targets)

    x, y = pooled("train")
    # Mean and maximum of a channel share its scale: the maximum's, which keeps both below 1 or so.
    channels = TAP_SHAPES[TAP][1]
    scale = np.sqrt(np.mean(x[:, channels:] ** 2, axis=0) + 1e-6)
    features.get_layer("fusion_scale").set_weights([scale])
    val_x, val_y = pooled("val")
    x /= np.tile(scale, 2)

    given = keras.Input((2 * channels,))
    z = given
    for name in ("fusion_dropout", "fusion_hidden", "fusion_features"):
        z = features.get_layer(name)(z)
    model = keras.Model(given, head(z))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay), loss
    )
    history = model.fit(
        x, y, settings.batch, settings.epochs, verbose=0, validation_data=(val_x, val_y),
        callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
    ).history  # fmt: skip
    mean = np.log(y.mean(axis=0) + 1e-9)
    report(
        f"ab histogram of {len(x)} images, cross-entropy on validation: "
        f"{min(history['val_loss']):.3f}, of the mean histogram {-(val_y @ mean).mean():.3f}, "
        f"of the truth itself {-(val_y * np.log(val_y + 1e-9)).sum(1).mean():.3f}"
    )
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(weights, [features])
