"""One training step and one validation, compiled: losses, gradients, optimisers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .colorizer import Colorizer
from .config import Config
from .feed import Batch
from .losses import (
    chroma_weights,
    distribution_loss,
    log_mean_squared_error,
    mean_squared_error,
)
from .metrics import Accuracy, mean_gain_db
from .network import AB_SCALE
from .strategy import Distribution


class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW for gradients that are already those of the whole batch, alike on every replica.

    Keras would clip each replica's own gradients, and sum them after that: N replicas would not
    clip as one device does.
    """

    def _all_reduce_sum_gradients(
        self, grads_and_vars: list[tuple[tf.Tensor, tf.Variable]]
    ) -> list[tuple[tf.Tensor, tf.Variable]]:
        return grads_and_vars


class Trainer:
    """One training step, compiled; its losses and its optimisers.

    Made within the strategy's scope. weights [Q] are of the ab bins.
    """

    def __init__(self, config: Config, network: Colorizer, weights: NDArray[np.float32],
                 total_steps: int, distribution: Distribution) -> None:  # fmt: skip
        self.config = config
        self.network = network
        self._distribution = distribution
        distribution.synchronise_normalisation(network.decoder)
        self._bins = tf.constant(network.bins)
        self._bin_weights = tf.constant(weights)
        fit = config.fit

        def adamw(peak: float) -> keras.optimizers.Optimizer:
            warmup = min(fit.warmup_steps, total_steps // 4)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, total_steps - warmup, warmup_target=peak, warmup_steps=warmup
            )
            return AdamW(
                rate, weight_decay=fit.weight_decay, global_clipnorm=fit.clip_norm,
                use_ema=fit.ema_momentum > 0, ema_momentum=fit.ema_momentum,
            )  # fmt: skip

        self.heads_optimizer = adamw(fit.learning_rate)
        pretrained = (network.encoder, network.fusion)
        heads = [network.decoder, network.regression]
        if fit.distribution_weight:
            heads.append(network.distribution)
        self.heads_variables = [v for m in heads for v in m.trainable_variables]
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
        strategy = self._distribution.strategy
        losses = strategy.run(self._replica_step, (batch, offset))
        return {n: strategy.experimental_local_results(x)[0] for n, x in losses.items()}

    def _replica_step(self, batch: Batch, offset: tf.Tensor) -> dict[str, tf.Tensor]:
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
        losses = {"loss": loss, "regression": regression, "distribution": distribution,
                  "penalty": penalty}  # fmt: skip
        gradients = tape.gradient(loss, self.heads_variables + self.encoder_variables)
        gradients, losses = self._of_whole_batch(gradients, losses)
        n = len(self.heads_variables)
        self.heads_optimizer.apply(gradients[:n], self.heads_variables)
        if self.encoder_optimizer is not None:
            self.encoder_optimizer.apply(gradients[n:], self.encoder_variables)
        return losses

    def _of_whole_batch(
        self, gradients: list[tf.Tensor | None], losses: dict[str, tf.Tensor]
    ) -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor]]:
        """Means over the replicas: every loss is a mean over photos, or a penalty on weights."""
        if self._distribution.replicas == 1:
            return gradients, losses
        present = [g for g in gradients if g is not None]
        context = tf.distribute.get_replica_context()
        means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [*losses.values(), *present])
        n = len(losses)
        reduced = iter(means[n:])
        return (
            [None if g is None else next(reduced) for g in gradients],
            dict(zip(losses, means[:n], strict=True)),
        )

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

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
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
