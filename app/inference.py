"""The model's answer for one photo: kept from before, or in a batch with others."""

import asyncio
from collections.abc import Hashable

import numpy as np

from app.answers import Answers, question
from app.batching import Batcher, Float, Inference
from app.metrics import Metrics
from app.models import LoadedModel


class Inferring:
    """Asks models by a batcher, unless their answer is known."""

    def __init__(self, batcher: Batcher, answers: Answers, metrics: Metrics) -> None:
        self._batcher = batcher
        self._answers = answers
        self._metrics = metrics

    async def infer(
        self, model: LoadedModel, L: Float, vividness: float, flow: Hashable, mirror: bool = False
    ) -> Inference:
        """The model's answer for one photo.

        Args:
            model: which.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1.
            flow: the request, which takes turns with others.
            mirror: average with the answer for the mirror image.

        Raises:
            Busy, NotReady, EngineFailed: as `Batcher.submit`.
        """
        if not self._answers.max_bytes:
            return await self._ask(model, L, vividness, flow, mirror)
        asked = question(model.number, L, vividness, mirror)
        known = self._answers.get(asked)
        self._metrics.answer(kept=known is not None)
        if known is not None:
            return Inference(ab=known, batch=0, queue_s=0.0, inference_s=0.0)
        result = await self._ask(model, L, vividness, flow, mirror)
        self._answers.keep(asked, result.ab)
        return result

    async def _ask(
        self, model: LoadedModel, L: Float, vividness: float, flow: Hashable, mirror: bool
    ) -> Inference:
        one = self._batcher.submit(model.engines, L, vividness, flow)
        if not mirror:
            return await one
        flipped = np.ascontiguousarray(L[:, ::-1])
        other = self._batcher.submit(model.engines, flipped, vividness, flow)
        both = [asyncio.ensure_future(each) for each in (one, other)]
        try:
            plain, mirrored = await asyncio.gather(*both)
        finally:
            for task in both:  # where one failed, the other need not run
                task.cancel()
        return Inference(
            ab=(plain.ab + mirrored.ab[:, ::-1]) * np.float32(0.5),
            batch=max(plain.batch, mirrored.batch),
            queue_s=plain.queue_s,
            inference_s=max(plain.inference_s, mirrored.inference_s),
        )
