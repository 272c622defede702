"""Photos as scanners and archives store them, put together by hand from known samples."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.hostile.files import chunk
from tests.photos.test_kinds import COLUMNS, RAMP, ROWS

Numbers = NDArray[np.int64]


def taken(data: bytes, *, accept: bool = False) -> Photo:
    return decode(data, inspect(data, max_pixels=10**6, max_side=10**4), accept_damage=accept)


def codes(bits: int, channels: int = 1) -> Numbers:
    """Samples of so many bits, [H, W] or [H, W, channels]."""
    planes = [RAMP, RAMP[::-1], RAMP[:, ::-1]][:channels]
    found: Numbers = np.rint(np.dstack(planes) * ((1 << bits) - 1)).astype(np.int64)
    return found[..., 0] if channels == 1 else found


def packed(samples: Numbers, bits: int) -> NDArray[np.uint8]:
    """Each row from a byte of its own on, most significant bits first."""
    apart = samples.reshape(len(samples), -1, 1) >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(apart.reshape(len(samples), -1).astype(np.uint8), axis=1)


def keyed_png(samples: Numbers, bits: int, key: Any) -> bytes:  # noqa: ANN401
    """With one grey or colour that is transparent."""
    kind = 0 if samples.ndim == 2 else 2
    rows = b"".join(b"\0" + row.tobytes() for row in packed(samples, bits))
    head = struct.pack(">IIBBBBB", COLUMNS, ROWS, bits, kind, 0, 0, 0)
    clear = np.asarray(key, ">u2").tobytes()
    parts = ((b"IHDR", head), (b"tRNS", clear), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(("bits", "channels"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3),
                                                (16, 3)])  # fmt: skip
def test_the_grey_or_colour_that_a_png_calls_transparent_is(bits: int, channels: int) -> None:
    samples = codes(bits, channels)
    key = samples[ROWS // 2, COLUMNS // 2]
    photo = taken(keyed_png(samples, bits, key))
    clear = (samples == key).reshape(ROWS, COLUMNS, -1).all(axis=2)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha == 0, clear)
    assert np.array_equal(photo.alpha == np.iinfo(photo.alpha.dtype).max, ~clear)
