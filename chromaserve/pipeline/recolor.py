"""From a photo's lightness to its colours: no HTTP, no threads, no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from chromaserve.color.hint_shapes import Area, Disc, Shape, Stroke
from chromaserve.color.hint_spreading import clear_share, hint_model
from chromaserve.color.lab import srgb_to_L, srgb_to_lab
from chromaserve.color.look import network_look, substance
from chromaserve.color.postprocess import chroma_model
from chromaserve.color.recombine import Recombination
from chromaserve.color.tiles import Tiling
from chromaserve.color.upsampling import apply_model
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.photo import Float, Photo, Pixels, Striped, strips
from chromaserve.photos.thumbnail import Sum, Thumbnail
from chromaserve.pipeline.hints import AnyHint, Hint, Region
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter, Postprocess, squeeze


@dataclass(frozen=True)
class Looks:
    """What the network sees of a photo: float32 [224, 224, 1] each, in [0, 100]."""

    whole: Float
    tiled: Sequence[tuple[Tiling, Sequence[Float]]] = ()
    """Tiles of it, and close-ups, which count before the former."""

    @property
    def count(self) -> int:
        """Of all looks."""
        return 1 + sum(tiling.count for tiling, _ in self.tiled)


@dataclass(frozen=True)
class Close:
    """Chroma by close-ups of a photo's faces."""

    ab: Float
    """float32 [h, w, 2] in Lab units, of the photo as large as they have it."""
    share: Float
    """float32 [h, w, 1] in [0, 1]: where that counts, and how much."""


def prepare(photo: Photo) -> Float:
    """The network's input for a photo: float32 [224, 224, 1] in [0, 100]; see `network_look`."""
    return network_look(photo.thumbnail)[:, :, np.newaxis]


def prepare_tiles(photo: Photo, tiling: Tiling, cores: FreeCores = ALONE) -> list[Float]:
    """The network's input for each tile of a photo, as `prepare` gives that for the whole."""
    plane = network_look(_lightness(photo, *tiling.size, cores), photo.thumbnail)
    plane = np.clip(plane, 0, 100)[:, :, np.newaxis]
    return [np.ascontiguousarray(plane[place]) for place in tiling.places()]


def recolor(
    photo: Photo,
    ab: Float,
    method: Postprocess,
    guided: GuidedFilter,
    hints: Sequence[AnyHint] = (),
    cores: FreeCores = ALONE,
    close: Close | None = None,
) -> Striped:
    """Join a photo's lightness with the network's chroma at the photo's own size.

    Args:
        photo: the decoded photo, [H, W].
        ab: float32 [h, w, 2] in Lab units, the network's output for it, `joined` where there were
            tiles.
        method: how ab comes to the photo's size; see `enlarge_ab`.
        guided: of the model that made ab.
        hints: colours that somebody knows, spread over the network's; see `hint_model`.
        cores: which work on strips; the result is the same on any number.
        close: what close-ups told. Elsewhere it is as without them.

    Returns:
        [H, W, 3], or [H, W, 4] with the photo's alpha. L* is the photo's own to rounding.
    """
    rows, columns = photo.grey.shape

    def lightness(height: int, width: int) -> Float:
        return _lightness(photo, height, width, cores)

    there = np.float32(substance(photo.thumbnail))

    def modelled(ab: Float, method: Postprocess) -> Float:
        ab = ab if there == 1 else there * ab  # a copy is large where it is of close-ups
        return chroma_model(ab, (rows, columns), lightness, method=method, guided=guided)

    model = modelled(ab, method)
    if close:
        of_faces = modelled(close.ab, "guided" if method == "tv" else method)
        size = of_faces.shape[:2]
        model = squeeze(model, *size)
        of_faces -= model
        of_faces *= squeeze(close.share, *size)
        model += of_faces
        del of_faces
    known = hint_model(shapes_of(hints), (rows, columns), lightness) if hints else None
    channels = 3 if photo.alpha is None else 4
    recombination = Recombination(model, rows, columns, photo.dtype, known)

    def colours(start: int, stop: int) -> Pixels:
        alpha = None if photo.alpha is None else photo.alpha[start:stop]
        return recombination.strip(start, photo.grey[start:stop], alpha)

    return Striped((rows, columns, channels), photo.dtype, colours, cores)


def as_it_is(photo: Photo, cores: FreeCores = ALONE) -> Striped:
    """A photo's own colours, which it kept, with its alpha."""
    assert photo.colours is not None
    own, alpha = photo.colours, photo.alpha
    rows, columns = photo.grey.shape

    def colours(start: int, stop: int) -> Pixels:
        part = own[start:stop]
        return part if alpha is None else cast(Pixels, np.dstack([part, alpha[start:stop]]))

    return Striped((rows, columns, 3 if alpha is None else 4), photo.dtype, colours, cores)


def shapes_of(hints: Sequence[AnyHint]) -> list[Shape]:
    """Hints as shapes with their colours in Lab."""
    if not hints:
        return []
    _, ab = srgb_to_lab(np.array([[hint.rgb for hint in hints]], np.uint8))
    return [_shape(hint, float(a), float(b)) for hint, (a, b) in zip(hints, ab[0], strict=True)]


def hint_planes(hints: Sequence[AnyHint], size: tuple[int, int], L: Float) -> Float:
    """Where hints' colours go, on a small copy of a photo.

    Args:
        hints: one or more.
        size: width and height of the photo.
        L: float32 [h, w] in [0, 100], of any small copy of it.

    Returns:
        float32 [h', w', 3]: share in [0, 1], a, b; see `hint_model`.
    """

    def lightness(rows: int, columns: int) -> Float:
        return np.asarray(cv2.resize(L, (columns, rows)), np.float32)

    width, height = size
    model = hint_model(shapes_of(hints), (height, width), lightness)
    planes = apply_model(model, lightness(*model.shape[:2]))
    clear_share(planes[..., :1])
    return planes


def _shape(hint: AnyHint, a: float, b: float) -> Shape:
    if isinstance(hint, Hint):
        return Disc(hint.x, hint.y, hint.radius, a, b)
    if isinstance(hint, Region):
        return Area(hint.points, a, b)
    return Stroke(hint.points, hint.radius, a, b)


def _lightness(photo: Photo, height: int, width: int, cores: FreeCores) -> Float:
    """A photo's L squeezed (see `squeeze`) to float32 [height, width], in [0, 100]."""
    if (height, width) == (NETWORK_SIZE, NETWORK_SIZE):
        return photo.thumbnail
    rows, columns = photo.grey.shape
    thumbnail = Thumbnail(rows, columns, height, width)

    def sums(strip: tuple[int, int]) -> list[Sum]:
        return thumbnail.sums(strip[0], srgb_to_L(photo.grey[slice(*strip)]))

    cores.each(strips(rows, columns), sums, thumbnail.put, pixels=rows * columns)
    return thumbnail.finish()
