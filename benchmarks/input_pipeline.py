"""Whether reading keeps up with training: images a second of the feed, of the step, of both.

    python -m benchmarks.input_pipeline --cache runs/default/cache --images 320

The step alone runs on one batch that is in memory already. Without --cache, cached taps are left
out; photos, with augmentation, are read from --photos and fitted end to end.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.colorizer import build_colorizer
from training.config import Augment, Config, read_config
from training.data import SUFFIXES, Entry
from training.feed import Batch, CachedFeed, PhotoFeed
from training.strategy import distribute
from training.trainer import Trainer

WARM_UP = 2  # steps that aren't counted: tracing, and the allocator's first touch
OFFSET = (0, 1)


def rate(batches: Iterable[Batch], work: Callable[[Batch], object], steps: int) -> float:
    """Images a second over so many steps, after a warm-up."""
    images = 0
    for i, batch in enumerate(batches):
        if i == WARM_UP:
            images, began = 0, time.perf_counter()
        work(batch)
        images += int(batch["ab"].shape[0])
        if i + 1 == WARM_UP + steps:
            break
    return images / (time.perf_counter() - began)


def reading_rate(batches: Iterable[Batch]) -> float:
    """Images a second of all batches from the start: what was read ahead is counted too."""
    began = time.perf_counter()
    images = sum(int(batch["ab"].shape[0]) for batch in batches)
    return images / (time.perf_counter() - began)


def measure(name: str, config: Config, batches: Callable[[], Iterable[Batch]],
            from_cache: bool, steps: int) -> None:  # fmt: skip
    """Print a row of the table."""
    distribution = distribute(config.fit)
    network = build_colorizer(
        config, with_encoder=not from_cache or config.encoder.trainable_from is not None,
        from_cache=from_cache,
    )  # fmt: skip
    weights = np.ones(len(network.bins), np.float32)
    trainer = Trainer(config, network, weights, 1000, distribution)

    def step(batch: Batch) -> float:
        return float(trainer.step(batch, tf.constant(OFFSET, tf.int32))["loss"])

    one = next(iter(batches()))
    fitting = rate(repeat(one), step, steps)
    both = rate(batches(), step, steps)
    reading = reading_rate(batches())
    print(f"{name:34} {reading:9.1f} {fitting:9.1f} {both:9.1f} {fitting / reading:8.1%}"
          f" {1 - both / fitting:8.1%}", flush=True)  # fmt: skip


def with_encoder(config: Config, trainable_from: str | None) -> Config:
    encoder = {"weights": "none", "trainable_from": trainable_from}
    return Config.model_validate(config.model_dump() | {"encoder": encoder})


def long_order(rows: list[int], images: int) -> NDArray[np.int64]:
    random = np.random.default_rng()  # another each time: not what the page cache still holds
    return np.asarray(rows, np.int64)[random.integers(0, len(rows), images)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", type=Path, default=Path("training/configs/default.toml"))
    parser.add_argument("--cache", type=Path, help="cached taps, as `cache` leaves them")
    parser.add_argument("--photos", type=Path, default=Path("samples/colour"))
    parser.add_argument("--images", type=int, default=320, help="read from the cache")
    parser.add_argument("--photo-images", type=int, default=64, help="read from photos")
    parser.add_argument("--steps", type=int, default=4, help="steps that are timed")
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    batch = config.fit.batch
    keras.mixed_precision.set_global_policy(config.fit.precision)
    print(f"images a second, batches of {batch}, {config.fit.precision}\n")
    print(f"{'':34} {'feed':>9} {'step':>9} {'both':>9} {'of step':>8} {'lost':>8}")
    if arguments.cache:
        cached = CachedFeed(arguments.cache, batch)
        rows, _ = cached.select("train")
        images = max(arguments.images // batch, arguments.steps + WARM_UP) * batch
        for name, trainable_from in (
            ("cached taps", None),
            ("cached taps, block5", "block5"),
            ("cached taps, block4 and 5", "block4"),
        ):
            chosen = with_encoder(config, trainable_from)
            taps = build_colorizer(chosen, trainable_from is not None, from_cache=True).needed_taps
            measure(
                name, chosen,
                lambda taps=taps: cached.batches(long_order(rows, images), taps),  # type: ignore[misc]
                True, arguments.steps,
            )  # fmt: skip
    files = sorted(p for p in arguments.photos.rglob("*") if p.suffix.lower() in SUFFIXES)
    entries = [Entry(p.name, ".", "", "train", "", 0.0) for p in files]
    images = max(arguments.photo_images // batch, arguments.steps + WARM_UP) * batch
    plain = Augment()
    for name, settings in (
        ("photos, block5", plain),
        ("photos, augmented, block5", Augment(chance=0.25, min_area=0.35)),
    ):
        photos = PhotoFeed(arguments.photos, entries, batch, 0, settings)
        measure(
            name, with_encoder(config, "block5"),
            lambda photos=photos: photos.batches(long_order(list(range(len(files))), images)),  # type: ignore[misc]
            False, arguments.steps,
        )  # fmt: skip


if __name__ == "__main__":
    main()
