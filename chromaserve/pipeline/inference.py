"""The model's answer for one photo: kept from before, or in a batch with others."""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from chromaserve.color.confidence import moments
from chromaserve.color.proposals import proposed, with_proposal
from chromaserve.color.tiles import Tiling, joined
from chromaserve.color.vividness import asked, livened
from chromaserve.engines import Engine
from chromaserve.pipeline.batching import Batcher
from chromaserve.pipeline.cache import Cache, cache_key
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.observer import Observer
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import Close, Looks
from chromaserve.pipeline.reference import apart, colours_and_features
from chromaserve.pipeline.waiting import Ask, Float, Inference, colours


@dataclass(frozen=True)
class Answer:
    """All that an order needs of the model."""

    inference: Inference
    """The proposal that is wanted, with the times of all that it took."""
    moments: Float | None = None
    """float32 [h, w, 3] of the distribution behind it, where confidence is wanted."""
    features: Float | None = None
    """What the encoder saw, in one row, where that is wanted."""
    tilings: tuple[Tiling, ...] = ()
    """The tiles that it is of, where there were any."""
    close: Close | None = None
    """What close-ups told, where there were any."""


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
        *,
        further: bool = False,
    ) -> Inference:
        """The model's answer for one photo.

        Args:
            model: which.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1.
            flow: the request, which takes turns with others.
            owner: who asks; answers are kept for each apart.
            ask: what is wanted of the model.
            further: see `Batcher.submit`.

        Raises:
            Busy, NotReady, EngineFailed: as `Batcher.submit`.
        """
        if not self._cache.max_bytes:
            return await self._batcher.submit(
                model.engines, L, vividness, flow, ask, further=further
            )
        key = cache_key(model.number, L, vividness, (owner, ask))
        known = self._cache.get(key)
        self._observer.answer(kept=known is not None)
        if known is not None:
            return Inference.kept(known)
        result = await self._batcher.submit(model.engines, L, vividness, flow, ask, further=further)
        self._cache.keep(key, result.ab)
        return result

    async def answer(
        self,
        looks: Looks,
        order: Order,
        flow: Hashable,
        owner: Hashable = None,
        *,
        features: bool = False,
    ) -> Answer:
        """The colours that are wanted of a photo, and where confidence is, what that is made of.

        All looks at it are in the queue together, a flow's as its photos are.

        Args:
            looks: at it, at least one.
            order: what is wanted: model, vividness, proposal, reference, confidence.
            flow, owner: as for `infer`.
            features: whether the encoder's are wanted, too.

        Raises:
            Busy, NotReady, EngineFailed: as `Batcher.submit`.
        """
        model, blend = order.model, order.model.description.blend
        vividness, reference = asked(order.vividness, blend), order.reference
        matched = features or reference is not None
        tilings = tuple(tiling for tiling, _ in looks.tiled)
        tiled = [tiles for _, tiles in looks.tiled]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self.infer(
                            model,
                            L,
                            vividness,
                            flow,
                            owner,
                            colours_and_features if matched and number == 0 else colours,
                            further=number > 0,
                        )
                    )
                    for number, L in enumerate((looks.whole, *chain.from_iterable(tiled)))
                ]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        answers = [task.result() for task in tasks]
        answer = _together(answers)
        ab, seen = apart(answer.ab) if matched else (answer.ab, None)
        views, share = [ab], None  # of the whole photo, and of what is seen close
        if looks.tiled:
            of_tiles = [each.ab for each in answers[1:]]
            views, share = await asyncio.to_thread(_views, ab, looks, of_tiles)
        views = [livened(each, order.vividness, blend) for each in views]
        # What the distribution is asked for is the same for every vividness.
        if order.proposal > 1:
            further = await self.infer(model, looks.whole, 0.0, flow, owner, _proposals)
            proposal = further.ab[order.proposal - 2]
            views = [with_proposal(each, proposal) for each in views]
            answer = _both(answer, further)
        if reference and seen is not None:
            views = await asyncio.to_thread(reference.applied, views, looks.whole, seen)
        found = None
        if order.confidence:
            more = await self.infer(model, looks.whole, 0.0, flow, owner, _moments)
            answer, found = _both(answer, more), more.ab
        close = None if share is None else Close(views[1], share)
        return Answer(replace(answer, ab=views[0]), found, seen, tilings, close)


def _views(ab: Float, looks: Looks, answers: Sequence[Float]) -> tuple[list[Float], Float | None]:
    """What tiles tell joined with what the whole did, and what close-ups do beside it, with what
    these count."""
    views, share, of_tiles = [ab], None, iter(answers)
    for tiling, tiles in looks.tiled:
        view = joined(views[0], tiles, list(islice(of_tiles, tiling.count)), tiling)
        if tiling.faces:
            views, share = [*views, view], tiling.share()
        else:
            views = [view]
    return views, share


def _both(one: Inference, further: Inference) -> Inference:
    """The first one with the times of both, one after the other."""
    return replace(
        one,
        batch=one.batch or further.batch,
        calls=one.calls or further.calls,
        queue_s=one.queue_s + further.queue_s,
        inference_s=one.inference_s + further.inference_s,
        looks=one.looks + further.looks,
        model_s=one.model_s + further.model_s,
    )


def _together(answers: Sequence[Inference]) -> Inference:
    """The first of answers that were asked for at once, with the times of all."""
    ran = [answer for answer in answers if answer.looks] or answers[:1]
    begin_s = min(answer.queue_s for answer in ran)
    return Inference(
        ab=answers[0].ab,
        batch=max(answer.batch for answer in ran),
        calls=max(answer.calls for answer in ran),
        queue_s=begin_s,
        inference_s=max(answer.queue_s + answer.inference_s for answer in ran) - begin_s,
        looks=sum(answer.looks for answer in ran),
        model_s=sum(answer.model_s for answer in ran),
    )


def _proposals(engine: Engine, L: Float, _: Float) -> Float:
    """[N, 7, 28, 28, 2]; the same for every vividness."""
    found = engine.distribution(L)
    return np.stack([proposed(logits, found.bins) for logits in found.logits])


def _moments(engine: Engine, L: Float, _: Float) -> Float:
    """[N, h, w, 3]; the same for every vividness."""
    found = engine.distribution(L)
    return np.stack([moments(logits, found.bins) for logits in found.logits])
