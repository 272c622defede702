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
from tests.photos.heif_files import (
    avif,
    grid,
    heic,
    wide_avif,
    wide_heic,
)

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
    others = list(ORIGINALS.values())
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
ORIGINALS = originals()


def cases(seed: int, count: int) -> Iterator[Case]:
    """Changed files; the same seed gives the same ones."""
    names = itertools.cycle(ORIGINALS)
    shortest = 64  # that mutations take
    for number in range(count):
        random = np.random.default_rng((seed, number))
        name = next(names)
        data = ORIGINALS[name]
        done = []
        for _ in range(int(random.integers(1, 3))):
            if len(data) < shortest:
                break
            mutation = MUTATIONS[int(random.integers(0, len(MUTATIONS)))]
            data = mutation(data, random)
            done.append(mutation.__name__)
        yield Case(f"{seed}/{number} {name} {' '.join(done)}", data[:MOST_BYTES])
