"""What is whole of a damaged JPEG, and how much of its pixels is missing (ITU-T T.81)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import DamagedPhoto
from chromaserve.photos.header import PIL_ERRORS, open_image
from chromaserve.photos.jpeg import JPEG_FRAMES, MAX_SCANS, jpeg_segments
from chromaserve.photos.photo import Header, strips
from chromaserve.photos.structure import without_room

_END, _SCAN = b"\xff\xd9", b"\xff\xda"
_FILLER = bytes(range(1, 255)) * 16
"""Something else than the zeros that a decoder puts in the place of what is missing."""
_NOTHING_CAME = 127, 128
"""What those zeros of the decoder become; of four inks Pillow gives the inverse."""
_ABOUT_NOTHING = 0.005
"""What is said to be missing where fine detail alone is."""


@dataclass(frozen=True)
class _Frame:
    """What is said before the first scan (B.2.2)."""

    progressive: bool
    components: int
    across: int
    down: int
    """Pixels of a unit (MCU), in which what is missing begins."""
    scan: int
    """Where the first one's head is."""


def may_lack_its_end(image: Image.Image, data: bytes) -> bool:
    """Whether a decoded JPEG's last pixels look as where nothing came, or its last scans are gone.

    A decoder only warns of scans that end before the picture does, which Pillow passes over.
    """
    if not _has_detail(data, _frame(data)):
        return True
    last = image.crop((image.width - 1, image.height - min(8, image.height), *image.size))
    return bool(np.isin(np.asarray(last), _NOTHING_CAME).all())


def jpeg_up_to_its_end(data: bytes, header: Header) -> tuple[bytes, float] | None:
    """A JPEG that decoders take, and the part of its pixels that is missing.

    The first pixel that depends on what follows the file's end is missing, and all behind it. Of a
    file that has come to a further scan none is missing as a whole, but detail. None where nothing
    is had.
    """
    frame = _frame(data)
    end = data.find(_END, frame.scan)
    data = data[:end] if end >= 0 else without_room(data, erased=False)
    data = data.rstrip(b"\xff")  # half a marker, or erased flash memory
    mended = data + _END
    try:
        with open_image(mended, "JPEG") as one, open_image(data + _FILLER + _END, "JPEG") as other:
            for each in (one, other):
                each.draft("L", None)  # upsampled chroma would spread over what is whole
                each.load()
            lost = _behind_first_unlike(one, other, header, frame)
    except (DamagedPhoto, *PIL_ERRORS):
        return None
    if data.find(_SCAN, frame.scan + 2) < 0:
        return mended, max(lost / header.pixels, _ABOUT_NOTHING if lost else 0)
    return mended, 0 if not lost and _has_detail(data, frame) else _ABOUT_NOTHING


def _frame(data: bytes) -> _Frame:
    """Of a file whose structure was looked at."""
    start, frame, scan = 0, b"", 0
    for marker, at, length in jpeg_segments(data):
        scan = at - 1
        if marker in JPEG_FRAMES:
            start, frame = marker, data[at + 3 : at + 1 + length]
    count, factors = frame[5], frame[7::3]
    across, down = max(f >> 4 for f in factors), max(f & 15 for f in factors)
    if count == 1:  # a unit is a block, whatever its factors (A.2.2)
        across = down = 1
    return _Frame(start == 0xC2, count, 8 * across, 8 * down, scan)


def _behind_first_unlike(
    one: Image.Image, other: Image.Image, header: Header, frame: _Frame
) -> int:
    """Pixels from the first unit on, row by row, that is not the same in both."""
    for start, stop in strips(header.height, header.width):
        rows = _unlike(one, other, start, stop).any(axis=1)
        if rows.any():
            top = (start + int(np.argmax(rows))) // frame.down * frame.down
            bottom = min(top + frame.down, header.height)
            columns = _unlike(one, other, top, bottom).any(axis=0)
            left = int(np.argmax(columns)) // frame.across * frame.across
            return (header.height - top) * header.width - (bottom - top) * left
    return 0


def _unlike(one: Image.Image, other: Image.Image, start: int, stop: int) -> NDArray[np.bool]:
    """Of rows from `start` to `stop`, which pixels differ: [n, W]."""
    box = (0, start, one.width, stop)
    one_rows, other_rows = (
        np.asarray(each.crop(box)).reshape(stop - start, one.width, -1) for each in (one, other)
    )
    unlike: NDArray[np.bool] = np.any(one_rows != other_rows, axis=2)
    return unlike


def _has_detail(data: bytes, frame: _Frame) -> bool:
    """Whether a progressive JPEG has come to its last scans (G.1.1.1); others have one."""
    if not frame.progressive:
        return True
    done: set[int] = set()
    at = frame.scan
    for _ in range(2 * MAX_SCANS):  # some may be no scans, but look so
        if at < 0:
            break
        count = data[at + 4] if at + 4 < len(data) else 0
        tail = at + 5 + 2 * count
        if tail + 2 < len(data) and data[tail + 1] == 63 and not data[tail + 2] & 15:
            done.add(data[at + 5])
        at = data.find(_SCAN, at + 2)
    return len(done) >= frame.components
