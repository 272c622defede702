"""TIFFs written out by their bytes, of kinds that programs here do not write (TIFF 6.0)."""

import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Value = int | tuple[int, ...] | bytes


def written(tags: Mapping[int, Value], strips: Sequence[bytes], *, unsorted: bool = False) -> bytes:
    """A page of these tags, whose strips lie behind the head; bytes are of no type."""
    body = b"".join(strips)
    body += bytes(len(body) % 2)
    places = tuple(accumulate(map(len, strips[:-1]), initial=8))
    said: dict[int, Value] = {273: places, 279: tuple(map(len, strips)), **tags}
    at = 8 + len(body)
    rows, behind = [], at + 2 + 12 * len(said) + 4
    values = b""
    for tag in sorted(said, reverse=unsorted):
        value = said[tag]
        numbers = value if isinstance(value, tuple | bytes) else (value,)
        kind = 7 if isinstance(value, bytes) else 3 if max(numbers) < 65536 else 4
        raw = struct.pack(f"<{len(numbers)}{ {7: 'B', 3: 'H', 4: 'I'}[kind] }", *numbers)
        rows.append(struct.pack("<HHI", tag, kind, len(numbers)))
        if len(raw) <= 4:
            rows.append(raw.ljust(4, b"\0"))
        else:
            rows.append(struct.pack("<I", behind + len(values)))
            values += raw
    directory = struct.pack("<H", len(said)) + b"".join(rows) + bytes(4)
    return b"II*\0" + struct.pack("<I", at) + body + directory + values


def of_size(
    columns: int, rows: int, samples: int, photometric: int, per_strip: int
) -> dict[int, Value]:
    """Tags that every page of 8 bits has, but for its compression."""
    return {
        256: columns,
        257: rows,
        258: (8,) * samples,
        262: photometric,
        277: samples,
        278: per_strip,
    }


def ycbcr(colours: NDArray[np.uint8], down: int = 2) -> tuple[list[bytes], NDArray[np.uint8]]:
    """Strips of 16 rows, in units of 2 × `down` pixels with one colour (section 21).

    And the colours that they are, by ITU-R BT.601.
    """
    red, green, blue = np.moveaxis(colours.astype(np.float64), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = [(blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128]
    rows, columns = luma.shape
    units = (rows // down, down, columns // 2, 2)
    means = [plane.reshape(units).mean((1, 3)) for plane in chroma]
    luma, cb, cr = (np.rint(each).clip(0, 255) for each in (luma, *means))
    packed = np.concatenate(
        [luma.reshape(units).swapaxes(1, 2).reshape(rows // down, columns // 2, -1),
         cb[..., np.newaxis], cr[..., np.newaxis]], axis=2
    ).astype(np.uint8)  # fmt: skip
    wide = [np.kron(plane, np.ones((down, 2))) - 128 for plane in (cb, cr)]
    back = [luma + 1.402 * wide[1], luma - 0.344136 * wide[0] - 0.714136 * wide[1]]
    made = np.dstack([*back, luma + 1.772 * wide[0]])
    step = 16 // down
    strips = [packed[i : i + step].tobytes() for i in range(0, len(packed), step)]
    return strips, np.rint(made).clip(0, 255).astype(np.uint8)
