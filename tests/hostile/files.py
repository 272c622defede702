"""Photos of every kind, and what a hostile sender makes of them: the same from the same seed."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from chromaserve.photos.icc import srgb_profile
from tests.photos.heif_files import avif, box, full, grid, heic, ispe, wide_avif, wide_heic
from tests.photos.tiff_files import Value, of_size, written

Random = np.random.Generator
MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class Case:
    """A file, and what was done to it."""

    name: str
    data: bytes


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)  # type: ignore[arg-type]
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Harvest", zip=True)
    info.add_itxt("XML:com.adobe.xmp", '<x exif:GPSLatitude="46N" tiff:Orientation="6"/>')
    info.add_text("Raw profile type iptc", "\niptc\n 5\n1c02780001\n")
    return info


def originals() -> dict[str, bytes]:
    """Good files of every format and kind of pixel, small."""
    random = np.random.default_rng(1)
    rgb = Image.fromarray(random.integers(0, 256, (40, 56, 3), np.uint8))
    grey, wide = rgb.convert("L"), random.integers(0, 65536, (24, 32), np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = rgb.convert("RGBA")
    wide_rgb = random.integers(0, 65536, (24, 32, 3), np.uint16)
    return {
        "grey.jpg": saved(grey, "JPEG", exif=exif),
        "colour.jpg": saved(rgb, "JPEG", comment=b"a comment"),
        "progressive.jpg": saved(rgb, "JPEG", progressive=True),
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG"),
        "colour.png": saved(rgb, "PNG", exif=exif),
        "alpha.png": saved(alpha, "PNG"),
        "palette.png": saved(rgb.quantize(16), "PNG", transparency=3),
        "bits.png": saved(grey.convert("1"), "PNG"),
        "wide.png": saved(Image.fromarray(wide), "PNG"),
        "lossy.webp": saved(rgb, "WEBP"),
        "lossless.webp": saved(alpha, "WEBP", lossless=True, exif=exif),
        "animated.webp": saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(9)]),
        "colour.bmp": saved(rgb, "BMP"),
        "palette.bmp": saved(rgb.quantize(16), "BMP"),
        "grey.tif": saved(grey, "TIFF"),
        "packed.tif": saved(rgb, "TIFF", compression="tiff_lzw"),
        "pages.tif": saved(rgb, "TIFF", save_all=True, append_images=[grey, rgb]),
        "lab.tif": saved(rgb.convert("LAB"), "TIFF"),
        "wide.tif": tiff(wide_rgb, photometric="rgb"),
        "planes.tif": tiff(np.moveaxis(wide_rgb, 2, 0), photometric="rgb", planarconfig="separate"),
        "float.tif": tiff(np.full((9, 7), np.nan, np.float32)),
        "tiles.tif": tiff(random.integers(0, 256, (64, 48), np.uint8), tile=(16, 16)),
        "deep.tif": saved(Image.fromarray(wide), "TIFF", compression="tiff_lzw", exif=exif),
        "deep_pages.tif": tiff(np.stack([wide, wide]), photometric="minisblack"),
        "animated.gif": saved(rgb, "GIF", save_all=True, append_images=[rgb.rotate(9)]),
        "colour.jp2": saved(rgb, "JPEG2000"),
        "alpha.heic": heic(alpha, exif=exif.tobytes()),
        "tiles.heic": grid([rgb.resize((64, 64))] * 4, 2, (120, 110)),
        "wide.heic": wide_heic(wide_rgb),
        "alpha.avif": avif(alpha, exif=exif.tobytes()),
        "wide.avif": wide_avif(wide_rgb),
        "wide.pgm": b"P5\n32 24\n1023\n" + (wide >> 6).astype(">u2").tobytes(),
        "texts.png": saved(grey, "PNG", exif=exif, pnginfo=texts(), icc_profile=srgb_profile()),
        "long.png": saved(Image.new("L", (1, 6_500)), "PNG"),
        "one.png": saved(Image.new("L", (1, 1)), "PNG"),
    }


def truncated(data: bytes, random: Random) -> bytes:
    return data[: int(random.integers(0, len(data)))]


def flipped(data: bytes, random: Random) -> bytes:
    """A few bits, most of them where headers are."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 9))):
        end = len(data) if random.random() < 0.3 else min(len(data), 96)
        changed[int(random.integers(0, end))] ^= 1 << int(random.integers(0, 8))
    return bytes(changed)


