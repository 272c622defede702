"""JPEGs put together of segments (ITU-T T.81, annex B)."""

import struct


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def end_of_scan(jpeg: bytes) -> int:
    """Where the code of the first scan ends."""
    start = jpeg.index(b"\xff\xda") + 2
    return next(
        i for i in range(start, len(jpeg))
        if jpeg[i] == 0xFF and jpeg[i + 1] not in (0, *range(0xD0, 0xD8))
    )  # fmt: skip


def with_height_behind(jpeg: bytes) -> bytes:
    """As a scanner writes it that does not know how long its paper is: DNL."""
    frame = 5 + max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    end = end_of_scan(jpeg)
    lines = segment(0xDC, jpeg[frame : frame + 2])
    return jpeg[:frame] + bytes(2) + jpeg[frame + 2 : end] + lines + jpeg[end:]
