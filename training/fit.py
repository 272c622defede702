"""Fit the network: from cached taps (encoder frozen), or end to end with unfrozen blocks."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .colorizer import Colorizer, build_colorizer
from .config import Config
from .errors import DataError
from .features import Taps
from .feed import CachedFeed, PhotoFeed
from .losses import rebalancing_weights, soft_bins
from .network import TAP_SHAPES
from .run import (
    Run,
    append_history,
    average_with,
    load_weights,
    save_weights,
    trim_history,
)
from .start import start_from
from .strategy import Distribution, distribute
from .trainer import Trainer

STATISTICS_ROWS = 512  # images from which tap sizes and the bins' frequencies are estimated


def statistics(batches: tf.data.Dataset, network: Colorizer) -> tuple[Taps, NDArray[np.float32]]:
    """Measure each tap's root mean square a channel, and how often each ab bin occurs [Q]."""
    squares: dict[str, NDArray[np.float64]] = {
        name: np.zeros(TAP_SHAPES[name][1]) for name in network.decoder.input if name in TAP_SHAPES
    }
    prior = np.zeros(len(network.bins), np.float64)
    count = 0
    for batch in batches:
        taps = network.taps(batch["L"]) if "L" in batch else batch
        for name in squares:
            mean = np.mean(np.square(taps[name].numpy()), axis=(0, 1, 2), dtype=np.float64)
            squares[name] += mean
        prior += tf.reduce_mean(soft_bins(batch["ab"], tf.constant(network.bins)), (0, 1, 2))
        count += 1
    rms = {n: np.sqrt(s / count + 1e-6).astype(np.float32) for n, s in squares.items()}
    return rms, np.asarray(prior / count, np.float32)


