"""Fit the network: from cached taps (encoder frozen), or end to end with unfrozen blocks."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.colorizer import Colorizer, build_colorizer
from training.config import Config
from training.features import Taps
from training.feed import Batch, CachedFeed, PhotoFeed
from training.losses import (
    chroma_weights,
    distribution_loss,
    log_mean_squared_error,
    mean_squared_error,
    rebalancing_weights,
    soft_bins,
)
from training.metrics import Accuracy, mean_gain_db
from training.network import AB_SCALE, TAP_SHAPES
from training.run import (
    Run,
    append_history,
    average_with,
    load_weights,
    save_weights,
    trim_history,
)
from training.start import start_from

STATISTICS_ROWS = 512  # images from which tap sizes and the bins' frequencies are estimated


class Trainer:
    """One training step, compiled; its losses and its optimisers."""

    def __init__(self, config: Config, network: Colorizer, weights: NDArray[np.float32],
                 total_steps: int) -> None:  # fmt: skip
        self.config = config
        self.network = network
        self._bins = tf.constant(network.bins)
        self._bin_weights = tf.constant(weights)
        fit = config.fit

        def adamw(peak: float) -> keras.optimizers.Optimizer:
            warmup = min(fit.warmup_steps, total_steps // 4)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, total_steps - warmup, warmup_target=peak, warmup_steps=warmup
            )
            return keras.optimizers.AdamW(
                rate, weight_decay=fit.weight_decay, global_clipnorm=fit.clip_norm,
                use_ema=fit.ema_momentum > 0, ema_momentum=fit.ema_momentum,
            )  # fmt: skip

        self.heads_optimizer = adamw(fit.learning_rate)
        pretrained = (network.encoder, network.fusion)
        self.heads_variables = [
            v for m in network.trainable_parts if m not in pretrained
            for v in m.trainable_variables
        ]  # fmt: skip
        # No decay on biases and normalisation: only kernels have more than one dimension.
        self.heads_optimizer.exclude_from_weight_decay(
            var_list=[v for v in self.heads_variables if len(v.shape) < 2]
        )
        self.heads_optimizer.build(self.heads_variables)
        self.encoder_variables = [
            v for m in pretrained if m is not None for v in m.trainable_variables
        ]
        self.encoder_optimizer = None
        if self.encoder_variables:
            self.encoder_optimizer = adamw(fit.encoder_learning_rate)
            self.encoder_optimizer.build(self.encoder_variables)
        self.step = tf.function(self._step, autograph=False, reduce_retracing=True)
        self.predict = tf.function(self._predict, autograph=False, reduce_retracing=True)

    def _features(self, batch: Batch, training: bool) -> tf.Tensor:
        network = self.network
        if "L" in batch:
            taps = network.taps(batch["L"], training)
        else:
            taps = network.refreshed(batch, training)
        return network.features(taps, training)

    def _regression_loss(self, predicted: tf.Tensor, ab: tf.Tensor) -> tf.Tensor:
        fit = self.config.fit
        weights = chroma_weights(ab, fit.chroma_weight) if fit.chroma_weight else 1.0
        if fit.regression_loss == "log_mse":
            return log_mean_squared_error(predicted, ab, fit.log_mse_floor, weights)
        return mean_squared_error(predicted, ab, weights)

    def _distribution_loss(
        self, features: tf.Tensor, ab: tf.Tensor, offset: tf.Tensor
    ) -> tf.Tensor:
        if not self.config.fit.distribution_weight:
            return tf.constant(0.0)
        dy, dx = offset[0], offset[1]
        return distribution_loss(
            self.network.distribution(features[:, dy::2, dx::2]),
            ab[:, dy::2, dx::2], self._bins, self._bin_weights,
        )  # fmt: skip

    def _step(self, batch: Batch, offset: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step; offset int32 [2] in {0, 1} says which quarter of the pixels the bins see."""
        fit, network = self.config.fit, self.network
        with tf.GradientTape() as tape:
            features = self._features(batch, True)
            regression = self._regression_loss(network.regression(features), batch["ab"])
            distribution = self._distribution_loss(features, batch["ab"], offset)
            penalties = [x for m in network.trainable_parts for x in m.losses]
            penalty = tf.add_n(penalties) if penalties else tf.constant(0.0)
            loss = (
                fit.regression_weight * regression
                + fit.distribution_weight * distribution
                + penalty
            )
        gradients = tape.gradient(loss, self.heads_variables + self.encoder_variables)
        n = len(self.heads_variables)
        self.heads_optimizer.apply(gradients[:n], self.heads_variables)
        if self.encoder_optimizer is not None:
            self.encoder_optimizer.apply(gradients[n:], self.encoder_variables)
        return {"loss": loss, "regression": regression, "distribution": distribution,
                "penalty": penalty}  # fmt: skip

    def _predict(self, batch: Batch) -> tf.Tensor:
        return self.network.ab(self._features(batch, False))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the weights are their moving average, where the settings ask for one."""
        if not self.config.fit.ema_momentum:
            yield
            return
        optimizers = [(self.heads_optimizer, self.heads_variables)]
        if self.encoder_optimizer is not None:
            optimizers.append((self.encoder_optimizer, self.encoder_variables))
        kept = [[tf.identity(v.value) for v in variables] for _, variables in optimizers]
        for optimizer, variables in optimizers:
            optimizer.finalize_variable_values(variables)
        try:
            yield
        finally:
            for (_, variables), values in zip(optimizers, kept, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)

    def validate(self, batches: tf.data.Dataset) -> dict[str, float]:
        """Regression loss, gain over grey in ab (dB) and the thesis's accuracy, over a split."""
        losses, gains, accuracy = list[float](), list[float](), Accuracy()
        for batch in batches:
            predicted, ab = self.predict(batch), batch["ab"]
            losses.append(float(self._regression_loss(predicted / AB_SCALE, ab)) * len(ab))
            gains += mean_gain_db(predicted.numpy(), ab.numpy())
            accuracy.add(predicted.numpy(), ab.numpy())
        return {
            "val_regression": sum(losses) / max(1, len(gains)),
            "val_gain_db": float(np.mean(gains)),
            "val_accuracy": accuracy.value,
        }


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
    """
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_global_policy(config.fit.precision)
    end_to_end = isinstance(feed, PhotoFeed)
    network = build_colorizer(
        config, with_encoder=end_to_end or config.encoder.trainable_from is not None,
        from_cache=not end_to_end,
    )  # fmt: skip
    rows, _ = feed.select("train")
    val, _ = feed.select("val")
    if not rows or not val:
        raise ValueError("fit needs training and validation images")
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
    per_epoch = config.fit.images_per_epoch or len(rows)
    total_steps = config.fit.epochs * -(-per_epoch // config.fit.batch)
    weights = rebalancing_weights(prior, config.fit.rebalance)
    trainer = Trainer(config, network, weights, total_steps)

    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "config.json").write_text(config.model_dump_json(indent=2))
    progress = tf.Variable([0, -1, 0], dtype=tf.int64)  # epochs done, best epoch, images seen
    best = tf.Variable(-1e9, dtype=tf.float64)
    tracked = {m.name: m for m in network.trainable_parts} | {
        "optimizer": trainer.heads_optimizer, "progress": progress, "best": best,
    }  # fmt: skip
    if trainer.encoder_optimizer is not None:
        tracked["encoder_optimizer"] = trainer.encoder_optimizer
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(**tracked), str(run.state), 2)
    if manager.restore_or_initialize():
        report(f"resumed after epoch {int(progress[0])}")
    summary = run.folder / "summary.json"
    earlier = json.loads(summary.read_text()) if summary.exists() else None
    if earlier and earlier["best_val_gain_db"] > float(best):
        best.assign(earlier["best_val_gain_db"])  # the mean that an earlier call ended with
    trim_history(run.history, int(progress[0]))
    needed = () if end_to_end else (network.needed_taps,)
    writer = tf.summary.create_file_writer(str(run.folder / "tensorboard"))

    for epoch in range(int(progress[0]) + 1, config.fit.epochs + 1):
        if epoch - 1 - int(progress[1]) >= config.fit.patience and int(progress[1]) > 0:
            report(f"no progress for {config.fit.patience} epochs: stopped")
            break
        clock = tf.timestamp()
        order = draw(feed, config, epoch)
        random = np.random.default_rng((config.seed, epoch, 1))
        sums: dict[str, float] = {}
        done = 0
        for batch in feed.batches(order, *needed):
            n = int(batch["ab"].shape[0])
            losses = trainer.step(batch, tf.constant(random.integers(0, 2, 2), tf.int32))
            done += n
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value) * n
            if not np.isfinite(sums["loss"]):
                raise FloatingPointError(f"the loss is no longer finite in epoch {epoch}")
            on_images(done, len(order))
        line = {name: value / done for name, value in sums.items()}
        with trainer.averaged():
            line |= trainer.validate(feed.batches(np.asarray(val, np.int64), *needed))
            better = line["val_gain_db"] > float(best)
            if better:
                save_weights(run.best, network.trainable_parts)
            if better or epoch == config.fit.epochs:
                save_weights(run.last, network.trainable_parts)
        rate = float(trainer.heads_optimizer.learning_rate)
        seconds = float(tf.timestamp() - clock)
        progress.assign([epoch, int(progress[1]), int(progress[2]) + done])
        if better:
            best.assign(line["val_gain_db"])
            progress.assign([epoch, epoch, int(progress[2])])
        line |= {"epoch": epoch, "images": int(progress[2]), "learning_rate": rate,
                 "seconds": seconds}  # fmt: skip
        append_history(run.history, line)
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
    if earlier and earlier["images_seen"] == int(progress[2]):
        return
    load_weights(run.last, network.trainable_parts)
    average_with(run.best, network.trainable_parts)
    gain = trainer.validate(feed.batches(np.asarray(val, np.int64), *needed))["val_gain_db"]
    report(f"mean of best and last weights: gain over grey in ab {gain:+.2f} dB")
    if gain > float(best):
        save_weights(run.best, network.trainable_parts)
    summary.write_text(
        json.dumps({"best_epoch": int(progress[1]), "best_val_gain_db": max(gain, float(best)),
                    "images_seen": int(progress[2])})
    )  # fmt: skip
