"""A TIFF's strips and tiles unpacked, or as much of one as there is.

LZW and PackBits are left to libtiff, to which strips are given as a small file of 8 bits: large
ones one by one, small ones many at once.
"""

import zlib
from collections.abc import Iterator
from io import BytesIO
from operator import is_not

import numpy as np
from numpy.typing import NDArray

from chromaserve.photos.header import PIL_ERRORS, damaged
from chromaserve.photos.structure import NO_CODE, without_room
from chromaserve.photos.tiff_image import Tiff, put_together
from chromaserve.photos.tiff_page import (
    ADOBE_DEFLATE,
    DEFLATE,
    LZW,
    PACKBITS,
    PLAIN,
    Page,
)

_PIECE = 1 << 18
_MOST_SEARCHES, _STEPS = 4, 8
"""How many strips are searched for their last whole row, and how closely: it takes a decoding a
step, and a file that was cut or has a scratch has one such strip."""
_MOST_BROKEN = 2_000
"""Times that libtiff may fail: each takes as long as a strip."""
_TOGETHER, _MOST_TOGETHER = 1 << 16, 256
"""Bytes of strips that libtiff is given at once, and how many: a file costs as much as they do."""
_MOST_AGAIN = 500
"""Times that it is given fewer small strips, since one of them is broken; further ones are lost."""
_SPARE = 1024
_REVERSED = np.array([int(f"{i:08b}"[::-1], 2) for i in range(256)], np.uint8)

Bytes = NDArray[np.uint8]
_NO_BYTES, _NOTHING = np.zeros(0, np.uint8), memoryview(b"")


