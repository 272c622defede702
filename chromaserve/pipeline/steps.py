"""What threads do with a photo at the ends of its way: decode and prepare, recolour and encode."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict, TypeVar

import numpy as np

from chromaserve.color.album import shifted
from chromaserve.color.close_ups import close_ups, may_have
from chromaserve.color.faces import faces
from chromaserve.color.tiles import MAX_TILES, Tiling, tiling
from chromaserve.errors import InvalidOptions
from chromaserve.photos.credentials import Signing
from chromaserve.photos.encode import check_format, encode
from chromaserve.photos.formats import Format
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.metadata import COLOURS_KEPT, NOTHING, RECOLOURED, Metadata, software
from chromaserve.photos.photo import Photo, Pixels, Striped
from chromaserve.photos.png import PngLevel
from chromaserve.photos.tagged import beyond_jpeg
from chromaserve.pipeline.assess import Assessed, as_map, assess, certain
from chromaserve.pipeline.hint_photos import check_inside, check_of_photos
from chromaserve.pipeline.hints import hints_noted
from chromaserve.pipeline.inference import Answer
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import Close, Looks, as_it_is, prepare, prepare_tiles, recolor

T = TypeVar("T")
Write = Callable[[Striped, Photo, Sequence[Tiling]], tuple[T, tuple[str, ...]]]
"""Makes a result of an image, of its photo, and of the tiles that the network saw of it.

And says what of the metadata that cannot hold."""


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
    read: Callable[[], Photo], order: Order, cores: FreeCores = ALONE, most: int = MAX_TILES
) -> tuple[Photo, Looks]:
    """A photo, and the network's looks at it.

    Args:
        read: decodes it.
        order: what is wanted.
        cores: which work on it.
        most: close-ups for which there is time.

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
    tilings = [] if photo.colours is not None else _tilings(photo, order, most)
    tiled = [(each, prepare_tiles(photo, each, cores)) for each in tilings]
    return photo, Looks(prepare(photo), tiled)


def _tilings(photo: Photo, order: Order, most: int) -> list[Tiling]:
    tiles = tiling(*photo.size, order.look)
    found = [tiles] if tiles else []
    if order.look == "auto" and most and may_have(*photo.size):
        close = close_ups(*photo.size, tiles, faces(photo.grey))
        found += [close] if close and close.count <= most else []
    return found


def encoded_by(
    photo: Photo,
    answer: Answer,
    order: Order,
    write: Write[T],
    cores: FreeCores,
) -> tuple[T, Assessed | None, Photo]:
    """What `write` makes of a photo, and how sure its colours are where that is wanted.

    That is a photo with the network's colours, or with its own; or a map of confidence. The photo
    comes back with what else of its metadata is lost.
    """
    (made, lost), assessed = _encoded_by(photo, answer, order, write, cores)
    metadata = replace(photo.metadata, lost=tuple(dict.fromkeys((*photo.metadata.lost, *lost))))
    return made, assessed, replace(photo, metadata=metadata)


def _encoded_by(
    photo: Photo, answer: Answer, order: Order, write: Write[T], cores: FreeCores
) -> tuple[tuple[T, tuple[str, ...]], Assessed | None]:
    if photo.colours is not None:
        kept = certain(photo) if order.confidence == "png" else as_it_is(photo, cores)
        return write(kept, photo, ()), None
    ab, close = answer.inference.ab.astype(np.float32, copy=False), answer.close
    if order.shift is not None:
        ab = shifted(ab, order.shift)
        close = close and Close(shifted(close.ab, order.shift), close.share)
    described, assessed = order.model.description, None
    if answer.moments is not None and described.confidence is not None:
        assessed = assess(photo, ab, answer.moments, order.hints, described.confidence)
    if assessed and order.confidence == "png":
        return write(as_map(assessed, photo, cores), photo, answer.tilings), assessed
    guided = described.guided_filter
    image = recolor(photo, ab, order.postprocess, guided, order.hints, cores, close)
    return write(image, photo, answer.tilings), assessed


def note_of(photo: Photo, order: Order, format: Format, tiles: Sequence[Tiling]) -> str:
    """What made a photo's result, and how, as `software` says it."""
    how = [f"vividness {order.vividness:g}", order.postprocess]
    if photo.colours is not None:
        how = [COLOURS_KEPT]
    else:
        how += [f"{each.count} {'close-ups' if each.faces else 'tiles'}" for each in tiles]
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


def for_result(photo: Photo, order: Order, format: Format, tiles: Sequence[Tiling]) -> Metadata:
    """A photo's metadata, as far as it goes along, and what was done to it."""
    if order.confidence == "png":
        return NOTHING
    return photo.metadata.for_result(order.metadata, note_of(photo, order, format, tiles))


def as_pixels(image: Striped, *_: object) -> tuple[Pixels, tuple[str, ...]]:
    """The image itself, with which no metadata goes along."""
    return image.pixels(), ()


def writing(format: Format, order: Order, level: PngLevel, signing: Signing | None) -> Write[bytes]:
    """What encodes an image for an order, its photo's metadata with it, and signs it."""

    def write(
        image: Striped, photo: Photo, tiles: Sequence[Tiling]
    ) -> tuple[bytes, tuple[str, ...]]:
        metadata = for_result(photo, order, format, tiles)
        data = encode(image, format, level, quality=order.quality, metadata=metadata)
        lost = beyond_jpeg(metadata) if format == "jpeg" else ()
        if signing is None:
            return data, lost
        note = note_of(photo, order, format, tiles)
        return signing.sign(data, format, note, recoloured=photo.colours is None), lost

    return write
