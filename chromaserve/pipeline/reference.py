"""A reference: another photo, in colour, whose colours photos are to have."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np

from chromaserve.color.lab import srgb_to_lab
from chromaserve.color.reference import COLOURS, Seen, matched, with_reference
from chromaserve.engines import COARSE, FEATURES, FINE, Engine
from chromaserve.errors import (
    DamagedPhoto,
    InvalidOptions,
    TooManyPixels,
    UnsupportedFormat,
    UnsupportedSamples,
)
from chromaserve.photos.decode import decode
from chromaserve.photos.photo import Float, Header, Photo, Pixels
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.memory_needed import memory_needed
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import prepare
from chromaserve.store.contract import NETWORK_SIZE, squeeze

if TYPE_CHECKING:
    from chromaserve.pipeline.pipeline import Pipeline

REFERENCE_BYTES: Final = 3 * 2**20
"""What is held of one while photos are matched with it."""
_SIZES = FINE * FINE * FEATURES, COARSE * COARSE * FEATURES
_FAULTS = DamagedPhoto, TooManyPixels, UnsupportedFormat, UnsupportedSamples


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of it."""

    seen: Seen
    ab: Float
    """float32 [56, 56, 2] in Lab units."""

    def applied(self, views: Sequence[Float], look: Float, features: Float) -> list[Float]:
        """A photo's colours with this one's, where the match is sure.

        Args:
            views: float32 [H, W, 2] in Lab units, the network's answer, and others of the photo.
            look: float32 [224, 224, 1], what the network saw.
            features: of it, as `features` gives them.
        """
        match = matched(seen_of(look, features), self.seen, self.ab)
        return [with_reference(each, match) for each in views]


def features(engine: Engine, L: Float, _: Float) -> Float:
    """Each photo's features in one row: [N, F]. To ask engines by."""
    found = engine.features(L)
    return np.hstack([found.fine.reshape(len(L), -1), found.coarse.reshape(len(L), -1)])


def colours_and_features(engine: Engine, L: Float, vividness: Float) -> Float:
    """Each photo's ab and features in one row, by one run: [N, 224 · 224 · 2 + F]."""
    ab, found = engine.infer_with_features(L, vividness)
    rows = ab, found.fine, found.coarse
    return np.hstack([each.reshape(len(L), -1) for each in rows])


def apart(row: Float) -> tuple[Float, Float]:
    """What `colours_and_features` put together: ab [224, 224, 2] and features [F]."""
    ab, found = np.split(row, [row.size - sum(_SIZES)])
    return ab.reshape(NETWORK_SIZE, NETWORK_SIZE, 2), found


async def with_upload(pipeline: "Pipeline", upload: Upload, order: Order, ticket: Ticket) -> Order:
    """An order by which photos get the colours of one that was sent; see `with_photo`."""
    header = upload.header
    if not isinstance(header, Header):
        raise _about(header or ValueError("not looked at"))

    def read() -> Photo:
        accept = order.damaged == "accept"
        return decode(
            upload.data, header, accept_damage=accept, keep_colours=True, cores=pipeline.cores
        )

    return await with_photo(pipeline, header, read, order, ticket)


async def with_photo(
    pipeline: "Pipeline", header: Header, read: Callable[[], Photo], order: Order, ticket: Ticket
) -> Order:
    """An order by which photos get the colours of another one.

    Args:
        pipeline: that is to do it.
        header: of the reference.
        read: makes it, with its colours kept, on a thread of the decoding stage.
        order: what else is wanted.
        ticket: the request's.

    Raises:
        InvalidOptions: it has no colours, or the model sees no features.
        ServiceError: it cannot be read, which the error says; or as `Pipeline.colorize`.
    """
    model = order.model
    if not await asyncio.to_thread(lambda: model.engine.has_features):
        raise InvalidOptions(
            f"Model {model.version} cannot match photos with a reference. Leave reference out."
        )
    async with pipeline.attempt(ticket):
        needed = memory_needed(header, "png", "none", keeps_colours=True)
        with await pipeline.memory.take(needed, background=ticket.background):
            try:
                look, ab = await pipeline.decoding.run(ticket, _looked_at, read)
            except _FAULTS as error:
                raise _about(error) from error
        with pipeline.cores.taken():
            answer = await pipeline.infer(model, look, 0.0, ticket, ticket.owner, features)
    return replace(order, reference=Reference(seen_of(look, answer.ab), ab))


def _looked_at(read: Callable[[], Photo]) -> tuple[Float, Float]:
    """What the network is to see of a reference, and its colours: [224, 224, 1], [56, 56, 2]."""
    photo = read()
    if photo.colours is None:
        raise InvalidOptions(
            f"reference: this photo is {photo.colour}, and has no colours to give. Send one in"
            " colour, or leave it out."
        )
    size = NETWORK_SIZE, NETWORK_SIZE
    small = cv2.resize(photo.colours, size, interpolation=cv2.INTER_AREA)
    _, ab = srgb_to_lab(cast(Pixels, small))
    return prepare(photo), squeeze(ab, COLOURS, COLOURS)


def seen_of(look: Float, found: Float) -> Seen:
    """What matching knows of a photo, from what the network saw and its `features`."""
    fine, coarse = np.split(found, [_SIZES[0]])
    return Seen(
        fine.reshape(FINE, FINE, FEATURES),
        coarse.reshape(COARSE, COARSE, FEATURES),
        squeeze(look, COLOURS, COLOURS)[..., 0],
    )


def _about(error: Exception) -> Exception:
    """The same error, which says that it is the reference's."""
    if isinstance(error, _FAULTS):
        return type(error)(f"reference: {error.detail}", **error.extra)
    return error
