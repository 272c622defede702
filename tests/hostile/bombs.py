"""Small files that name much, and files of very many small parts."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.hostile.files import MOST_BYTES, ORIGINALS, Case, chunk, saved, tiff
from tests.photos.heif_files import box, coded_avif, full, ispe, put_together
from tests.photos.tiff_files import Value, of_size, written


def bombs() -> Iterator[Case]:
    """Small files that name much, and files of very many small parts."""
    grey = ORIGINALS["grey.jpg"]
    png = ORIGINALS["one.png"]
    ihdr = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(72))
    zeros = zlib.compress(bytes(8 << 20), 9)
    signature = png[:8]
    for marker in (0xE0, 0xE1, 0xE2, 0xED, 0xFE, 0xDD):
        segment = bytes((0xFF, marker, 0, 4, 0, 0))
        yield Case(f"segments {marker:x}", grey[:2] + segment * 500_000 + grey[2:])
    yield Case("fill bytes", grey[:2] + b"\xff" * MOST_BYTES + grey[2:])
    yield Case("starts", b"\xff\xd8" * (MOST_BYTES // 2) + grey)
    yield Case("looks like scans", ORIGINALS["progressive.jpg"] + b"\xff\xda" * (3 * MOST_BYTES))
    scan = grey[grey.index(b"\xff\xda") : -2]
    yield Case("scans", grey[:-2] + scan * 2_000 + grey[-2:])
    for kind in (b"prVt", b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"tRNS"):
        packed = kind in (b"iCCP", b"zTXt")
        many = chunk(kind, b"p\0\0" + zeros if packed else b"k\0v") * (900 if packed else 100_000)
        data = signature + chunk(b"IHDR", ihdr) + many + chunk(b"IDAT", pixels) + chunk(b"IEND")
        yield Case(f"chunks {kind.decode()}", data)
    deflater = zlib.compressobj(9)
    first, more = (
        deflater.compress(bytes(1 << 20)) + deflater.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    long = chunk(b"IDAT", first + 1_000 * more)[:-1]
    yield Case("pixels behind the picture", signature + chunk(b"IHDR", ihdr) + long)
    empty = chunk(b"IDAT") * 300_000
    yield Case("empty IDAT", signature + chunk(b"IHDR", ihdr) + empty + chunk(b"IDAT", pixels))
    no_palette = struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0)
    data = signature + chunk(b"IHDR", no_palette) + chunk(b"IDAT", pixels) + chunk(b"IEND")
    yield Case("no palette", data)
    for side in (30_000, 65_535, 2**31 - 1):
        huge = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        data = signature + chunk(b"IHDR", huge) + chunk(b"IDAT", zeros) + chunk(b"IEND")
        yield Case(f"{side} pixels a side", data)
    for count in (65_535, 3_000_000):
        tags = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (262, 3, 1, 1)]
        tags += [(273, 4, count, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, count, 8)]
        head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags))
        directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
        yield Case(f"{count} strips", head + directory + bytes(4 * min(count, 1_000_000)))
    tags = [(40_000 + n, 5, 100_000, 8) for n in range(20_000)]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags))
    yield Case("20000 tags on the same bytes", head + directory + bytes(800_000))
    yield Case("beyond any file", b"II+\0" + struct.pack("<HHQ", 8, 0, 2**64 - 8))
    tiled = tiff(np.zeros((64, 48, 3), np.uint16), photometric="rgb", tile=(16, 16))
    for side in (322, 323):  # a tile's width and height
        was, none = (struct.pack("<HHII", side, 4, 1, n) for n in (16, 0))
        yield Case(f"tag {side} of 0", tiled.replace(was, none))
    jp2 = ORIGINALS["colour.jp2"]
    at = jp2.index(b"jp2h") - 4
    within = b"".join(struct.pack(">I4s", 8 * (3_000 - i), b"jp2h") for i in range(3_000))
    yield Case("boxes within boxes", jp2[:at] + within + jp2[at:])
    yield from boxes_of_items()
    yield Case("runs of nothing", bmp_of_runs(b"\0\2\0\0" * (3 << 20) + b"\0\1"))
    yield Case("very long numbers", avif_of_heads())
    gif = ORIGINALS["animated.gif"]
    at = 13 + (6 << (gif[10] & 7))  # behind its palette
    yield Case("pieces of a comment", gif[:at] + b"!\xfe" + b"\1a" * (10 << 20) + b"\0" + gif[at:])
    dots = written({**of_size(1_000, 1_000, 1, 1, 1_000), 259: 8, 322: 1, 323: 1, 324: 8, 325: 9},
                   [zlib.compress(b"\0")])  # fmt: skip
    yield Case("tiles of a pixel", dots)
    shared = saved(Image.new("L", (64, 8)), "JPEG") + b"ab" * MOST_BYTES
    places: dict[int, Value] = {273: (8,) * 800, 279: (len(shared),) * 800}
    strips = written({**of_size(64, 6_400, 1, 1, 8), 259: 7, **places}, [shared])
    yield Case("strips on the same bytes", strips)
    webp = ORIGINALS["lossy.webp"]
    content = webp[20 : 20 + int.from_bytes(webp[16:20], "little")] + bytes(60_000) + b"\1"
    content += bytes(len(content) % 2)
    body = b"WEBPVP8 " + struct.pack("<I", len(content)) + content
    yield Case("zeros within webp", b"RIFF" + struct.pack("<I", len(body)) + body)
    strip = zlib.compress(bytes(1 << 16)) + bytes(60_000) + b"\1"
    tags = [(256, 4, 1, 256), (257, 4, 1, 256), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tags += [(273, 4, 1, 122), (277, 3, 1, 1), (278, 4, 1, 256), (279, 4, 1, len(strip))]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    yield Case("zeros behind a stream", head + directory + bytes(4) + strip)
    junk = b"RIFF\xff\xff\xff\x7fWEBP" + b"JUNK\2\0\0\0ab" * 400_000
    yield Case("webp chunks", junk)
    yield from jpegs_in_tiffs()
    yield Case("strips of a pixel", strips_of_a_pixel(0))
    yield Case("strips of a pixel, some broken", strips_of_a_pixel(1))
    yield Case("indices of pictures", jpeg_of_indices())
    yield Case("precincts of a pixel", jpeg2000(1_000, b"\1\0\0\1\0\0\4\4\0\1\0"))
    yield Case("layers", jpeg2000(1_000, b"\1\0\xff\xff\0\0\4\4\0\1\x44"))
    usual = b"\0\0\0\1\0\0\4\4\0\1"
    odd = b"\1\0\0\1\0\0\4\4\0\1\0"
    yield Case("precincts of a pixel in a tile", jpeg2000(1_000, usual, (0xFF52, odd)))
    yield Case("precincts of a channel", jpeg2000(1_000, usual, (0xFF53, b"\0\1" + odd[5:])))


def jpegs_in_tiffs() -> Iterator[Case]:
    """JPEGs that are taller than their strips, and very many that have no end."""
    jpeg = saved(Image.new("L", (16_000, 16), 90), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    tall = jpeg[:at] + b"\xff\xdc" + jpeg[at + 2 : -2] + b"\1"
    yield Case("a tall strip", written({**of_size(16_000, 16, 1, 1, 16), 259: 7}, [tall]))
    old: dict[int, Value] = {259: 6, 513: 8, 514: len(tall), 530: (1, 1)}
    yield Case("a tall old JPEG", written({**of_size(16_000, 16, 1, 1, 16), **old}, [tall]))
    jpeg = saved(Image.new("L", (16, 16), 90), "JPEG")
    frame, scan = jpeg.index(b"\xff\xc0"), jpeg.index(b"\xff\xda")
    tables = jpeg.index(b"\xff\xc4")
    tile = b"\xff\xd8" + jpeg[frame:tables] + jpeg[scan:-2] + b"\x7f"
    shared = jpeg[:frame] + jpeg[tables:scan] + b"\xff\xd9"
    count = 88 * 88
    tags: dict[int, Value] = {**of_size(1_408, 1_408, 1, 1, 16), 259: 7, 322: 16, 323: 16}
    tags |= {347: shared, 324: (8,) * count, 325: (len(tile),) * count}
    yield Case("tiles without an end", written(tags, [tile]))


def strips_of_a_pixel(broken: int) -> bytes:
    """Of PackBits, four planes of them; of each 64 some may be broken."""
    rows, whole = 8_000, b"\0\x80\0\0"
    count = 4 * rows
    tags: dict[int, Value] = {**of_size(1, rows, 4, 2, 1), 259: 32773, 284: 2, 338: 0}
    tags |= {273: tuple(8 + 4 * (i % 64 < broken) for i in range(count)), 279: (4,) * count}
    return written(tags, [whole, b"\x80" * 2_000])


def jpeg_of_indices() -> bytes:
    """A JPEG with indices (CIPA DC-007) of a thousand pictures each, all at one place."""
    jpeg, count = saved(Image.new("L", (8, 8)), "JPEG"), 40
    size = 2 + 4 + 26 + 16 * 1_001
    end = 2 + count * (2 + size) + len(jpeg) - 2
    segments = b""
    for i in range(count):
        place = end - (2 + i * (2 + size) + 8)
        index = b"II*\0" + struct.pack("<IHHHII4x", 8, 1, 0xB002, 7, 16 * 1_001, 26)
        index += bytes(16) + struct.pack("<4I", 0, 16_384, place, 0) * 1_000
        segments += b"\xff\xe2" + struct.pack(">H", size) + b"MPF\0" + index
    return jpeg[:2] + segments + jpeg[2:] + b"\xff\xd8" + b"hd" * 8_192


def jpeg2000(side: int, coding: bytes, in_tile: tuple[int, bytes] | None = None) -> bytes:
    """A codestream of three channels and nearly nothing in them (ISO/IEC 15444-1, annex A)."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">HH", marker, len(content) + 2) + content

    size = struct.pack(">H8IH", 0, side, side, 0, 0, side, side, 0, 0, 3) + b"\7\1\1" * 3
    main = segment(0xFF51, size) + segment(0xFF52, coding) + segment(0xFF5C, b"\x40\x40")
    head = (segment(*in_tile) if in_tile else b"") + b"\xff\x93" + bytes(16)
    part = segment(0xFF90, struct.pack(">HIBB", 0, 12 + len(head), 0, 1))
    return b"\xff\x4f" + main + part + head + b"\xff\xd9"


