"""What runs the network: anything with `Engine`'s members."""

from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from chromaserve.store.errors import ModelStoreError


class EngineUnusable(ModelStoreError):  # noqa: N818 - reads as a fact
    """An engine cannot run a model here; the message says why."""


@dataclass(frozen=True)
class Distribution:
    """How likely each of a model's colours is, place by place, for a batch of photos."""

    logits: NDArray[np.float32]
    """float32 [N, h, w, Q], divided by the temperature that the model was published with."""
    bins: NDArray[np.float32]
    """float32 [Q, 2], ab in Lab units."""


FEATURES: Final = 512
"""Channels of an encoder's features, which is VGG16's."""
FINE, COARSE = 28, 14
"""Places along a side of the two grids that features lie on."""


@dataclass(frozen=True)
class Features:
    """What a model's encoder sees at each place of a batch of photos: its last ReLUs at two scales.

    A place's vector has length 1, or 0 where nothing is seen: the product of two is their cosine.
    """

    fine: NDArray[np.float32]
    """float32 [N, 28, 28, 512]."""
    coarse: NDArray[np.float32]
    """float32 [N, 14, 14, 512]."""

    @classmethod
    def of(cls, fine: NDArray[np.float32], coarse: NDArray[np.float32]) -> Self:
        """Features from activations of any length."""
        return cls(_of_length_1(fine), _of_length_1(coarse))


def _of_length_1(found: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.sqrt(np.square(found).sum(-1, keepdims=True))
    return np.asarray(found / np.maximum(length, 1e-6), np.float32)


class Engine(Protocol):
    """A loaded network."""

    @property
    def name(self) -> str:
        """Which engine it is: "savedmodel" or "ncnn"."""

    @property
    def device(self) -> str:
        """Where it runs, as people say it: "CPU (8 threads)", "GPU (NVIDIA H100)"."""

    @property
    def max_batch(self) -> int:
        """The most photos that one call of `infer` may have."""

    @property
    def streams(self) -> int:
        """How many calls keep the device busy, each from a thread of its own, on the same weights.

        No more are made.
        """

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chroma of a batch.

        Args:
            L: float32 [N, 224, 224, 1] in [0, 100].
            vividness: float32 [N] in [0, 1].

        Returns:
            ab, float32 [N, 224, 224, 2] in Lab units.
        """

    @property
    def has_distribution(self) -> bool:
        """Whether the model tells how likely colours are: `distribution` may be called."""

    def distribution(self, L: NDArray[np.float32]) -> Distribution:
        """What the model's distribution head gives for a batch; called as `infer` is.

        Args:
            L: float32 [N, 224, 224, 1] in [0, 100].
        """

    @property
    def has_features(self) -> bool:
        """Whether the model has an encoder like VGG16's: `features` may be called.

        May take seconds the first time.
        """

    def features(self, L: NDArray[np.float32]) -> Features:
        """What the model's encoder sees in a batch; called as `infer` is, and costs less.

        Args:
            L: float32 [N, 224, 224, 1] in [0, 100].
        """

    def infer_with_features(
        self, L: NDArray[np.float32], vividness: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Features]:
        """What `infer` and `features` give, by one run of the network."""