def draw(feed: CachedFeed | PhotoFeed, config: Config, epoch: int) -> NDArray[np.int64]:
    """Draw an epoch's order: seeded by epoch, so that a resumed run draws the same."""
    fit = config.fit
    random = np.random.default_rng((config.seed, epoch))
    rows = [i for i in feed.select("train")[0] if feed.rows[i].copy <= fit.copies]
    weights = np.array([
        fit.weights_by_folder.get(feed.rows[i].folder, 1.0)
        * fit.weights_by_kind.get(feed.rows[i].kind, 1.0)
        for i in rows
    ])  # fmt: skip
    wanted = fit.images_per_epoch or len(rows)
    if wanted >= len(rows) and np.ptp(weights) == 0:
        order = np.tile(random.permutation(len(rows)), -(-wanted // len(rows)))[:wanted]
    else:
        order = random.choice(
            len(rows), wanted, replace=wanted > len(rows), p=weights / weights.sum()
        )
    return np.asarray(rows, np.int64)[order]


def fit(
    config: Config,
    run: Run,
    feed: CachedFeed | PhotoFeed,
    report: Callable[[str], None],
    on_images: Callable[[int, int], None],
) -> None:
    """Fit and leave the best weights, the history and the state in the run's folder.

    At the end the mean of best and last weights takes the best's place if it validates better:
    points of one trajectory often lie on both sides of a flat minimum (Izmailov et al. 2018).
    Resumes from the state that an earlier, killed call left. report gets a line an epoch,
    on_images (images done, images in the epoch) after each batch.

    Runs where `[fit] strategy` says (training.strategy; StrategyError). Of several hosts each
    calls this with the same run's folder, which all must see; the chief writes it and reports.
    """
    distribution = distribute(config.fit)
    if distribution.chief:
        _fit(config, run, run, feed, distribution, report, on_images)
    else:
        # Saving may need every host, so all do it; what the others write is of no use.
        with tempfile.TemporaryDirectory() as scratch:
            _fit(config, run, Run(Path(scratch)), feed, distribution, _silent, _silent)
    distribution.wait()


def _silent(*_: object) -> None:
    """Say nothing."""


def _fit(
    config: Config,
    run: Run,
    own: Run,
    feed: CachedFeed | PhotoFeed,
    distribution: Distribution,
    report: Callable[[str], None],
    on_images: Callable[[int, int], None],
) -> None:
    """Read from the run's folder, write to one's own."""
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_global_policy(config.fit.precision)
    end_to_end = isinstance(feed, PhotoFeed)
    with distribution.strategy.scope():
        network = build_colorizer(
            config, with_encoder=end_to_end or config.encoder.trainable_from is not None,
            from_cache=not end_to_end,
        )  # fmt: skip
    rows, _ = feed.select("train")
    val, _ = feed.select("val")
    if not rows or not val:
        raise DataError("fit needs training and validation photos: see [data] of the configuration")
    sample = np.asarray(rows, np.int64)[:: max(1, len(rows) // STATISTICS_ROWS)]
    rms, prior = statistics(feed.batches(sample), network)
    for name, scale in rms.items():
        network.decoder.get_layer(f"{name}_scale").set_weights([scale])
    if network.fusion is not None:
        load_weights(run.fusion, [network.fusion])
    if config.fit.start_from:
        new = start_from(Path(config.fit.start_from), network)
        report(
            f"started from {config.fit.start_from}" + (f", new: {', '.join(new)}" if new else "")
        )
    per_epoch = len(distribution.whole_batches(draw(feed, config, 1), feed.batch))
    total_steps = config.fit.epochs * -(-per_epoch // feed.batch)
    weights = rebalancing_weights(prior, config.fit.rebalance)
    with distribution.strategy.scope():
        trainer = Trainer(config, network, weights, total_steps, distribution)

    own.folder.mkdir(parents=True, exist_ok=True)
    (own.folder / "config.json").write_text(config.model_dump_json(indent=2))
    progress = tf.Variable([0, -1, 0], dtype=tf.int64)  # epochs done, best epoch, images seen
    best = tf.Variable(-1e9, dtype=tf.float64)
    tracked = {m.name: m for m in network.trainable_parts} | {
        "optimizer": trainer.heads_optimizer, "progress": progress, "best": best,
    }  # fmt: skip
    if trainer.encoder_optimizer is not None:
        tracked["encoder_optimizer"] = trainer.encoder_optimizer
    checkpoint = tf.train.Checkpoint(**tracked)
    manager = tf.train.CheckpointManager(checkpoint, str(own.state), 2)
    if state := tf.train.latest_checkpoint(str(run.state)):
        checkpoint.restore(state)
        report(f"resumed after epoch {int(progress[0])}")
    distribution.spread_seeds(network.trainable_parts)
    summary = run.folder / "summary.json"
    earlier = json.loads(summary.read_text()) if summary.exists() else None
    if earlier and earlier["best_val_gain_db"] > float(best):
        best.assign(earlier["best_val_gain_db"])  # the mean that an earlier call ended with
    trim_history(own.history, int(progress[0]))
    needed = None if end_to_end else network.needed_taps
    writer = tf.summary.create_file_writer(str(own.folder / "tensorboard"))

    def validate() -> dict[str, float]:
        """All of it on each host's first device."""
        batches = feed.batches(np.asarray(val, np.int64), *(() if needed is None else (needed,)))
        return trainer.validate(batches)

    for epoch in range(int(progress[0]) + 1, config.fit.epochs + 1):
        if epoch - 1 - int(progress[1]) >= config.fit.patience and int(progress[1]) > 0:
            report(f"no progress for {config.fit.patience} epochs: stopped")
            break
        clock = tf.timestamp()
        order = distribution.whole_batches(draw(feed, config, epoch), feed.batch)
        random = np.random.default_rng((config.seed, epoch, 1))
        sums: dict[str, float] = {}
        done = 0
        for batch in distribution.batches(feed, order, needed):
            n = distribution.images(batch)
            losses = trainer.step(batch, tf.constant(random.integers(0, 2, 2), tf.int32))
            done += n
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) * n
            if not np.isfinite(sums["loss"]):
                raise FloatingPointError(f"the loss is no longer finite in epoch {epoch}")
            on_images(done, len(order))
        line = {name: value / done for name, value in sums.items()}
        with trainer.averaged():
            line |= validate()
            line["val_gain_db"] = distribution.agreed(line["val_gain_db"])
            better = line["val_gain_db"] > float(best)
            if better:
                save_weights(own.best, network.trainable_parts)
            save_weights(own.last, network.trainable_parts)
        rate = float(trainer.heads_optimizer.learning_rate)
        seconds = float(tf.timestamp() - clock)
        progress.assign([epoch, int(progress[1]), int(progress[2]) + done])
        if better:
            best.assign(line["val_gain_db"])
            progress.assign([epoch, epoch, int(progress[2])])
        line |= {"epoch": epoch, "images": int(progress[2]), "learning_rate": rate,
                 "seconds": seconds}  # fmt: skip
        append_history(own.history, line)
        with writer.as_default(step=epoch):
            for name, value in line.items():
                tf.summary.scalar(name, value)
        writer.flush()
        manager.save()
        report(
            f"epoch {epoch}/{config.fit.epochs}: loss {line['loss']:.4f}, "
            f"gain over grey in ab {line['val_gain_db']:+.2f} dB, "
            f"accuracy {line['val_accuracy']:.3f}, {seconds:.0f} s"
        )
    if not distribution.chief or (earlier and earlier["images_seen"] == int(progress[2])):
        return
    load_weights(own.last, network.trainable_parts)
    average_with(own.best, network.trainable_parts)
    gain = validate()["val_gain_db"]
    report(f"mean of best and last weights: gain over grey in ab {gain:+.2f} dB")
    if gain > float(best):
        save_weights(own.best, network.trainable_parts)
    (own.folder / "summary.json").write_text(
        json.dumps({"best_epoch": int(progress[1]), "best_val_gain_db": max(gain, float(best)),
                    "images_seen": int(progress[2])})
    )  # fmt: skip
