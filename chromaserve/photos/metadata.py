"""What a file says beside its pixels, and what of that goes along with the result."""

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal

from chromaserve.photos.ifd import (
    GPS,
    ORIENTATION,
    RESOLUTION_UNIT,
    SOFTWARE,
    X_RESOLUTION,
    Y_RESOLUTION,
    BadDirectory,
    Directory,
    Entry,
    byte_order,
    read,
    read_exif,
)
from chromaserve.photos.iptc import datasets
from chromaserve.photos.places import (
    captions_without_places,
    is_of_place,
    xmp_without_places,
)
from chromaserve.photos.png_reading import read_texts

Keep = Literal["keep", "all", "none"]
"""What goes along: all but places; places too; nothing."""

_MOST = 4 << 20
"""Bytes of EXIF, of XMP, of IPTC, of texts: what is larger is left out."""
_IPTC = 0x0404
"""Among Photoshop's blocks."""
_IIM, _BLOCKS = 33723, 34377
"""Of a TIFF: IPTC, and Photoshop's blocks, which may have it too."""
STORAGE: Final = frozenset(
    (
        *range(254, 269),  # of TIFF: sizes, compression, photometry
        *(273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293, 297, 301),
        *(317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332, 334, 336, 338, 339),
        *(340, 341, 342, 343, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
        *(559, 700, _IIM, _BLOCKS, 34675, 37724, 50838, 50839),
    )
)
"""Tags that say how a file is stored, or that go along in a way of their own."""
_APART = frozenset((700, _IIM, 34675))
_NO_BLOCKS = STORAGE - {_BLOCKS}
_NO_ENTRY = Entry(0, b"")
# Each takes time in proportion to the text, whatever that is.
_TURN = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)([1-8])""")
_CREATOR = re.compile(rb"""(xmp:CreatorTool\s*(?:=\s*["']|>))([^<"']*)""")
_EXTENDED = b"xmpNote:HasExtendedXMP"
"""Names XMP in further segments of a JPEG."""
_BEHIND = re.compile(
    rb"""\s(?:%b|G?Camera:(?:MotionPhoto|MicroVideo)\w{0,40}|hdrgm:Version)\s*=\s*"""
    rb"""(?:"[^"]*"|'[^']*')""" % _EXTENDED
)
"""Names that, and what else lies behind a telephone's photo and does not go along: films, gains."""
COMMENT: Final = "Comment"
_COMMENTED = ("JPEG", "GIF")
_MOST_PICTURES = 20
_PICTURES = b"xmp:Thumbnails", b"Container:Directory"
"""Small ones, and the list of those that lie behind."""


COLOURS_KEPT: Final = "colours kept"
"""What is noted of a photo that is left as it was."""
RECOLOURED: Final = "recoloured"
"""Of one that had colours, and got others."""
_NOTE = re.compile(r"chromaserve \S+ \(([^)]*)\)$")


@dataclass(frozen=True)
class Metadata:
    """Of a photo."""

    exif: Directory | None = None
    xmp: bytes = b""
    iptc: bytes = b""
    """IIM's datasets."""
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[str, str], ...] = ()
    """A PNG's, by keyword; a JPEG's or GIF's comment."""
    lost: tuple[str, ...] = ()
    """What was too large or broken, in words."""

    @property
    def orientation(self) -> int:
        """By EXIF, else by XMP; 1 if there is none or it is nonsense."""
        found = self.exif.number(ORIENTATION) if self.exif else None
        if found is None:
            said = _TURN.search(self.xmp)
            found = int(said[2]) if said else 1
        return found if found in range(1, 9) else 1

    @property
    def has_places(self) -> bool:
        """Whether it says where the photo was taken."""
        named = any(is_of_place(keyword) for keyword, _ in self.texts)
        return (
            named
            or bool(self.exif and self.exif.names(GPS))
            or xmp_without_places(self.xmp) != self.xmp
            or captions_without_places(self.iptc) != self.iptc
        )

    def for_result(self, keep: Keep, made: str) -> "Metadata":
        """What goes along with an upright result, and what made it, as `software` says it."""
        if keep == "none":
            return NOTHING
        exif = (self.exif or Directory("<")).without([ORIENTATION])
        xmp, iptc, texts = self.xmp, self.iptc, self.texts
        dpi, sideways = self.dpi, self.orientation >= 5
        if keep == "keep":
            exif, xmp = exif.without([GPS]), xmp_without_places(xmp)
            iptc = captions_without_places(iptc)
            texts = tuple(text for text in texts if not is_of_place(text[0]))
        if sideways:
            exif = exif.turned()
            dpi = dpi and (dpi[1], dpi[0])
        if dpi and (sideways or X_RESOLUTION not in exif.entries):
            exif = exif.with_resolution(dpi)
        exif = exif.in_srgb()
        before = exif.text(SOFTWARE)
        exif = exif.with_short(ORIENTATION, 1).with_text(
            SOFTWARE, f"{before}; {made}" if before else made
        )
        xmp = _edited(xmp, made.encode())
        return replace(self, exif=exif, xmp=xmp, iptc=iptc, dpi=dpi, texts=texts)


NOTHING: Final = Metadata()


def software(model: int, *how: str) -> str:
    """What made a result, and how: "chromaserve 0.1.0 (model 2, vividness 0.65, guided)"."""
    return f"chromaserve {package_version()} ({', '.join([f'model {model}', *how])})"


def noted(said: str) -> set[str]:
    """The words in brackets of such a note, which a text ends with; none where it has no note."""
    found = _NOTE.search(said)
    return set(found[1].split(", ")) if found else set()


@cache
def package_version() -> str:
    """Of this package, "0" where it is not installed."""
    try:
        return importlib.metadata.version("chromaserve")
    except importlib.metadata.PackageNotFoundError:  # run from a folder
        return "0"


def gather(data: bytes, info: Mapping[Any, Any], kind: str) -> Metadata:
    """What a file has, whose header was bounded; `info` is what Pillow found there."""
    lost: list[str] = [*info.get("lost", ())]
    texts = _comment(info.get("comment")) if kind in _COMMENTED else ()
    blocks = info.get("photoshop")
    xmp, exif = info.get("xmp", b""), info.get("exif", b"")
    said = blocks.get(_IPTC, b"") if isinstance(blocks, dict) else b""
    iptc = datasets(_bounded("IPTC", said, lost))
    if kind == "PNG":
        found = read_texts(data)
        texts, xmp, exif, iptc = found.texts, found.xmp, found.exif, found.iptc
        lost += ["texts"] * found.lost
    directory = _exif(exif, lost)
    xmp, iptc = _xmp(xmp, lost), _bounded("IPTC", iptc, lost)
    if kind == "AVIF":  # in which the file's own boxes alone turn it (ISO/IEC 23008-12, 6.5.10)
        xmp = _TURN.sub(rb"\g<1>1", xmp)
    if _EXTENDED in xmp:
        lost.append("extended XMP")
    return Metadata(directory, xmp, iptc, _dpi(info, directory), texts, tuple(lost))


def gather_tiff(data: bytes, place: int) -> tuple[Metadata, bytes]:
    """What a TIFF's page has, and its colour profile; `place` is its directory's."""
    order, big = byte_order(data)
    lost: list[str] = []
    try:
        found = read(
            memoryview(data), order, place, limit=4 * _MOST, big=big, without=STORAGE - _APART
        )
    except BadDirectory:
        return Metadata(lost=("TIFF tags",)), b""
    lost += ["part of the TIFF tags"] * found.partial
    xmp, said, icc = (found.entries.get(tag, _NO_ENTRY).raw for tag in (700, _IIM, 34675))
    iptc = datasets(said)
    lost += ["IPTC"] * (not iptc and any(said))
    if not said:
        blocks = read(memoryview(data), order, place, limit=_MOST, big=big, without=_NO_BLOCKS)
        iptc = datasets(blocks.entries.get(_BLOCKS, _NO_ENTRY).raw)
    metadata = Metadata(
        found.without(_APART),
        _xmp(xmp, lost),
        _bounded("IPTC", iptc.rstrip(b"\0"), lost),
        _resolution(found),
        (),
        tuple(lost),
    )
    return metadata, icc


def _resolution(found: Directory) -> tuple[float, float] | None:
    unit = found.number(RESOLUTION_UNIT)
    scale = {3: 2.54, 1: 0.0}.get(unit or 2, 1.0)
    x, y = (found.rational(tag) * scale for tag in (X_RESOLUTION, Y_RESOLUTION))
    return (x, y) if all(0.1 < value < 1e5 for value in (x, y)) else None


def _comment(said: object) -> tuple[tuple[str, str], ...]:
    """A JPEG's or GIF's, whose letters nobody names, as the text that PNGs have for it."""
    if not isinstance(said, bytes) or not 0 < len(said) <= _MOST:
        return ()
    try:
        text = said.decode()
    except UnicodeDecodeError:
        text = said.decode("latin-1")
    text = text.strip("\0 \r\n")
    return ((COMMENT, text),) if text else ()


def _bounded(name: str, value: object, lost: list[str]) -> bytes:
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    if not isinstance(value, bytes) or len(value) > _MOST:
        lost.append(name)
        return b""
    return value


def _xmp(value: object, lost: list[str]) -> bytes:
    """None in UTF-16, in which places would not be found."""
    xmp = _bounded("XMP", value, lost)
    if b"\0" not in xmp.rstrip(b"\0"):
        return xmp
    lost.append("XMP")
    return b""


def _exif(data: object, lost: list[str]) -> Directory | None:
    if not isinstance(data, bytes) or not data:
        return None
    try:
        if len(data) > _MOST:
            raise BadDirectory
        found = read_exif(data.removeprefix(b"Exif\0\0"))
    except BadDirectory:
        lost.append("EXIF")
        return None
    lost += ["part of the EXIF"] * found.partial
    return found


def _dpi(info: Mapping[Any, Any], exif: Directory | None) -> tuple[float, float] | None:
    try:
        x, y = (float(value) for value in info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    # Pillow says 72 of a JPEG whose EXIF does not tell.
    guessed = (x, y) == (72, 72) and "jfif_density" not in info and "exif" in info
    if guessed and not (exif and RESOLUTION_UNIT in exif.entries):
        return None
    return (x, y) if all(0.1 < value < 1e5 for value in (x, y)) else None


def _edited(xmp: bytes, ours: bytes) -> bytes:
    xmp = _TURN.sub(rb"\g<1>1", _BEHIND.sub(b"", xmp))
    for start, stop in ((b"<" + name, b"</" + name + b">") for name in _PICTURES):
        for _ in range(_MOST_PICTURES):
            at = xmp.find(start)
            end = xmp.find(stop, at)
            if min(at, end) < 0:
                break
            xmp = xmp[:at] + xmp[end + len(stop) :]

    def noted(found: re.Match[bytes]) -> bytes:
        return found[1] + (found[2] + b"; " if found[2] else b"") + ours

    return _CREATOR.sub(noted, xmp)
