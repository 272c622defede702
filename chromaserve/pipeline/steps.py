"""What threads do with a photo at the ends of its way: decode and prepare, recolour and encode."""

from collections.abc import Callable
from typing import TypedDict, TypeVar

import numpy as np

from chromaserve.color.album import shifted
from chromaserve.color.tiles import tiling
from chromaserve.errors import InvalidOptions
from chromaserve.photos.credentials import Signing
from chromaserve.photos.encode import check_format, encode
from chromaserve.photos.formats import Format
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.metadata import COLOURS_KEPT, NOTHING, RECOLOURED, Metadata, software
from chromaserve.photos.photo import Photo, Striped
from chromaserve.photos.png import PngLevel
from chromaserve.pipeline.assess import Assessed, as_map, assess, certain
from chromaserve.pipeline.hint_photos import check_inside, check_of_photos
from chromaserve.pipeline.hints import hints_noted
from chromaserve.pipeline.inference import Answer
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.recolor import Looks, as_it_is, prepare, prepare_tiles, recolor

T = TypeVar("T")


class Reading(TypedDict):
    """Keywords of `decode`."""

    accept_damage: bool
    keep_colours: bool
    cores: FreeCores


def reading(order: Order, cores: FreeCores) -> Reading:
    """How photos are decoded for an order, and on which cores."""
    return {
        "accept_damage": order.damaged == "accept",
        "keep_colours": order.colour == "keep",
        "cores": cores,
    }


def decoded_by(
    read: Callable[[], Photo], order: Order, cores: FreeCores = ALONE
) -> tuple[Photo, Looks]:
    """A photo, and the network's looks at it.

    Raises:
        InvalidOptions: the result's format cannot hold it, or a hint lies outside.
    """
    photo = read()
    # In its own format there is room for it.
    check_format(photo, "png" if order.format == "same" else order.format)
    try:
        check_of_photos(order.hints)
        check_inside(order.hints, *photo.size)
    except ValueError as error:
        raise InvalidOptions(f"hints: {error}.") from error
    tiles = None if photo.colours is not None else tiling(*photo.size, order.look)
    if tiles is None:
        return photo, Looks(prepare(photo))
    return photo, Looks(prepare(photo), tiles, prepare_tiles(photo, tiles, cores))


def encoded_by(
    photo: Photo,
    answer: Answer,
    order: Order,
    write: Callable[[Striped, Photo], T],
    cores: FreeCores,
) -> tuple[T, Assessed | None]:
    """What `write` makes of a photo, and how sure its colours are where that is wanted.

    That is a photo with the network's colours, or with its own; or a map of confidence.
    """
    if photo.colours is not None:
        kept = certain(photo) if order.confidence == "png" else as_it_is(photo, cores)
        return write(kept, photo), None
    ab = answer.inference.ab.astype(np.float32, copy=False)
    if order.shift is not None:
        ab = shifted(ab, order.shift)
    described, assessed = order.model.description, None
    if answer.moments is not None and described.confidence is not None:
        assessed = assess(photo, ab, answer.moments, order.hints, described.confidence)
    if assessed and order.confidence == "png":
        return write(as_map(assessed, photo, cores), photo), assessed
    guided = described.guided_filter
    image = recolor(photo, ab, order.postprocess, guided, order.hints, cores)
    return write(image, photo), assessed


def note_of(photo: Photo, order: Order, format: Format) -> str:
    """What made a photo's result, and how, as `software` says it."""
    how = [f"vividness {order.vividness:g}", order.postprocess]
    if photo.colours is not None:
        how = [COLOURS_KEPT]
    else:
        tiles = tiling(*photo.size, order.look)
        how += [f"{tiles.count} tiles"] if tiles else []
        how += [f"proposal {order.proposal}"] * (order.proposal > 1)
        how += [hints_noted(order.hints)] * bool(order.hints)
        how += ["reference"] * (order.reference is not None)
        how += ["album"] * (order.shift is not None)
        how += [RECOLOURED] * (photo.colour == "colour")
    if photo.missing:
        how.append(f"{max(1, round(100 * photo.missing))}% missing")
    if order.quality and format in ("jpeg", "webp"):
        how.append(f"quality {order.quality}")
    return software(order.model.version, *how)


def for_result(photo: Photo, order: Order, format: Format) -> Metadata:
    """A photo's metadata, as far as it goes along, and what was done to it."""
    if order.confidence == "png":
        return NOTHING
    return photo.metadata.for_result(order.metadata, note_of(photo, order, format))


def writing(
    format: Format, order: Order, level: PngLevel, signing: Signing | None
) -> Callable[[Striped, Photo], bytes]:
    """What encodes an image for an order, its photo's metadata with it, and signs it."""

    def write(image: Striped, photo: Photo) -> bytes:
        metadata = for_result(photo, order, format)
        data = encode(image, format, level, quality=order.quality, metadata=metadata)
        if signing is None:
            return data
        note = note_of(photo, order, format)
        return signing.sign(data, format, note, recoloured=photo.colours is None)

    return write
