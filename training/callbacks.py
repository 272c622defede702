"""What happens between a fit's epochs: weights kept, draws seeded by the epoch, the clock."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from .config import Train
from .errors import TrainingError
from .stream import Stream
from .weights import save_npz


class Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a fit after some minutes; the rate rises by the step and falls by the clock.

    For a machine that is there for a while, and whose speed isn't known before.
    """

    def __init__(self, settings: Train) -> None:
        super().__init__()
        assert settings.minutes is not None
        self._seconds = settings.minutes * 60
        self._peak, self._decay = settings.learning_rate, max(settings.decay, 1e-6)
        self._warmup, self._steps = max(1, settings.warmup), 0
        self._start, self._validation = time.monotonic(), 0.0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        """Set the step's rate."""
        self._steps += 1
        left = self._left() / self._seconds
        share = min(self._steps / self._warmup, left / self._decay, 1)
        self.model.optimizer.learning_rate = self._peak * max(share, 0)

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        """Stop, within an epoch too, where there is time for a validation alone."""
        if self._left() <= 0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Begin no other one, either."""
        self.on_train_batch_end(epoch, logs)

    def on_test_begin(self, logs: object = None) -> None:  # noqa: ARG002
        """See how long a validation takes."""
        self._validating = time.monotonic()

    def on_test_end(self, logs: object = None) -> None:  # noqa: ARG002
        """Leave as long for the last one."""
        self._validation = time.monotonic() - self._validating

    def _left(self) -> float:
        """Seconds for steps."""
        return self._start + self._seconds - self._validation - time.monotonic()


class Follow(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets all that is drawn follow from the epoch, so that a resumed fit draws the same.

    That is the stream's views, and dropout, whose generators Keras doesn't store.
    """

    def __init__(self, stream: Stream, seed: int) -> None:
        super().__init__()
        self._stream, self._seed = stream, seed

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        """Before the epoch's first batch is made."""
        self._start, self._steps = time.monotonic(), 0
        self._stream.epoch = epoch
        for i, variable in enumerate(self.model.variables):
            if "seed_generator" in variable.path:
                random = np.random.default_rng((self._seed, epoch, i))
                variable.assign(random.integers(0, 2**31, variable.shape).astype(np.uint32))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:  # noqa: ARG002
        """End before anything is kept of a fit that has come apart. Raises TrainingError."""
        self._steps += 1
        if not np.isfinite(logs["loss"]):
            raise TrainingError("the loss is no number: lower learning_rate, in another --run")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Tell the log how many views it had, few where the clock cut it, and how long it took."""
        if logs is not None:
            logs["views"] = self._steps * self._stream.batch
            logs["seconds"] = round(time.monotonic() - self._start, 1)


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
