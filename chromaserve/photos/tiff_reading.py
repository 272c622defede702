"""A TIFF's pages by their tags: which one is the photo, and whether its samples can be used."""

import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Final, NoReturn

from chromaserve.errors import (
    DamagedPhoto,
    InvalidOptions,
    ServiceError,
    UnsupportedFormat,
    UnsupportedSamples,
)
from chromaserve.photos.ifd import EXIF, GPS, ORIENTATION, BadDirectory, Directory, byte_order, read
from chromaserve.photos.structure import MAX_VALUES, TiffPage, Unreadable, tiff_pages
from chromaserve.photos.tiff_page import (
    ADOBE_DEFLATE,
    DEFLATE,
    FAX,
    FLOAT,
    FLOATS,
    LZW,
    PLAIN,
    UNPACKED,
    Page,
)

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes; those with + are BigTIFF's."""
_ADVICE = "Save it as 8 or 16 bits a channel, grey or RGB."
_MOST = 1 << 24
"""Bytes of a page's values, its strips' places included."""
_LARGE = frozenset((EXIF, GPS, 700, 33723, 34377, 34675, 37724, 50740))
"""Tags that say nothing of the pixels."""
_SUB_PAGES, _DNG_VERSION, _PHOTOMETRIC = 330, 50706, 262
_SENSOR = (32803, 34892)
_MOST_SUB_PAGES = 16
_WHOLE = 1
_FORMATS, _UNDEFINED = {2: "signed", 5: "complex", 6: "complex"}, 4
_COLOURS = {8: "Lab", 9: "Lab", 10: "Lab", 32844: "logarithmic", 32845: "logarithmic"}
_PACKED: Final = frozenset((2, 3, 4, 6, 7, 32771, 32809, 34925, 50000))
"""Those that Pillow's libtiff undoes."""
_NOT_UNPACKED: Final = {
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((9, 10, 34661), "JBIG"),
    **dict.fromkeys((34927, 50001), "WebP"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    34887: "LERC",
}
_MOST_BITS, _MOST_FLOAT_BITS, _TILE = 64, 256, 1 << 20
"""Of a pixel's samples, for whose memory the photo is charged; pixels of a tile, however small the
photo."""


@dataclass(frozen=True)
class Found:
    """What a file has."""

    page: Page
    index: int
    """The photo's place among the file's directories."""
    pages: tuple[int, ...]
    """The places of all that are photos, not reduced copies of others."""
    more: bool
    """Whether there are others, which cannot be read."""


def read_tiff(data: bytes, wanted: int = 0) -> Found:
    """The page that is the photo, or a later one.

    Raises:
        Unreadable: it is broken, or larger than any photo's.
        UnsupportedFormat: it is a camera's raw file.
        UnsupportedSamples: see `check`.
        InvalidOptions: there are not as many pages.
        DamagedPhoto: there may be, but they cannot be read.
    """
    listed, more = tiff_pages(data)
    try:
        _refuse_raw(data, listed[0])
        whole = tuple(i for i, page in enumerate(listed) if not page.reduced) or (0,)
        if wanted >= len(whole):
            if more:
                raise DamagedPhoto(
                    f"The TIFF file is damaged: pages after number {len(whole)} cannot be read."
                )
            raise InvalidOptions(f"There is no page {wanted + 1}: the TIFF has {len(whole)}.")
        index = whole[wanted]
        page = _page(data, listed[index].place)
    except (BadDirectory, IndexError) as error:
        raise Unreadable from error
    check(page)
    return Found(page, index, whole, more)


def count_pages(data: bytes | mmap) -> tuple[int, bool]:
    """How many photos a TIFF's directories are, and whether there are others, which can't be read.

    Of a file that is none, or broken: one.
    """
    if data[:4] not in TIFF:
        return 1, False
    try:
        listed, more = tiff_pages(data)
    except (ServiceError, Unreadable, struct.error, IndexError, OverflowError):
        return 1, False  # what is wrong is told when it is read
    return max(1, sum(not page.reduced for page in listed)), more


def directory_of(data: bytes, place: int) -> Directory:
    """A page's tags, without those that say nothing of its pixels."""
    order, big = byte_order(data)
    view = memoryview(data)
    return read(view, order, place, limit=_MOST, big=big, without=_LARGE)


def _refuse_raw(data: bytes, first: TiffPage) -> None:
    directory = directory_of(data, first.place)
    raw = _DNG_VERSION in directory.entries or directory.number(_PHOTOMETRIC) in _SENSOR
    if not raw and _SUB_PAGES in directory.entries:
        for place in directory.numbers(_SUB_PAGES)[:_MOST_SUB_PAGES]:
            try:
                sub = directory_of(data, int(place))
            except BadDirectory:
                continue
            raw = raw or sub.number(_PHOTOMETRIC) in _SENSOR
    if raw:
        refuse_raw()


def refuse_raw() -> NoReturn:
    """A camera's raw file has no picture, but what one can be developed from."""
    raise UnsupportedFormat(
        "This is a camera's raw file. Develop it first: save it as JPEG, TIFF or PNG in the program"
        " that you develop photos with."
    )


def _page(data: bytes, place: int) -> Page:
    tags = directory_of(data, place)

    def one(tag: int, default: int) -> int:
        found = tags.number(tag)
        return default if found is None else found

    samples, compression = one(277, 1), one(259, PLAIN)
    bits = tuple(int(n) for n in tags.numbers(258)) or (1,)
    # What a writer knew nothing of is taken as if nothing were said (TIFF 6.0, section 19).
    formats = tuple(1 if n == _UNDEFINED else int(n) for n in tags.numbers(339)) or (1,)
    tile = (one(322, 0), one(323, 0)) if 322 in tags.entries else None
    height = one(257, 0)
    return Page(
        width=one(256, 0),
        height=height,
        bits=bits * samples if len(bits) == 1 else bits,
        formats=formats,
        photometric=one(_PHOTOMETRIC, 0 if compression in FAX else -1),
        compression=compression,
        samples=samples,
        planar=one(284, 1) == 2 and samples > 1,
        # Of other compressions it is no part, whatever is written.
        predictor=one(317, 1) if compression in (LZW, DEFLATE, ADOBE_DEFLATE) else 1,
        extra=tuple(int(n) for n in tags.numbers(338)),
        tile=tile,
        rows_per_strip=min(one(278, height), height) or height,
        reversed_bits=one(266, 1) == 2,
        orientation=one(ORIENTATION, 1),
        order=tags.order,
        place=place,
        places=tags.numbers(324 if tile else 273),
        sizes=tags.numbers(325 if tile else 279),
    )


def check(page: Page) -> None:
    """Hold a page's samples against what can be used.

    Raises:
        UnsupportedSamples: with what they are, or how they are compressed.
        DamagedPhoto: its tags contradict each other.
    """
    if page.samples < 1 or len(page.bits) < page.samples or not all(page.tile or (1, 1)):
        raise DamagedPhoto("The TIFF's tags contradict each other. Save it anew.")
    if page.compression not in UNPACKED | _PACKED:
        name = _NOT_UNPACKED.get(page.compression, f"number {page.compression}")
        raise UnsupportedSamples(
            f"The TIFF's compression ({name}) is not undone here. Save it with LZW, ZIP or none."
        )
    odd = next((n for n in page.formats if n not in (_WHOLE, FLOAT)), None)
    if odd is not None or len(set(page.formats)) > 1:
        kind = _FORMATS.get(odd, "unknown") if odd is not None else "several kinds of"
        raise UnsupportedSamples(
            f"The TIFF has {kind} samples, of which nobody can tell what white is. {_ADVICE}"
        )
    if page.photometric < 0:
        raise DamagedPhoto("The TIFF does not say whether 0 is black or white. Save it anew.")
    if page.photometric in _COLOURS:
        kind = _COLOURS[page.photometric]
        raise UnsupportedSamples(f"The TIFF's colours are {kind}, which is not taken. {_ADVICE}")
    most = max(page.bits)
    if page.samples * most > (_MOST_FLOAT_BITS if page.is_float else _MOST_BITS) and page.is_ours:
        raise UnsupportedSamples(
            f"The TIFF has {page.samples} channels of {most} bits, more than are taken. {_ADVICE}"
        )
    if page.tile and page.tile[0] * page.tile[1] > max(_TILE, 4 * page.width * page.height):
        raise DamagedPhoto("The TIFF's tiles are far larger than it is. Save it anew.")
    if page.parts > MAX_VALUES:  # whose places no tag would hold
        raise DamagedPhoto(f"The TIFF says that it has {page.parts:,} strips or tiles.")
    if page.is_float and most not in FLOATS:
        raise UnsupportedSamples(f"The TIFF has floating-point numbers of {most} bits. {_ADVICE}")
    if page.predictor != 1 and page.bits[0] % 8:
        _refuse_bits(page)
    if most > 16 and not page.is_float:
        raise UnsupportedSamples(f"The TIFF has {most} bits a channel. {_ADVICE}")
    if most <= 8:
        turned = page.photometric == 3 and page.reversed_bits and most < 8
        if not page.is_known and (turned or set(page.bits) - {1, 2, 4, 8}):
            _refuse_bits(page)
        return
    if page.photometric > 2:
        kind = {3: "a palette", 5: "CMYK", 6: "YCbCr"}.get(page.photometric, "colours of a kind")
        raise UnsupportedSamples(f"The TIFF has {kind} in {most} bits. {_ADVICE}")
    if page.compression not in UNPACKED:
        raise UnsupportedSamples(
            f"The TIFF has {most} bits a channel in a compression (number {page.compression}) that"
            " is taken for 8 bits alone. Save it with LZW, ZIP or no compression."
        )
    if not page.is_ours:
        _refuse_bits(page)


def _refuse_bits(page: Page) -> NoReturn:
    told, order = ", ".join(map(str, page.bits)), ", last ones first" * page.reversed_bits
    order += ", less those before them" * (page.predictor != 1)
    raise UnsupportedSamples(f"The TIFF has samples of {told} bits{order}. {_ADVICE}")
