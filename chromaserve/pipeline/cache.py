"""The network's latest answers: the same photo with other options does not run it again."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_OVERHEAD = 512  # bytes of an entry beside its array, roughly


class Cache:
    """Arrays by key, the least recently used forgotten first; may be used from any thread."""

    def __init__(self, max_bytes: int) -> None:
        """Empty; with a bound of 0 it stays so."""
        self.max_bytes = max_bytes
        self.bytes = 0
        """Held now."""
        self._held: OrderedDict[Hashable, Float] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Float | None:
        """The answer to that question, which cannot be written to; None if it is not known."""
        with self._lock:
            answer = self._held.get(key)
            if answer is not None:
                self._held.move_to_end(key)
            return answer

    def keep(self, key: Hashable, answer: Float) -> None:
        """Remember an answer, which must not be changed from now on."""
        answer.flags.writeable = False
        with self._lock:
            self._forget(key)
            self._held[key] = answer
            self.bytes += answer.nbytes + _OVERHEAD
            while self.bytes > self.max_bytes:
                self._forget(next(iter(self._held)))

    def _forget(self, key: Hashable) -> None:
        answer = self._held.pop(key, None)
        if answer is not None:
            self.bytes -= answer.nbytes + _OVERHEAD


def cache_key(model: int, L: Float, vividness: float, owner: Hashable = None) -> Hashable:
    """What an answer is the answer to.

    Args:
        model: the number of a loaded model (`LoadedModel.number`), so that another one published
            under the same version does not answer with its predecessor's colours.
        L: float32 [224, 224, 1], the network's input.
        vividness: 0..1.
        owner: who asks; an answer that came fast would tell one caller what another one sent.
    """
    digest = hashlib.blake2b(np.ascontiguousarray(L).data, digest_size=32).digest()
    return model, digest, vividness, owner
