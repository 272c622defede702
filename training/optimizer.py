"""How weights move: AdamW, slower for pretrained layers, and its rate over the steps."""

from collections.abc import Sequence

import keras
from keras import ops

from .config import Train
from .model import ColorizationModel


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
        slow=[v.path for v in model.pretrained_variables],
    )  # fmt: skip
    # No decay on biases and normalisation: only kernels have more than one dimension.
    adamw.exclude_from_weight_decay(
        var_list=[v for v in model.trainable_variables if len(v.shape) < 2]
    )
    return adamw
