"""A photo that waits for the model, and what it gets."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import Engine

Float = NDArray[np.float32]
Ask = Callable[[Engine, Float, Float], Float]
"""Of an engine, L [N, 224, 224, 1] and vividness [N]: an array for each photo, [N, ...]."""


@dataclass(frozen=True)
class Inference:
    """One photo's result, and how it got it."""

    ab: Float
    """float32 [224, 224, 2] in Lab units; or what else was asked for."""
    batch: int
    """Photos in the batch that it went with; 0 for an answer kept from before."""
    calls: float
    """Batches under way at once meanwhile, its own included, on average."""
    queue_s: float
    inference_s: float
    looks: int = 1
    """How often the model ran for it; 0 for an answer kept from before."""
    model_s: float = 0.0
    """Its part of those batches' time."""

    @classmethod
    def kept(cls, ab: Float) -> Self:
        """An answer that is there, for which no model was asked."""
        return cls(ab, batch=0, calls=0, queue_s=0, inference_s=0, looks=0)


def colours(engine: Engine, L: Float, vividness: Float) -> Float:
    """What engines are asked for as a rule: ab."""
    return engine.infer(L, vividness)


@dataclass(eq=False)
class Waiting:
    """A photo in the queue."""

    engines: Sequence[Engine]
    streams: Sequence[Engine]
    """The engine of each thread, for as many as have one."""
    L: Float
    vividness: float
    ask: Ask
    further: bool = False
    """Whether it is another look at a photo that has its place in the queue."""
    future: "Future[Inference]" = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)

    def fail(self, error: Exception) -> None:
        """It has none."""
        with suppress(InvalidStateError):  # given up meanwhile
            self.future.set_exception(error)

    def succeed(self, result: Inference) -> None:
        """It has this one."""
        with suppress(InvalidStateError):
            self.future.set_result(result)
