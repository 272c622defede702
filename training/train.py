"""Fit the network by Keras's own `fit`: streamed views, checkpoints, exact resume."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from .config import Config, Train
from .data import Entry, evenly_spaced
from .errors import DataError, WeightsError
from .losses import rebalancing_weights, soft_bins
from .model import ColorizationModel, frozen_taps, target_side
from .network import TAP_SHAPES
from .stream import Frozen, Stream, limit_threads
from .weights import assign, load_npz, save_npz

STATISTICS_VIEWS = 256  # from which tap sizes and the bins' frequencies are estimated


class AdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW whose rate is smaller for pretrained layers."""

    def __init__(self, *args: object, factor: float, slow: Sequence[str], **kwargs: object) -> None:
        """slow: paths of the variables that learn at `factor` times the rate."""
        super().__init__(*args, **kwargs)
        self._factor, self._slow = factor, frozenset(slow)

    def build(self, var_list: list[keras.Variable]) -> None:
        """Remember which variables are slow by their place: a step sees a backend's own objects."""
        super().build(var_list)
        self._slow_places = {i for i, v in enumerate(var_list) if v.path in self._slow}

    def update_step(
        self, gradient: object, variable: keras.Variable, learning_rate: keras.KerasTensor
    ) -> None:
        """One variable's step."""
        if self._get_variable_index(variable) in self._slow_places:
            learning_rate = learning_rate * self._factor
        super().update_step(gradient, variable, learning_rate)


