"""Raw frames of a binary stream, one after another, as ffmpeg's rawvideo has them."""

from collections.abc import Iterator
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from chromaserve.errors import DamagedPhoto

PixelFormat = Literal["rgb24", "gray"]
"""By ffmpeg's names: red, green, blue in 8 bits each, or grey in 8 bits; sRGB in full range."""
CHANNELS: dict[PixelFormat, int] = {"rgb24": 3, "gray": 1}

Frame = NDArray[np.uint8] | NDArray[np.uint16]
"""[H, W, 3], or [H, W, 1] for grey."""


class TruncatedFrame(DamagedPhoto):
    """The stream ended within a frame."""


def read_frames(
    source: BinaryIO, width: int, height: int, pixel_format: PixelFormat
) -> Iterator[Frame]:
    """Take frames until the stream ends.

    Args:
        source: the stream; a raw one may give less than it is asked for.
        width: of every frame, in pixels.
        height: of every frame, in pixels.
        pixel_format: how a pixel is written.

    Raises:
        TruncatedFrame: the last frame is not whole.
    """
    shape = (height, width, CHANNELS[pixel_format])
    count = 0
    while True:
        frame = np.empty(shape, np.uint8)
        got = _fill(source, frame.reshape(-1).data)
        if got == 0:
            return
        if got < frame.size:
            raise TruncatedFrame(
                f"The stream ends within frame {count + 1}: it has {got:,} of the"
                f" {frame.size:,} bytes of {width} × {height} {pixel_format}. Check the width, the"
                " height and the pixel format."
            )
        yield frame
        count += 1


def write_frame(sink: BinaryIO, frame: NDArray[np.generic]) -> None:
    """Write a frame as a whole; a raw stream may take less than it is given."""
    left = np.ascontiguousarray(frame).reshape(-1).data
    while left:
        left = left[sink.write(left) or 0 :]


def _fill(source: BinaryIO, buffer: memoryview) -> int:
    """Bytes read: all of the buffer, or fewer at the stream's end."""
    got = 0
    while got < len(buffer):
        piece = source.read(len(buffer) - got)
        if not piece:
            break
        buffer[got : got + len(piece)] = piece
        got += len(piece)
    return got
