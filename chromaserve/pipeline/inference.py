"""The model's answer for one photo: kept from before, or in a batch with others."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from chromaserve.color.confidence import moments
from chromaserve.color.proposals import proposed, with_proposal
from chromaserve.engines import Engine
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.batching import Batcher
from chromaserve.pipeline.cache import Cache, cache_key
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.observer import Observer
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.waiting import Ask, Float, Inference, colours


@dataclass(frozen=True)
class Answer:
    """All that an order needs of the model."""

    inference: Inference
    """The proposal that is wanted, with the times of all that it took."""
    moments: Float | None = None
    """float32 [h, w, 3] of the distribution behind it, where confidence is wanted."""


NO_ANSWER = Answer(Inference.kept(np.zeros((1, 1, 2), np.float32)))


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

    async def answer(self, L: Float, order: Order, ticket: Ticket) -> Answer:
        """The proposal that is wanted, and where confidence is, what that is made of.

        Raises:
            Busy, NotReady, EngineFailed: as `Batcher.submit`.
        """
        model, owner = order.model, ticket.owner
        answer = await self.infer(model, L, order.vividness, ticket, owner)
        if order.proposal > 1:
            further = await self.infer(model, L, 0.0, ticket, owner, _proposals)
            ab = with_proposal(answer.ab, further.ab[order.proposal - 2])
            answer = replace(_both(answer, further), ab=ab)
        if not order.confidence:
            return Answer(answer)
        found = await self.infer(model, L, 0.0, ticket, owner, _moments)
        return Answer(_both(answer, found), found.ab)


def _both(one: Inference, further: Inference) -> Inference:
    """The first one with the times of both."""
    return replace(
        one,
        batch=one.batch or further.batch,
        calls=one.calls if one.batch else further.calls,
        queue_s=one.queue_s + further.queue_s,
        inference_s=one.inference_s + further.inference_s,
    )


def _proposals(engine: Engine, L: Float, _: Float) -> Float:
    """[N, 7, 28, 28, 2]; the same for every vividness."""
    found = engine.distribution(L)
    return np.stack([proposed(logits, found.bins) for logits in found.logits])


def _moments(engine: Engine, L: Float, _: Float) -> Float:
    """[N, h, w, 3]; the same for every vividness."""
    found = engine.distribution(L)
    return np.stack([moments(logits, found.bins) for logits in found.logits])
