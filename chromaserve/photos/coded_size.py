"""The size that a coded picture says of itself, which its decoder makes room for: HEVC and AV1."""

from collections.abc import Iterable, Iterator

from chromaserve.photos.structure import Unreadable

Size = tuple[int, int]

MOST_UNITS = 20_000
"""Of a file; each costs a few microseconds."""
_MOST_HEAD = 2_000
"""Bytes of a head that are looked at: sizes stand in the first hundred."""
_SEQUENCE_PARAMETERS = 33
_SEQUENCE_HEADER = 1


def largest(sizes: Iterable[Size]) -> Size:
    """Width and height, each the largest of all."""
    width = height = 0
    for one in sizes:
        width, height = max(width, one[0]), max(height, one[1])
    return width, height


class _Bits:
    """Bits of some bytes, most significant first."""

    def __init__(self, data: bytes) -> None:
        data = data[:_MOST_HEAD]
        self._number, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise Unreadable
        return self._number >> self._left & (1 << count) - 1

    def exp_golomb(self) -> int:
        """The next unsigned Exp-Golomb code (ITU-T H.265, 9.2)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise Unreadable
        return (1 << zeros) - 1 + self.take(zeros)


def hevc_sizes(data: bytes, length_bytes: int, turns: Iterator[int]) -> Iterator[Size]:
    """Of every sequence parameter set among units that are led by their lengths.

    Args:
        data: the units.
        length_bytes: of each length.
        turns: as many as units may be looked at, of which each takes one.
    """
    at = 0
    for _ in turns:
        if at + length_bytes > len(data):
            return
        length = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        yield from hevc_unit_sizes(data[at : at + min(length, _MOST_HEAD)])
        at += length
    raise Unreadable


def hevc_unit_sizes(unit: bytes) -> Iterator[Size]:
    """Of one unit, if it is a sequence parameter set (ITU-T H.265, 7.3.2.2)."""
    if len(unit) < 2 or unit[0] >> 1 & 63 != _SEQUENCE_PARAMETERS:
        return
    bits = _Bits(unit[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(96)
    there = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in there:
        bits.take(88 * profile + 8 * level)
    bits.exp_golomb()
    if bits.exp_golomb() == 3:
        bits.take(1)
    yield bits.exp_golomb(), bits.exp_golomb()


def av1_sizes(data: bytes, turns: Iterator[int]) -> Iterator[Size]:
    """Of every sequence header among the units (AV1 specification, 5.3 to 5.5); see above."""
    at = 0
    for _ in turns:
        if at >= len(data):
            return
        head = data[at]
        at += 1 + (head >> 2 & 1)
        length, at = _leb128(data, at) if head & 2 else (len(data) - at, at)
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            yield _av1_size(_Bits(data[at : at + min(length, _MOST_HEAD)]))
        at += length
    raise Unreadable


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for i in range(8):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 127) << 7 * i
        if data[at + i] < 128:
            return value, at + i + 1
    raise Unreadable


def _av1_size(bits: _Bits) -> Size:
    bits.take(4)
    if bits.take(1):  # a still picture's short header
        bits.take(5)
    else:
        _operating_points(bits)
    sides = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(sides[0]) + 1, bits.take(sides[1]) + 1


def _operating_points(bits: _Bits) -> None:
    """What stands before the size in a header of a film (5.5.1)."""
    delays, delay_bits = 0, 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            _uvlc(bits)
        delays = bits.take(1)
        if delays:
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    initial = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delays and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if initial and bits.take(1):
            bits.take(4)


def _uvlc(bits: _Bits) -> None:
    zeros = 0
    while not bits.take(1):
        zeros += 1
        if zeros > 32:  # none is longer; that says nothing
            raise Unreadable
    bits.take(zeros if zeros < 32 else 0)
