"""The model's answer for one photo: kept from before, or in a batch with others."""

from collections.abc import Hashable

import numpy as np

from chromaserve.color.proposals import proposed
from chromaserve.engines import Engine
from chromaserve.pipeline.batching import Batcher
from chromaserve.pipeline.cache import Cache, cache_key
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.observer import Observer
from chromaserve.pipeline.waiting import Ask, Float, Inference, colours


class Inferring:
    """Asks models by a batcher, unless their answer is known."""

    def __init__(self, batcher: Batcher, cache: Cache, observer: Observer) -> None:
        self._batcher = batcher
        self._cache = cache
        self._observer = observer

    async def infer(
        self,
        model: LoadedModel,
        L: Float,
        vividness: float,
        flow: Hashable,
        owner: Hashable = None,
        ask: Ask = colours,
    ) -> Inference:
        """The model's answer for one photo.

        Args:
            model: which.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1.
            flow: the request, which takes turns with others.
            owner: who asks; answers are kept for each apart.
            ask: what is wanted of the model.

        Raises:
            Busy, NotReady, EngineFailed: as `Batcher.submit`.
        """
        if not self._cache.max_bytes:
            return await self._batcher.submit(model.engines, L, vividness, flow, ask)
        key = cache_key(model.number, L, vividness, (owner, ask))
        known = self._cache.get(key)
        self._observer.answer(kept=known is not None)
        if known is not None:
            return Inference.kept(known)
        result = await self._batcher.submit(model.engines, L, vividness, flow, ask)
        self._cache.keep(key, result.ab)
        return result

    async def proposals(
        self, model: LoadedModel, L: Float, flow: Hashable, owner: Hashable = None
    ) -> Inference:
        """What the proposals after the first add to the model's answer: see `proposed`.

        Raises:
            Busy, NotReady, EngineFailed: as `Batcher.submit`.
        """
        return await self.infer(model, L, 0.0, flow, owner, _proposals)


def _proposals(engine: Engine, L: Float, _: Float) -> Float:
    """[N, 7, 28, 28, 2]; the same for every vividness."""
    found = engine.distribution(L)
    return np.stack([proposed(logits, found.bins) for logits in found.logits])
