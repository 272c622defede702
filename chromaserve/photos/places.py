"""Where a photo was taken, as XMP, IPTC's keywords and a PNG's texts say it: found, taken out."""

import re

_LOCAL = rb"(?:(?i:gps)\w{1,40}|\w{0,40}(?i:(?:lat|longt?|alt)itude)\w{0,40}|LRFTarget\w{3,6})"
"""Names, of EXIF's as of drones' makers' (one of whom writes Longtitude)."""
_GEO = rb"geo:(?:lat(?:_long)?|long?|alt)"
"""W3C's names, and those of old programs' keywords."""
_NAME = rb"(?:[\w.-]{1,40}:%b|%b)" % (_LOCAL, _GEO)
# Each takes time in proportion to the text, whatever that is.
_ATTRIBUTE = re.compile(rb"""\s(?!xmlns:)%b\s*=\s*(?:"[^"]*"|'[^']*')""" % _NAME)
_TAG = re.compile(rb"<(/?)(%b)(?=[\s/>])[^<>]*?(/?)>" % _NAME)
_ITEM = re.compile(rb"<rdf:li\b[^<>]*>\s{0,99}%b=[^<>]*</rdf:li\s*>" % _GEO)
"""A keyword such as geo:lat=46.1."""
_KEYWORD = re.compile(
    rb"(?:[\w.-]{1,40}:)?(?:%b|(?i:gps))|(?i:gps):[\w.-]{1,40}|%b" % (_LOCAL, _GEO)
)
_TAGGED = re.compile(rb"\s{0,99}%b=" % _GEO)
_KEYWORDS, _LONG = b"\x1c\x02\x19", 1 << 15
"""What each of IPTC's keywords begins with (IIM 4.2, 2:25), and where sizes are in more bytes."""


def is_of_place(keyword: str) -> bool:
    """Whether a text's keyword, such as ImageMagick's exif:GPSLatitude, is that of a place."""
    return bool(_KEYWORD.fullmatch(keyword.replace(" ", "").encode()))


def xmp_without_places(xmp: bytes) -> bytes:
    """XMP without coordinates and heights; the names of towns and countries stay."""
    begun: dict[bytes, int] = {}
    spans: list[tuple[int, int]] = []
    for tag in _TAG.finditer(xmp):
        closes, name, empty = tag.groups()
        if empty:
            spans.append(tag.span())
        elif not closes:
            begun.setdefault(name, tag.start())
        elif name in begun:
            spans.append((begun.pop(name), tag.end()))
    kept, at = [], 0
    for start, stop in sorted(spans):
        kept.append(xmp[at:start])
        at = max(at, stop)
    return _ITEM.sub(b"", _ATTRIBUTE.sub(b"", b"".join([*kept, xmp[at:]])))


def captions_without_places(iptc: bytes) -> bytes:
    """IIM's datasets without keywords such as geo:lat=46.1."""
    if b"geo:" not in iptc:
        return iptc
    kept, at = [], 0
    while iptc[at : at + 1] == _KEYWORDS[:1] and at + 5 <= len(iptc):
        size, start = int.from_bytes(iptc[at + 3 : at + 5], "big"), at + 5
        if size & _LONG:
            start += size - _LONG
            size = int.from_bytes(iptc[at + 5 : start], "big")
        if not (iptc.startswith(_KEYWORDS, at) and _TAGGED.match(iptc, start)):
            kept.append(iptc[at : start + size])
        at = start + size
    return b"".join([*kept, iptc[at:]])
