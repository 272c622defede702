"""Compare vividness and guided-filter settings on the validation photos, from cached taps."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import tensorflow as tf

from model_store.chroma import upsample_ab
from model_store.lab import lab_to_srgb, srgb_to_lab
from training.colorizer import Colorizer
from training.config import Publish
from training.data import evenly_spaced, read_photo
from training.feed import CachedFeed
from training.metrics import colourfulness, psnr


@dataclass(frozen=True)
class Setting:
    """One point of the sweep, with its averages over the photos: gain in dB, ratio to truth."""

    vividness: float
    radius: int
    eps: float
    gain: float
    colourfulness_ratio: float


def sweep(
    network: Colorizer,
    feed: CachedFeed,
    root: Path,
    settings: Publish,
    vividness: list[float],
    guided: list[tuple[int, float]],
    photos: int,
) -> Iterator[Setting]:
    """Measure every pair of a vividness and a (radius, eps), over `photos` evenly spaced.

    Mean PSNR gain over grey in sRGB at the photos' own size, and mean colourfulness of output
    over mean colourfulness of truth.
    """
    rows, _ = feed.select("val")
    rows = [rows[i] for i in evenly_spaced(len(rows), photos)]
    points = list(product(vividness, guided))
    gains = np.zeros((len(points), len(rows)))
    vivid = np.zeros((len(points), len(rows)))
    truths = np.zeros(len(rows))
    done = 0
    for batch in feed.batches(np.asarray(rows, np.int64)):
        features = network.features(batch)
        safe = network.ab(features).numpy()
        answers = {}
        for v in vividness:
            t = settings.temperature_high ** (1 - v) * settings.temperature_low**v
            annealed = network.vivid_ab(features, tf.fill([len(safe)], t)).numpy()
            blend = (1 - v) * safe + v * annealed
            answers[v] = tf.image.resize(blend, (224, 224), "bilinear").numpy()
        for i in range(len(safe)):
            truth = read_photo(root / feed.rows[rows[done]].file)
            L, _ = srgb_to_lab(truth)
            nothing = np.zeros((*L.shape, 2), np.float32)
            grey = psnr(np.asarray(lab_to_srgb(L, nothing), np.uint8), truth)
            truths[done] = colourfulness(truth)
            for p, (v, (radius, eps)) in enumerate(points):
                ab = upsample_ab(answers[v][i], L, radius=radius, eps=eps)
                output = np.asarray(lab_to_srgb(L, ab), np.uint8)
                gains[p, done] = psnr(output, truth) - grey
                vivid[p, done] = colourfulness(output)
            done += 1
    for p, (v, (radius, eps)) in enumerate(points):
        ratio = vivid[p].mean() / truths.mean()
        yield Setting(v, radius, eps, float(gains[p].mean()), float(ratio))
