"""What makes the views of a stream, here or in a worker process, which needs no Keras for it."""

import os
import threading
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from .config import Views
from .data import Entry, read_entry
from .views import view, whole

if TYPE_CHECKING:
    from .tap_cache import TapCache

Float = NDArray[np.float32]


class Frozen(Protocol):
    """Computes the taps of the encoder's frozen blocks on the worker."""

    def __call__(self, L: Float) -> dict[str, Float]:
        """L float32 [side, side, 1] -> taps [h, w, C] by name, as the model takes them."""


@dataclass(frozen=True)
class Maker:
    """Makes views: all that a worker process needs to know."""

    root: Path
    settings: Views
    target: int
    seed: int
    frozen: Frozen | None = None
    taps: "TapCache | None" = None

    def __call__(self, entry: Entry, number: int | None) -> tuple[dict[str, Float], Float]:
        """The view of that number; the photo as it is where there is none."""

        def read() -> tuple[Float, Float]:
            return whole(read_entry(self.root, entry), self.target)

        if number is None and self.taps is not None:
            return self.taps(entry.sha256, read)
        if number is None:
            L, ab = read()
        else:
            random = np.random.default_rng((self.seed, number))
            L, ab = view(read_entry(self.root, entry), self.settings, self.target, random)
        return (self.frozen(L) if self.frozen else {"L": L}), ab


_maker: Maker | None = None


def start(maker: Maker) -> None:
    """Begin a worker process, which makes what `make` is asked for."""
    global _maker
    cv2.setNumThreads(1)
    _maker = maker
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A fit that is killed leaves no process behind."""
    if parent := parent_process():
        parent.join()
        os._exit(0)


def make(jobs: list[tuple[Entry, int | None]]) -> list[tuple[dict[str, Float], Float]]:
    """Views in a worker process: see `Maker`."""
    assert _maker is not None
    return [_maker(*job) for job in jobs]