def bmp_of_runs(runs: bytes) -> bytes:
    """64 pixels a side, 8 bits, of a black palette."""
    head = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078) + head + bytes(1024) + runs


def avif_of_heads() -> bytes:
    """A second picture of many heads (AV1, 5.5.1), each of a number that begins with many zeros."""
    rgb = Image.new("RGB", (64, 64))
    configuration, picture = coded_avif(rgb)
    timing = "00000" + "1" + 64 * "0" + "1"
    bits = int((timing + "0" * (15_950 - len(timing)) + "1").ljust(16_000, "0"), 2)
    heads = (b"\x0a\xd0\x0f" + bits.to_bytes(2_000, "big")) * 500
    items = [(b"av01", picture, [ispe(64, 64), configuration]), (b"av01", heads, [ispe(64, 64)])]
    return put_together(items, brand=b"avif")


def boxes_of_items() -> Iterator[Case]:
    """HEICs of which few bytes name very many items, properties and sizes (ISO/IEC 23008-12)."""
    name = b"heic\0\0\0\0mif1heic"
    links = [struct.pack(">IB", n, 0) for n in range(800_000)]
    ipma = [
        full(b"ipma", struct.pack(">I", 8_000), *links[i : i + 8_000], version=1)
        for i in range(0, len(links), 8_000)
    ]
    meta = full(b"meta", full(b"pitm", b"\0\1"), box(b"iprp", box(b"ipco"), *ipma))
    yield Case("very many items", box(b"ftyp", name) + meta)
    # Sequence parameters (ITU-T H.265, 7.3.2.2) of 64 x 64 pixels, in 4:2:0.
    bits = int("1" + "010" + 2 * "0000001000001" + "00", 2).to_bytes(4, "big")
    unit = struct.pack(">H", 19) + b"\x42\1" + bytes(13) + bits
    hvcc = box(b"hvcC", bytes(22), b"\1\x21", struct.pack(">H", 15_000), unit * 15_000)
    linked = [struct.pack(">HB", 1, 1) + b"\1", *[struct.pack(">HB", 1, 250) + b"\2" * 250] * 30]
    infe = full(b"infe", struct.pack(">HH4sB", 1, 0, b"hvc1", 0), version=2)
    meta = full(
        *(b"meta", full(b"pitm", b"\0\1"), full(b"iinf", b"\0\1", infe)),
        full(b"iloc", b"\x44\0", struct.pack(">HHHHII", 1, 1, 0, 1, 0, 8)),
        box(
            *(b"iprp", box(b"ipco", ispe(64, 64), hvcc)),
            full(b"ipma", struct.pack(">I", len(linked)), *linked),
        ),
    )
    yield Case("very many sizes", box(b"ftyp", name) + meta)
