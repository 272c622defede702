"""Films as files, by PyAV (FFmpeg's libraries): frames with their times, and all other streams."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chromaserve.errors import DamagedPhoto, InvalidOptions, UnsupportedFormat, UnsupportedSamples
from chromaserve.video.frames import Frame

Codec = Literal["h264", "h265", "prores", "ffv1"]

BT709, BT601, UNSPECIFIED = 1, 5, 2  # ISO/IEC 23091-4, matrix coefficients
_HIGH_RANGE = (16, 18)  # transfer characteristics there
HD_ROWS = 720  # a film of so many rows that says nothing has the matrix of BT.709, by custom
_ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"crf": "18", "preset": "medium"}),
    "h265": ("libx265", {"crf": "20", "preset": "fast", "x265-params": "log-level=error"}),
    "prores": ("prores_ks", {"profile": "3"}),
    "ffv1": ("ffv1", {"level": "3", "slicecrc": "1"}),
}  # fmt: skip

# Files of parts are good to where they were cut off, as NUT is. That knows no ProRes.
_PARTS = {"prores": ("mov", {"movflags": "frag_keyframe+empty_moov+frag_discont"})}


def load_av() -> Any:  # noqa: ANN401 - its types are its own
    """PyAV, which is an extra.

    Raises:
        UnsupportedFormat: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UnsupportedFormat(
            "Films need the package av: install chromaserve[video], or pipe frames from ffmpeg."
        ) from error
    # Its own words on standard error would be in the way of ours.
    av.logging.set_level(None)
    return av


@dataclass(frozen=True)
class Look:
    """What a film's pictures are."""

    width: int
    height: int
    """Upright, in pixels."""
    bits: int
    """A channel, as the file has them."""
    rate: Fraction
    """Frames a second, on average."""
    frames: int
    """As the file says, or by its duration; 0 where it says neither."""


def coloured_of(film: Any) -> Any:  # noqa: ANN401
    """The first stream of moving pictures of an opened film; None without one."""
    videos = [s for s in film.streams.video if not s.disposition & s.disposition.attached_pic]
    return videos[0] if videos else None


class FilmReader:
    """A film's first video stream, frame by frame."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            UnsupportedFormat: no film, or one without pictures; or PyAV is not installed.
            UnsupportedSamples: its range is high.
            OSError: it cannot be read.
        """
        self._open(path)
        self._path = path
        self.damaged = 0
        """Packets so far that could not be decoded; the frame before stands for longer."""
        self.last_s = Fraction(0)
        """How long the frame that came last stands."""
        decoded = self._decoded()
        first = next(decoded, None)
        if first is None:
            raise DamagedPhoto(f"{path}: no frame can be decoded.")
        if int(first.color_trc) in _HIGH_RANGE:
            self.file.close()
            raise UnsupportedSamples(
                f"{path} has a high dynamic range (PQ or HLG). Map it to BT.709 first."
            )
        self._frames: Iterator[Any] = chain((first,), decoded)
        self.turns = round(first.rotation / 90) % 4
        self.look = self._look(first)

    def frames(self, start: Fraction | None = None) -> Iterator[tuple[int, Frame]]:
        """Time in units of the stream's time base, and pixels [H, W, 3] as sRGB, upright.

        start: second from which on frames are wanted; of those before, most are skipped undecoded
            where the file can be sought.
        """
        if start is not None:
            self._frames = self._decoded_from(start)
        last: int | None = None
        for frame in self._frames:
            step = frame.duration or round(1 / (self.look.rate * self.stream.time_base))
            pts = frame.pts if frame.pts is not None else (0 if last is None else last + step)
            if last is not None and pts <= last:
                pts = last + 1
            last = pts
            self.last_s = step * self.stream.time_base
            if start is None or pts * self.stream.time_base >= start:
                yield pts, self._rgb(frame)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _open(self, path: Path) -> None:
        av = load_av()
        try:
            self.file = av.open(str(path))
        except av.error.InvalidDataError as error:
            raise UnsupportedFormat(f"{path} is not a film that FFmpeg can read.") from error
        self.stream = coloured_of(self.file)
        if self.stream is None or not self.stream.width:
            self.file.close()
            raise UnsupportedFormat(f"{path} has no moving pictures.")
        self.stream.thread_type = "AUTO"

    def _decoded(self) -> Iterator[Any]:
        invalid = load_av().error.InvalidDataError
        for packet in self.file.demux(self.stream):
            try:
                yield from packet.decode()
            except invalid:
                self.damaged += 1

    def _decoded_from(self, start: Fraction) -> Iterator[Any]:
        """Frames from that second or earlier on, none after the first left out.

        Some kinds of file are sought to any packet, and what follows is lost up to a key frame:
        then further back, and where nothing is found or the file cannot seek, from its beginning.
        """
        base, back = self.stream.time_base, Fraction(0)
        begin = (self.stream.start_time or 0) * base
        while start - back > begin:
            try:
                self.file.seek(round((start - back) / base), stream=self.stream)
            except load_av().error.FFmpegError:
                break
            decoded = self._decoded()
            first = next(decoded, None)
            self.damaged = 0  # what came before a key frame is whole
            if first is not None and first.pts is not None and first.pts * base <= start:
                return chain((first,), decoded)
            back = 2 * back + 1
        self.file.close()
        self._open(self._path)
        self.damaged = 0
        return self._decoded()

    def _rgb(self, frame: Any) -> Frame:  # noqa: ANN401
        matrix = int(frame.colorspace)
        if matrix == UNSPECIFIED:
            matrix = _usual_matrix(frame.height)
        deep = self.look.bits > 8
        pixels = frame.reformat(
            format="rgb48le" if deep else "rgb24", src_colorspace=matrix
        ).to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, self.turns))

    def _look(self, frame: Any) -> Look:  # noqa: ANN401
        stream = self.stream
        bits = max((c.bits for c in frame.format.components), default=8)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        seconds = float(self.file.duration or 0) / 1e6
        width, height = frame.width, frame.height
        if self.turns % 2:
            width, height = height, width
        frames = stream.frames or round(seconds * float(rate))
        return Look(width, height, bits, Fraction(rate), frames)


