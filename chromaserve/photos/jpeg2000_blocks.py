"""How many parts a JPEG 2000 says it has, for each of which a decoder makes room beforehand."""

import struct
from collections.abc import Iterator

from chromaserve.photos.structure import Unreadable

_COD, _COC, _SOT, _SOD, _EOC = 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_KNOWN = frozenset(bytes.fromhex("50515253555758595c5d5e5f60616364747577789093d9"))
"""Second bytes of those that the decoder knows (ISO/IEC 15444-1, table A.2; 15444-2, A.1)."""
_MOST_MARKERS, _MOST_KINDS = 200_000, 1_000
_MOST_LEVELS, _LARGEST_BLOCK, _LARGEST_PRECINCT = 32, 8, 15
_LONGEST = 5 + _MOST_LEVELS + 1
_SOME_PARTS, _OF_A_TILE, _OF_ALL = 20_000, 128, 64
"""And one for so many pixels, of one tile, which take memory, and of all, which take time. Real
blocks have 32 or 64 pixels a side, precincts 64 and more; there is room for blocks of 16, and for
tiles of 64."""
_MOST_STEPS = 20_000_000
"""Of layers, resolutions, channels and precincts, each with each: of large real ones a tenth."""


def check_parts(
    data: bytes, at: int, size: tuple[int, int], tile: tuple[int, int], channels: int
) -> None:
    """Raise Unreadable where a codestream's headers, from a place on, say far too many parts."""
    said = _Said(size, tile, channels)
    for marker, place in _markers(data, at):
        if marker == _COD:
            layers = struct.unpack_from(">H", data, place + 6)[0]
            said.add(data[place + 4] & 1, data[place + 9 : place + 9 + _LONGEST], layers)
        elif marker == _COC:  # its channel's number is a byte, there being few
            said.add(data[place + 5] & 1, data[place + 6 : place + 6 + _LONGEST])


class _Said:
    """The most of each that headers say so far."""

    def __init__(self, size: tuple[int, int], tile: tuple[int, int], channels: int) -> None:
        """All tiles are taken to be as large as the first one, and all channels alike."""
        (width, height), self._tile = size, tuple(map(min, size, tile))
        self._tiles, self._channels = -(-width // tile[0]) * -(-height // tile[1]), channels
        of_a_tile = _SOME_PARTS + channels * self._tile[0] * self._tile[1] // _OF_A_TILE
        of_all = _SOME_PARTS + channels * width * height // _OF_ALL
        self._most_parts = min(of_a_tile, of_all // self._tiles)
        self._kinds: set[bytes] = set()
        self._layers, self._resolutions, self._precincts = 0, 0, 0
        self._nearest = [_LARGEST_PRECINCT + _MOST_LEVELS] * 2

    def add(self, divided: int, said: bytes, layers: int = 1) -> None:
        """What a header says of levels, a block's sides, and a precinct's, if divided (A.6.1)."""
        self._layers = max(self._layers, layers)
        said = said[: 5 + divided * (said[0] + 1)]
        if said not in self._kinds:
            self._kinds.add(said)
            parts = self._channels * self._parts(said)
            if parts > self._most_parts or len(self._kinds) > _MOST_KINDS:
                raise Unreadable
        # By some orders of packets it looks for precincts at each place where one may be.
        places = -(-self._tile[0] >> self._nearest[0]) * -(-self._tile[1] >> self._nearest[1])
        steps = max(self._layers * self._precincts, places) * self._resolutions
        if self._tiles * self._channels * steps > _MOST_STEPS:
            raise Unreadable

    def _parts(self, said: bytes) -> int:
        """Precincts and blocks of a tile's channel."""
        levels, block, parts = said[0], (said[1], said[2]), 0
        if levels > _MOST_LEVELS or max(block) > _LARGEST_BLOCK:
            raise Unreadable
        for resolution in range(levels + 1):
            level, inside = levels - resolution, resolution > 0
            sides = said[5 + resolution] if len(said) > 5 else 0xFF
            precincts, blocks = 1, 1
            for i, exponent in enumerate((sides & 15, sides >> 4)):
                side = -(-self._tile[i] >> level)
                precincts *= -(-side >> exponent)
                blocks *= -(-side >> inside + min(block[i] + 2, max(0, exponent - inside)))
                self._nearest[i] = min(self._nearest[i], exponent + level)
            self._precincts = max(self._precincts, precincts)
            parts += (precincts + blocks) * (3 if inside else 1)  # bands
        self._resolutions = max(self._resolutions, levels + 1)
        return parts


def _markers(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Those of the main header, from the first one on, and of each tile-part's, with their places.

    After one that it does not know the decoder looks for the next one at every second byte.
    """
    behind = end = len(data)
    for _ in range(_MOST_MARKERS):
        if at + 4 > end:
            return
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == _EOC:
            return
        if marker == _SOD:
            left = max(0, behind - at)
            at += left if left >= 2 else 2 + left
            continue
        if marker < 0xFF00 or marker & 0xFF not in _KNOWN:
            at += 2
            continue
        if marker == _SOT:
            size = struct.unpack_from(">I", data, at + 6)[0]
            behind = at + size if size else end
        yield marker, at
        at += 2 + length
    raise Unreadable
