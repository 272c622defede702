"""The network trained apart: a photo's ab histogram from the encoder's deepest tap."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from .config import Config
from .data import Entry, evenly_spaced, read_entry
from .errors import DataError
from .losses import ab_bins
from .ncnn_encoder import NcnnEncoder, encoder_weights
from .network import build_encoder, build_fusion
from .views import whole

TAP = "block5_conv3"
SIDE = 14  # of the ab that a histogram is made of
Float = NDArray[np.float32]


def coarse_bins(step: int) -> Float:
    """Bins of the photo's histogram: those of the distribution head on a coarser grid, [B, 2]."""
    return np.asarray(np.unique(np.rint(ab_bins() / step), axis=0) * step, np.float32)


def histogram(ab: Float, bins: Float, step: int) -> Float:
    """The ab histogram of a photo: ab [h, w, 2] -> [B], summing to 1.

    Each pixel is spread by a Gaussian of half a step, so that the histogram changes smoothly.
    """
    distance = np.square(ab.reshape(-1, 1, 2) - bins).sum(-1)
    weights = np.exp((distance.min(1, keepdims=True) - distance) / (2 * (step / 2) ** 2))
    return np.asarray((weights / weights.sum(1, keepdims=True)).mean(0), np.float32)


def fit_fusion(
    config: Config, entries: Sequence[Entry], root: Path, weights: Path,
    report: Callable[[str], None],
) -> None:  # fmt: skip
    """Train the features on photos' deepest taps, and write their weights, an .npz.

    The loss is the cross-entropy of the photo's histogram; its baseline, that of the training
    photos' mean histogram, is reported beside it. Raises DataError without `[decoder] fusion`.
    """
    settings = config.fusion
    if not config.decoder.fusion:
        raise DataError("the configuration has no [decoder] fusion")
    keras.utils.set_random_seed(config.seed)
    encode = NcnnEncoder(encoder_weights(build_encoder(config.encoder.weights)))
    bins = coarse_bins(settings.bin_step)

    def pooled(split: str) -> tuple[Float, Float]:
        of_split = [e for e in entries if e.split == split]
        x, y = list[Float](), list[Float]()
        for i in evenly_spaced(len(of_split), settings.photos):
            L, ab = whole(read_entry(root, of_split[i]), SIDE)
            tap = encode(L)[TAP]
            x.append(np.concatenate([tap.mean(axis=(0, 1)), tap.max(axis=(0, 1))]))
            y.append(histogram(ab, bins, settings.bin_step))
        return np.stack(x), np.stack(y)

    x, y = pooled("train")
    val_x, val_y = pooled("val")
    # Mean and maximum of a channel share its scale: the maximum's, which keeps both below 1 or so.
    scale = np.sqrt(np.mean(x[:, x.shape[1] // 2 :] ** 2, axis=0) + 1e-6)
    features, head = build_fusion(settings, config.decoder.fusion, len(bins))
    features.get_layer("fusion_scale").set_weights([scale])
    z = given = keras.Input((x.shape[1],))
    for name in ("fusion_dropout", "fusion_hidden", "fusion_features"):
        z = features.get_layer(name)(z)
    model = keras.Model(given, head(z))
    model.compile(
        keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    history = model.fit(
        x / np.tile(scale, 2), y, settings.batch, settings.epochs, verbose=0,
        validation_data=(val_x / np.tile(scale, 2), val_y),
        callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
    ).history  # fmt: skip
    mean = np.log(y.mean(axis=0) + 1e-9)
    report(
        f"ab histogram of {len(x)} photos, cross-entropy on validation: "
        f"{min(history['val_loss']):.3f}, of the mean histogram {-(val_y @ mean).mean():.3f}, "
        f"of the truth itself {-(val_y * np.log(val_y + 1e-9)).sum(1).mean():.3f}"
    )
    weights.parent.mkdir(parents=True, exist_ok=True)
    named = {f"fusion:{w.path}": ops.convert_to_numpy(w.value) for w in features.weights}
    np.savez(
        weights, allow_pickle=False, **{n: w for n, w in named.items() if "seed_generator" not in n}
    )