class PartWriter:
    """Encodes frames into a file of their own, which is readable however the program ends."""

    def __init__(self, path: Path, reader: FilmReader, codec: Codec) -> None:
        """Open the file for frames like the reader's."""
        av = load_av()
        look = reader.look
        name, options = _ENCODERS[codec]
        form, kept = _PARTS.get(codec, ("nut", {}))
        unmoved = {"avoid_negative_ts": "disabled", **kept}
        self._file = av.open(str(path), "w", format=form, options=unmoved)
        stream = self._file.add_stream(name, rate=look.rate, options=dict(options))
        context = stream.codec_context
        context.width, context.height = look.width, look.height
        context.time_base = stream.time_base = reader.stream.time_base
        context.pix_fmt = _pixel_format(codec, look)
        aspect = reader.stream.sample_aspect_ratio or Fraction(1)
        context.sample_aspect_ratio = 1 / aspect if reader.turns % 2 else aspect
        matrix = _usual_matrix(look.height)
        context.colorspace, context.color_range = matrix, 1  # limited, as players expect
        context.color_primaries = context.color_trc = 1 if matrix == BT709 else 6
        # In the order that they are seen in: a part that was cut off is good to its last frame.
        context.max_b_frames = 0
        context.flags |= 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER: parts are joined
        self._stream, self._matrix, self._frame = stream, matrix, av.VideoFrame
        self._time_base = reader.stream.time_base

    def write(self, pts: int, pixels: NDArray[Any]) -> None:
        """Add a frame: uint8 or uint16 [H, W, 3]."""
        form = "rgb48le" if pixels.itemsize > 1 else "rgb24"
        frame = self._frame.from_ndarray(np.ascontiguousarray(pixels), format=form)
        frame = frame.reformat(
            format=self._stream.codec_context.pix_fmt, dst_colorspace=self._matrix
        )
        frame.pts, frame.time_base = pts, self._time_base
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        self._file.mux(self._stream.encode(None))
        self._file.close()


def _usual_matrix(rows: int) -> int:
    return BT709 if rows >= HD_ROWS else BT601


def _pixel_format(codec: Codec, look: Look) -> str:
    """Chroma at half the size where the codec's players ask for that and the size allows it."""
    if codec == "prores":
        return "yuv422p10le"
    odd = look.width % 2 or look.height % 2
    sampling = "yuv444p" if odd or codec == "ffv1" else "yuv420p"
    return sampling + "10le" * (look.bits > 8)


def check_codec(path: Path, codec: Codec) -> None:
    """Raise InvalidOptions where a file of that name can't hold the codec, or no film."""
    av = load_av()
    name = {"h265": "hevc"}.get(codec, codec)
    holds = {
        ".mp4": {"h264", "hevc"}, ".m4v": {"h264", "hevc"},
        ".mov": {"h264", "hevc", "prores"}, ".mkv": {"h264", "hevc", "prores", "ffv1"},
    }  # fmt: skip
    suffix = path.suffix.lower()
    if suffix not in holds:
        raise InvalidOptions(f"{path} must be named as .mp4, .mov or .mkv.")
    if name not in holds[suffix]:
        raise InvalidOptions(f"{codec} doesn't go into {suffix}; .mkv takes it.")
    if av.codec.Codec(_ENCODERS[codec][0], "w") is None:
        raise InvalidOptions(f"This build of FFmpeg has no {codec} encoder.")