@keras.saving.register_keras_serializable("chromaserve")
class Trapezoid(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Up within `warmup` steps, level, and down to zero as a line in the last `decay` steps."""

    def __init__(self, peak: float, warmup: int, steps: int, decay: int) -> None:
        self.peak, self.warmup, self.steps, self.decay = peak, warmup, steps, decay

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """The rate at a step."""
        step = ops.cast(step, "float32")
        up = (step + 1) / max(1, self.warmup)
        down = (self.steps - step) / max(1, self.decay)
        return self.peak * ops.clip(ops.minimum(up, down), 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        """The arguments."""
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps, "decay": self.decay}


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a fit after some minutes, the rate falling by the clock, from epoch to epoch.

    For a machine that is there for a while, and whose speed isn't known before.
    """

    def __init__(self, settings: Train) -> None:
        super().__init__()
        assert settings.minutes is not None
        self._seconds = settings.minutes * 60
        self._peak, self._decay = settings.learning_rate, max(settings.decay, 1e-6)
        self._start = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        """Set the epoch's rate."""
        left = 1 - (time.monotonic() - self._start) / self._seconds
        self.model.optimizer.learning_rate = self._peak * float(np.clip(left / self._decay, 0, 1))

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        """Stop where no whole epoch is left."""
        spent = time.monotonic() - self._start
        if spent + spent / (epoch + 1) > self._seconds:
            self.model.stop_training = True


class Follow(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets all that is drawn follow from the epoch, so that a resumed fit draws the same.

    That is the stream's views, and dropout, whose generators Keras doesn't store.
    """

    def __init__(self, stream: Stream, seed: int) -> None:
        super().__init__()
        self._stream, self._seed = stream, seed

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        """Before the epoch's first batch is made."""
        self._stream.epoch = epoch
        for i, variable in enumerate(self.model.variables):
            if "seed_generator" in variable.path:
                random = np.random.default_rng((self._seed, epoch, i))
                variable.assign(random.integers(0, 2**31, variable.shape).astype(np.uint32))


# File -> the validation loss that it is the best by.
WATCHED = {
    "best": "loss",
    "best_regression": "regression",
    "best_distribution": "distribution",
}


class KeepWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the averaged weights as .npz: the last epoch's, and the best's of each head.

    Runs where `SwapEMAWeights` has put the average in place: within validation.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._file = folder / "best.json"
        self._best = json.loads(self._file.read_text()) if self._file.exists() else {}

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """After validation, the average still in place."""
        save_npz(self._folder / "last.npz", self.model)
        for name, measure in WATCHED.items():
            value = float((logs or {})[measure])
            if value < self._best.get(name, np.inf):
                self._best[name] = value
                save_npz(self._folder / f"{name}.npz", self.model)
        self._file.write_text(json.dumps(self._best))


def optimizer(settings: Train, model: ColorizationModel) -> keras.optimizers.Optimizer:
    """AdamW with the settings' schedule and moving average."""
    steps = settings.epochs * (settings.views_per_epoch // settings.batch)
    rate: float | Trapezoid = settings.learning_rate
    if settings.minutes is None:
        warmup = min(settings.warmup, steps // 4)
        rate = Trapezoid(settings.learning_rate, warmup, steps, round(settings.decay * steps))
    adamw = AdamW(
        rate, weight_decay=settings.weight_decay, global_clipnorm=settings.clip_norm,
        use_ema=settings.ema_momentum > 0, ema_momentum=settings.ema_momentum,
        factor=settings.encoder_factor,
        slow=[v.path for v in model.encoder.trainable_variables],
    )  # fmt: skip
    # No decay on biases and normalisation: only kernels have more than one dimension.
    adamw.exclude_from_weight_decay(
        var_list=[v for v in model.trainable_variables if len(v.shape) < 2]
    )
    return adamw


def measure_statistics(model: ColorizationModel, stream: Stream) -> None:
    """Set the taps' scales and the bins' weights from views of the stream's first batches."""
    squares = {name: np.zeros(TAP_SHAPES[name][1]) for name in model.decoder.input}
    prior, count = np.zeros(len(model.bins)), 0
    bins = ops.convert_to_tensor(model.bins)
    for i in range(min(len(stream), -(-STATISTICS_VIEWS // stream.batch))):
        x, y = stream[i]
        for name, tap in model.taps(x).items():
            if name in squares:
                squares[name] += np.mean(np.square(ops.convert_to_numpy(tap)), axis=(0, 1, 2))
        soft = soft_bins(ops.convert_to_tensor(y["ab"][:, ::2, ::2]), bins)
        prior += ops.convert_to_numpy(ops.mean(soft, (0, 1, 2)))
        count += 1
    for name, total in squares.items():
        model.decoder.get_layer(f"{name}_scale").set_weights([np.sqrt(total / count + 1e-6)])
    weights = rebalancing_weights(np.asarray(prior / count), model.config.train.rebalance)
    model.bin_weights.assign(weights)


def start(model: ColorizationModel, source: Path) -> list[str]:
    """Take weights from a run's .npz or a published version; returns what it lacks."""
    if source.is_file():
        return load_npz(source, model, grow=True)
    if not (source / "model.json").is_file():
        raise WeightsError(f"no weights to start from at {source}")
    from .export import published_weights  # needs TensorFlow

    return assign(model, published_weights(source), grow=True)


def check_config(folder: Path, config: Config) -> None:
    """Write the configuration into the run's folder; refuse another than the one there."""
    text = config.model_dump_json(indent=2)
    kept = folder / "config.json"
    if kept.exists() and kept.read_text() != text:
        raise DataError(f"{folder} holds a run of another configuration: name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(text)


def train(
    config: Config, folder: Path, entries: Sequence[Entry], root: Path
) -> keras.callbacks.History:
    """Fit; resumes from the state that an earlier, killed call left in the folder.

    Leaves last.npz and best*.npz (weights), log.csv, tensorboard/ and state/.
    Raises DataError for a folder that holds another configuration.
    """
    settings = config.train
    check_config(folder, config)
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_global_policy(settings.precision)
    limit_threads()
    chosen = [e for e in entries if e.split == "train"]
    val = [e for e in entries if e.split == "val"]
    val = [val[i] for i in evenly_spaced(len(val), settings.val_photos)]
    if not chosen or not val:
        raise DataError("training needs training and validation photos: see [data]")
    model = ColorizationModel(config)
    target = target_side(config, config.views.side)
    frozen: Frozen | None = None
    if settings.frozen == "ncnn":
        from .ncnn_encoder import NcnnEncoder, encoder_weights

        frozen = NcnnEncoder(encoder_weights(model.encoder), frozen_taps(config), config.decoder)
    stream = Stream(
        chosen, root, config.views, target, settings.batch, views=settings.views_per_epoch,
        seed=config.seed, buffer=settings.buffer, frozen=frozen, workers=settings.workers,
        processes=settings.processes,
    )  # fmt: skip
    watched = Stream(
        val, root, config.views, target_side(config, 224), min(8, settings.batch), frozen=frozen,
        workers=settings.workers,
    )  # fmt: skip
    state = folder / "state"
    if not state.exists():
        measure_statistics(model, stream)
        if settings.start_from:
            weights = np.array(model.bin_weights)
            missing = start(model, Path(settings.start_from))
            model.bin_weights.assign(weights)
            print(f"started from {settings.start_from}; new: {', '.join(missing) or 'nothing'}")
    model.compile(
        optimizer=optimizer(settings, model), jit_compile=keras.backend.backend() == "jax"
    )
    model.optimizer.build(model.trainable_variables)
    callbacks = [
        Follow(stream, config.seed),
        KeepWeights(folder),
        keras.callbacks.CSVLogger(folder / "log.csv", append=True),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.BackupAndRestore(state, double_checkpoint=True, delete_checkpoint=False),
    ]
    if settings.ema_momentum:
        callbacks.insert(2, keras.callbacks.SwapEMAWeights())
    if settings.minutes is not None:
        callbacks.append(Clock(settings))
    if keras.backend.backend() == "tensorflow":
        callbacks.append(keras.callbacks.TensorBoard(folder / "tensorboard"))
    if settings.patience < settings.epochs:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=settings.patience))
    try:
        return model.fit(
            stream,
            epochs=settings.epochs,
            validation_data=watched,
            callbacks=callbacks,
            verbose=2,
        )
    finally:
        stream.close()
