"""A JPEG's segments (ITU-T T.81, annex B): read in bounded steps, their small faults mended."""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

from chromaserve.errors import UnsupportedFormat, UnsupportedSamples
from chromaserve.photos.ifd import BadDirectory, read_exif
from chromaserve.photos.structure import MAX_METADATA, Structure, Unreadable

_MAX_SEGMENTS = 1_000  # 64 KiB each
_MAX_FILL_BYTES = 1_000
MAX_SCANS = 200
"""A progressive one has about ten."""
JPEG_FRAMES, JPEG_SCAN = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}, 0xDA
_STARTS, _END, _ALONE = re.compile(rb"(?:\xff\xd8){1,1000}"), 0xD9, (0x01, 0xD8)
_LINES = b"\xff\xdc\0\4"
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""The next one, past code, fill bytes, and what decoders take for such."""
_AT_ONCE = 1 << 20
"""Bytes that are searched for it while others wait for Python."""
_RARE = (0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)
"""Of frames: hierarchical, or lossless with arithmetic coding."""
_PROFILE, _PROFILE_HEAD = b"ICC_PROFILE\0", 128
_READ = (b"Exif\0\0", _PROFILE, b"Photoshop 3.0\0")
"""Other segments may be long: XMP, heat, depth, sound, signatures."""
_INDEX, _ENTRIES, _ENTRY = b"MPF\0", 0xB002, 16
"""Of further pictures (CIPA DC-007, 5.2)."""
_MOST_PICTURES, _MOST_UNSAID, _HEAD_OF_ONE = 1_000, 100, 16_384
_SHOWN, _UNSAID = 0x02, 0
"""What they are: of a stereo pair, a series, a panorama; others are previews. Some say nothing."""
_GAIN = re.compile(rb"hdrgainmap|hdrgm:|urn:iso:std:iso:ts:21496")
"""What a map of gains says of itself: Apple's, Google's, ISO's."""


def read_jpeg(data: bytes) -> Structure:
    """Segments up to the first scan, of a file as `plain_jpeg` gives it."""
    size, behind, pictures = (0, 0), 0, 0
    metadata: Counter[int] = Counter()
    for marker, at, length in jpeg_segments(data):
        if marker == 0xF7:
            raise UnsupportedFormat("This is a JPEG-LS file. Save it as PNG.")
        if marker in _RARE:
            raise UnsupportedFormat(
                "This is a JPEG of a kind that hardly any program reads. Save it as PNG."
            )
        if marker in JPEG_FRAMES:
            if data[at + 3] in (12, 16):
                raise UnsupportedSamples(
                    f"The JPEG has {data[at + 3]} bits a channel. Save it as 16-bit PNG or TIFF."
                )
            height, width = struct.unpack_from(">HH", data, at + 4)
            size = width, height
        if not pictures and data.startswith(_INDEX, at + 3):
            pictures = _pictures(data, at + 7, at + 1 + length)
        metadata[marker] += length if data.startswith(_READ, at + 3) else 0
        if metadata[marker] > MAX_METADATA:
            raise Unreadable
        behind = at + 1 + length
    # What follows the picture, a film perhaps, may look as if it were many scans.
    if data.count(b"\xff\xda", behind) >= MAX_SCANS and _scans(data, behind) > MAX_SCANS:
        raise Unreadable
    if not all(size):
        raise Unreadable
    return Structure(*size, pictures=pictures or 1)


def _pictures(data: bytes, start: int, stop: int) -> int:
    """How many there are to be shown, by an index: no previews, depths, gains, nor what is gone."""
    try:
        index = read_exif(data[start:stop])
    except BadDirectory:
        return 1
    raw = index.entries[_ENTRIES].raw if _ENTRIES in index.entries else b""
    count, unsaid, seen = 1, 0, set[int]()
    for at in range(_ENTRY, min(len(raw) - _ENTRY + 1, _ENTRY * _MOST_PICTURES), _ENTRY):
        kind, _, place = struct.unpack_from(f"{index.order}3I", raw, at)
        kind, place = kind & 0xFFFFFF, start + place
        if place <= start or place in seen or not data.startswith(b"\xff\xd8", place):
            continue
        seen.add(place)
        count += kind >> 16 == _SHOWN
        if kind == _UNSAID and unsaid < _MOST_UNSAID:
            unsaid += 1
            count += not _GAIN.search(data, place, place + _HEAD_OF_ONE)
    return count


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Of each segment up to the head of the first scan: marker, its place, and the length behind.

    Raises:
        Unreadable: there is something else than segments, or too many.
    """
    at, fill = 2, 0
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, at, at + _MAX_FILL_BYTES)
        if not found:
            break
        fill += found.start() - at
        at = found.start(1)
        if fill > _MAX_FILL_BYTES:
            break
        if data[at] in _ALONE:
            at += 1
            continue
        marker, length = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
        if length < 2:
            break
        yield marker, at, length
        if marker == JPEG_SCAN:
            return
        at += 1 + length
    raise Unreadable


def _scans(data: bytes, at: int) -> int:
    """How many there are up to the picture's end, the first of them before this place."""
    count = 1
    for _ in range(_MAX_SEGMENTS):
        found = _next_marker(data, at)
        if not found or data[found.start(1)] == _END:
            return count
        at = found.end()
        count += data[at - 1] == JPEG_SCAN
        at += int.from_bytes(data[at : at + 2], "big")
    raise Unreadable


def _next_marker(data: bytes, at: int) -> re.Match[bytes] | None:
    for start in range(at, len(data), _AT_ONCE):
        if found := _MARKER.search(data, start, start + _AT_ONCE + 1):
            return found
    return None


def plain_jpeg(data: bytes) -> bytes:
    """A JPEG as decoders take it: with one start, and its height in the frame's head.

    Some say behind the first scan how many lines there are (B.2.5).
    """
    starts = _STARTS.match(data)
    data = data[starts.end() - 2 :] if starts else data
    frame, scan = 0, 0
    for marker, at, length in jpeg_segments(data):
        frame, scan = at if marker in JPEG_FRAMES else frame, at + 1 + length
    if not frame or data[frame + 4 : frame + 6] != bytes(2):
        return data
    found = _next_marker(data, scan)
    if not found or not data.startswith(_LINES, found.start()):
        return data
    end, lines = found.start(), found.start() + len(_LINES)
    return b"".join(
        (data[: frame + 4], data[lines : lines + 2], data[frame + 6 : end], data[lines + 2 :])
    )


def jpeg_info(data: bytes) -> dict[str, Any]:
    """The profile, put together of its parts, each counted once; where one is missing, that."""
    parts: dict[int, bytes] = {}
    count = 0
    for _, at, length in jpeg_segments(data):
        if data.startswith(_PROFILE, at + 3) and length > 16:
            number, count = data[at + 15 : at + 17]
            parts.setdefault(number, data[at + 17 : at + 1 + length])
    icc = b"".join(parts[number] for number in sorted(parts))
    if not icc:
        return {}
    size = int.from_bytes(icc[:4], "big")
    if len(parts) == count or _PROFILE_HEAD <= size <= len(icc):
        return {"icc_profile": icc}
    return {"icc_profile": b"", "lost": ("colour profile",)}