class Strips:
    """The strips or tiles of a page."""

    def __init__(self, data: bytes, page: Page, row_bytes: int) -> None:
        """Read nothing yet; `row_bytes` are those of a row of a strip."""
        self._data, self._page, self._row_bytes = data, page, row_bytes
        self._starts = np.sort(page.places)
        self._searches, self._broken = _MOST_SEARCHES, 0
        self._held: dict[int, Bytes] = {}
        self._again = 0

    def unpacked(self, index: int, rows: int) -> tuple[Bytes, int]:
        """A strip or tile, uint8 [rows, bytes], and how many of its rows are whole.

        Those that are not are zeros, or what there is of them.

        Raises:
            DamagedPhoto: far too many strips are broken.
        """
        needed, found = rows * self._row_bytes, np.zeros(0, np.uint8)
        if self._is_small(needed):
            if index not in self._held:
                self._hold_from(index, rows)
            found = self._held.pop(index, found)
            if len(found) == needed:
                return found.reshape(rows, self._row_bytes), rows
            if self._again > _MOST_AGAIN:
                return np.zeros((rows, self._row_bytes), np.uint8), 0
            found = found[:0]
        packed = _NOTHING
        for there in filter(len, self._packed(index, needed)):
            packed = self._up_to_zeros(there)
            found = max(found, self._tried(packed, rows), key=len) if packed else found
            if len(found) == needed or len(packed) < len(there):
                break
        if not len(found) and len(packed):
            found = self._searched(packed, rows)
        good = len(found) // self._row_bytes
        if good < rows:
            padded = np.zeros(needed, np.uint8)
            padded[: len(found)] = found
            found = padded
        if self._page.reversed_bits and self._page.compression == PLAIN:
            found = _REVERSED[found]
        return found.reshape(rows, self._row_bytes), good

    def _hold_from(self, index: int, rows: int) -> None:
        """Unpack this strip and those behind it at once."""
        needed = rows * self._row_bytes
        last = min(index + _TOGETHER // needed, index + _MOST_TOGETHER, len(self._page.places))
        said = [self._packed(i, needed) for i in range(index, last)]
        first = [next(filter(len, each), _NOTHING) for each in said]
        strips = [self._up_to_zeros(each) for each in first]
        made = self._by_libtiff(strips, rows)
        if not len(made) and self._again <= _MOST_AGAIN:
            longer = [next(filter(len, each), was) for each, was in zip(said, first, strict=True)]
            if any(map(is_not, longer, first)):
                strips = [self._up_to_zeros(each) for each in longer]
                made = self._by_libtiff(strips, rows)
        self._hold(index, strips, rows, made)

    def _hold(self, index: int, strips: list[memoryview], rows: int, made: Bytes) -> None:
        """Hold what was made of strips, or of each half of them where one of them is broken."""
        if len(made):
            self._held.update(enumerate(made.reshape(len(strips), -1), index))
        elif len(strips) > 1:
            half = len(strips) // 2
            for at, few in ((0, strips[:half]), (half, strips[half:])):
                found = self._by_libtiff_again(few, rows) if len(few) > 1 else _NO_BYTES
                self._hold(index + at, few, rows, found)
        else:
            self._held[index] = _NO_BYTES

    def _packed(self, index: int, needed: int) -> Iterator[memoryview]:
        """A strip's bytes as the file says, then all up to the next one: sizes may be wrong.

        Never more than twice what they are to become, however many strips share them.
        """
        page, view = self._page, memoryview(self._data)
        start = int(page.places[index]) if index < len(page.places) else -1
        if start < 0:
            return
        most = start + 2 * needed + _SPARE
        said = start + int(page.sizes[index]) if index < len(page.sizes) else start
        if page.compression != PLAIN:
            yield view[start : min(said, most)]
        behind = np.searchsorted(self._starts, start, "right")
        if behind < len(self._starts):
            most = min(most, int(self._starts[behind]))
        if page.compression == PLAIN or most > said:
            yield view[start:most]

    def _up_to_zeros(self, packed: memoryview) -> memoryview:
        """What is there before a hole, or of deflate before room for what never came."""
        if self._page.compression == PLAIN:
            return packed
        if self._page.compression not in (LZW, PACKBITS):
            return packed[: len(without_room(bytes(packed), erased=False))]
        hole = bytes(packed).find(bytes(NO_CODE))
        return packed[:hole] if hole >= 0 else packed

    def _tried(self, packed: memoryview, rows: int) -> Bytes:
        """So many rows, or as much as there is of them; by libtiff all or none."""
        compression, needed = self._page.compression, rows * self._row_bytes
        if compression == PLAIN:
            return np.frombuffer(packed[:needed], np.uint8)
        if compression in (ADOBE_DEFLATE, DEFLATE):
            if self._page.reversed_bits:
                packed = _REVERSED[np.frombuffer(packed, np.uint8)].data
            return _inflated(packed, needed, self._page.rows_per_strip * self._row_bytes)
        if self._is_small(needed):
            return self._by_libtiff_again([packed], rows)
        return self._by_libtiff([packed], rows)

    def _searched(self, packed: memoryview, rows: int) -> Bytes:
        """The rows up to where a strip of LZW or PackBits is broken, or nearly."""
        found, least, most = np.zeros(0, np.uint8), 0, rows
        if self._page.compression not in (LZW, PACKBITS) or not self._searches:
            return found
        self._searches -= 1
        for _ in range(_STEPS):
            middle = (least + most) // 2
            if middle == least:
                break
            part = self._by_libtiff([packed], middle)
            if len(part):
                found, least = part, middle
            else:
                most = middle
        return found

    def _is_small(self, needed: int) -> bool:
        """Whether libtiff is given strips of so many bytes together with others."""
        return self._page.compression in (LZW, PACKBITS) and 2 * needed <= _TOGETHER

    def _by_libtiff_again(self, strips: list[memoryview], rows: int) -> Bytes:
        """The same of fewer than were broken together, while not too many were."""
        self._again += all(map(len, strips))
        return self._by_libtiff(strips, rows) if self._again <= _MOST_AGAIN else _NO_BYTES

    def _by_libtiff(self, strips: list[memoryview], rows: int) -> Bytes:
        """So many rows of each, none where they are not all there."""
        if not all(map(len, strips)):
            return _NO_BYTES
        fill = 2 if self._page.reversed_bits else 1
        tags = {256: self._row_bytes, 257: rows * len(strips), 258: 8, 262: 1, 266: fill}
        tags |= {259: self._page.compression, 277: 1, 278: rows}
        try:
            with Tiff(BytesIO(put_together(tags, strips))) as image:
                return np.asarray(image, np.uint8).reshape(-1)
        except PIL_ERRORS as error:
            self._broken += 1
            if self._broken > _MOST_BROKEN:
                raise damaged("TIFF") from error
            return np.zeros(0, np.uint8)


def _inflated(packed: memoryview, needed: int, most: int, at_once: int = _PIECE) -> Bytes:
    """So many bytes, or fewer, without a second copy of them.

    None at all where the checksum at their end is wrong, or more than `most` or nonsense follows
    them: nobody knows which of them are right.
    """
    found, at, inflater = np.empty(needed, np.uint8), 0, zlib.decompressobj()
    try:
        for start in range(0, len(packed), _PIECE):
            rest = bytes(packed[start : start + _PIECE])
            while rest and at < needed:
                piece = inflater.decompress(rest, min(at_once, needed - at))
                found[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
                at += len(piece)
                rest = inflater.unconsumed_tail
            while rest and not inflater.eof:  # a last strip may have rows below the photo
                at += len(inflater.decompress(rest, _PIECE))
                rest = inflater.unconsumed_tail
                if at > max(most, needed):
                    return found[:0]
            if inflater.eof:
                break
    except zlib.error as error:
        if at >= needed or "data check" in str(error):  # zlib's word for the checksum
            return found[:0]
        if at_once > _SPARE:  # what was inflated in the step that failed is lost
            return _inflated(packed, needed, most, _SPARE)
    return found[:at]