def extreme(data: bytes, random: Random) -> bytes:
    """A number somewhere becomes the largest or the smallest that there is."""
    at, size = int(random.integers(2, min(len(data), 200))), int(random.choice([1, 2, 4]))
    value = random.choice([b"\xff", b"\x00", b"\x7f", b"\x80"]) * size
    return data[:at] + bytes(value) + data[at + size :]


def repeated(data: bytes, random: Random) -> bytes:
    """A piece many times over, as bombs of segments, chunks and tags are."""
    start = int(random.integers(2, max(3, min(len(data) - 1, 400))))
    piece = data[start : start + int(random.integers(1, 64))]
    times = min(int(random.choice([2, 100, 10_000, 100_000])), MOST_BYTES // max(1, len(piece)))
    return data[:start] + piece * times + data[start:]


def spliced(data: bytes, random: Random) -> bytes:
    """The head of one file, the rest of another."""
    others = list(_ORIGINALS.values())
    other = others[int(random.integers(0, len(others)))]
    at = int(random.integers(1, min(len(data), len(other))))
    return data[:at] + other[at:]


def resummed(data: bytes, random: Random) -> bytes:
    """A PNG whose header is changed and whose checksum is right again."""
    if not data.startswith(b"\x89PNG"):
        return flipped(data, random)
    body = bytearray(data[16:29])
    body[int(random.integers(0, 13))] = int(random.integers(0, 256))
    return data[:8] + chunk(b"IHDR", bytes(body)) + data[33:]


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    truncated, flipped, extreme, repeated, spliced, resummed,
)  # fmt: skip
_ORIGINALS = originals()


def bombs() -> Iterator[Case]:
    """Small files that name much, and files of very many small parts."""
    grey = _ORIGINALS["grey.jpg"]
    png = _ORIGINALS["one.png"]
    ihdr = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(72))
    zeros = zlib.compress(bytes(8 << 20), 9)
    signature = png[:8]
    for marker in (0xE0, 0xE1, 0xE2, 0xED, 0xFE, 0xDD):
        segment = bytes((0xFF, marker, 0, 4, 0, 0))
        yield Case(f"segments {marker:x}", grey[:2] + segment * 500_000 + grey[2:])
    yield Case("fill bytes", grey[:2] + b"\xff" * MOST_BYTES + grey[2:])
    yield Case("starts", b"\xff\xd8" * (MOST_BYTES // 2) + grey)
    yield Case("looks like scans", _ORIGINALS["progressive.jpg"] + b"\xff\xda" * (3 * MOST_BYTES))
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
    jp2 = _ORIGINALS["colour.jp2"]
    at = jp2.index(b"jp2h") - 4
    within = b"".join(struct.pack(">I4s", 8 * (3_000 - i), b"jp2h") for i in range(3_000))
    yield Case("boxes within boxes", jp2[:at] + within + jp2[at:])
    yield from boxes_of_items()
    gif = _ORIGINALS["animated.gif"]
    at = 13 + (6 << (gif[10] & 7))  # behind its palette
    yield Case("pieces of a comment", gif[:at] + b"!\xfe" + b"\1a" * (10 << 20) + b"\0" + gif[at:])
    dots = written({**of_size(1_000, 1_000, 1, 1, 1_000), 259: 8, 322: 1, 323: 1, 324: 8, 325: 9},
                   [zlib.compress(b"\0")])  # fmt: skip
    yield Case("tiles of a pixel", dots)
    shared = saved(Image.new("L", (64, 8)), "JPEG") + b"ab" * MOST_BYTES
    places: dict[int, Value] = {273: (8,) * 800, 279: (len(shared),) * 800}
    strips = written({**of_size(64, 6_400, 1, 1, 8), 259: 7, **places}, [shared])
    yield Case("strips on the same bytes", strips)
    webp = _ORIGINALS["lossy.webp"]
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


def cases(seed: int, count: int) -> Iterator[Case]:
    """The bombs, then as many changed files; the same seed gives the same ones."""
    yield from bombs()
    names = itertools.cycle(_ORIGINALS)
    shortest = 64  # that mutations take
    for number in range(count):
        random = np.random.default_rng((seed, number))
        name = next(names)
        data = _ORIGINALS[name]
        done = []
        for _ in range(int(random.integers(1, 3))):
            if len(data) < shortest:
                break
            mutation = MUTATIONS[int(random.integers(0, len(MUTATIONS)))]
            data = mutation(data, random)
            done.append(mutation.__name__)
        yield Case(f"{seed}/{number} {name} {' '.join(done)}", data[:MOST_BYTES])
