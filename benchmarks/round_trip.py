"""Photos of every kind by the command: what of each was kept, told by others than chromaserve.

    python -m benchmarks.round_trip
    python -m benchmarks.round_trip FOLDER

Without a folder a file of every kind of `docs/reference/photos.md` is made, as the tests make it,
and ExifTool writes an author, a date, a caption (IPTC), an XMP tag and a resolution into those that
it can write. Each is colorized twice: to PNG, and to its own format.

- kept: of the tags that ExifTool reads in the photo, how many it reads with the same values in the
  PNG, and in the result of its own format: EXIF, XMP and IPTC, resolution among them;
- levels: different values of L*, to a hundredth, of the photo and of the PNG;
- L*: the greatest difference of any pixel, and the mean, of photo and PNG; each is read by OpenCV,
  Pillow (with LittleCMS for profiles, in 8 bits), tifffile or pillow-heif, and L* is that of
  scikit-image. Where none of them reads a photo it is read by chromaserve, and that is said.

Left out of what is compared: tags that say how pixels are stored, which are the result's own, the
orientation, which is applied, the software, places (GPS), which do not go along, thumbnails, and
what tifffile notes of an array's shape.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from chromaserve.errors import ServiceError
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect, sniff
from tests.photos.test_kinds import MAKERS
from tests.sample_photos import lightness

SUFFIXES = {"JPEG": ".jpg", "JPEG2000": ".jp2", "PNM": ".ppm", "TIFF": ".tif"}
TAGS = (
    *("-Artist=Anna", "-DateTimeOriginal=1931:05:04 10:00:00", "-IPTC:Caption-Abstract=Harvest"),
    *("-XMP-xmp:Nickname=Oma", "-XResolution=300", "-YResolution=300", "-ResolutionUnit=inches"),
)
AS_IT_IS = ("missing", "wrong", "without its end", "IEND", "reduced copy", "raw files")
"""In the names of kinds that ExifTool would mend, or refuse."""
GROUPS = {"IFD0": "EXIF", "ExifIFD": "EXIF", "IPTC": "IPTC"}
STORED = """
ImageWidth ImageHeight BitsPerSample Compression PhotometricInterpretation StripOffsets
StripByteCounts RowsPerStrip SamplesPerPixel PlanarConfiguration Predictor SampleFormat ExtraSamples
ColorMap FillOrder TileWidth TileLength TileOffsets TileByteCounts SubfileType OldSubfileType
PageNumber InkSet NumberOfInks JPEGTables ReferenceBlackWhite YCbCrSubSampling YCbCrPositioning
YCbCrCoefficients WhitePoint PrimaryChromaticities SMinSampleValue SMaxSampleValue MinSampleValue
MaxSampleValue Orientation Software CreatorTool XMPToolkit ExifImageWidth ExifImageHeight ColorSpace
ComponentsConfiguration ExifVersion FlashpixVersion
"""
OWN = frozenset(STORED.split())
"""Tags that are the result's own."""


def made(folder: Path) -> None:
    """A file of every kind, named as it is."""
    for name, (make, _) in MAKERS.items():
        data = make()
        try:
            kind = sniff(data)
        except ServiceError:
            kind = "TIFF"
        suffix = SUFFIXES.get(kind, f".{kind.lower()}")
        path = folder / f"{name.replace('/', ' ')}{suffix}"
        path.write_bytes(data)
        if not any(word in name for word in AS_IT_IS):
            command = ["exiftool", "-q", "-q", "-overwrite_original", *TAGS, str(path)]
            subprocess.run(command, check=False, capture_output=True)


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """What ExifTool says of each file, by name without suffix."""
    command = ["exiftool", "-j", "-G1", "-a", "-n", "-q", "-q", "-r", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    rows: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return {str(Path(row["SourceFile"]).relative_to(folder)): row for row in rows}


def colorized(photos: Path, results: Path, format: str) -> Iterator[dict[str, Any]]:
    """What the command tells of each photo."""
    command = [sys.executable, "-m", "chromaserve", "colorize", str(photos), "-o", str(results)]
    command += ["--format", format, "--damaged", "accept", "--json", "-q"]
    done = subprocess.run(command, capture_output=True, check=False)
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if "input" in row:
            yield row


@dataclass(frozen=True)
class Tags:
    """Of one file, by group: what it says of itself."""

    of: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, row: dict[str, Any]) -> "Tags":
        """From what ExifTool says."""
        found: dict[str, dict[str, Any]] = {}
        for key, value in row.items():
            group, _, tag = key.rpartition(":")
            group = "XMP" if group.startswith("XMP") else GROUPS.get(group, "")
            own = tag in OWN or "Thumbnail" in tag or "GPS" in tag
            if group and not own and not str(value).startswith('{"shape"'):
                found.setdefault(group, {})[tag] = value
        return cls(found)

    def kept(self, other: "Tags") -> str:
        """How many of these another file has, too, by group."""
        parts = []
        for group, tags in self.of.items():
            there = other.of.get(group, {})
            same = sum(there.get(tag) == value for tag, value in tags.items())
            parts.append(f"{group} {same}/{len(tags)}")
        return ", ".join(parts) or "–"


def seen(path: Path) -> tuple[NDArray[Any], str]:
    """A photo's sRGB or grey samples, upright, of 8 or 16 bits, and what read it."""
    data = path.read_bytes()
    kind = sniff(data)
    if kind in ("HEIC", "AVIF") and (wide := _wide(data, kind)) is not None:
        return wide
    if kind == "HEIC":
        return _flat(pillow_heif.open_heif(data).to_pillow()), "pillow-heif"
    if kind == "TIFF":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            plain = page.dtype is not None and not {34675, 274} & set(page.tags.keys())
            if plain and page.dtype.itemsize > 1 and page.photometric in (0, 1, 2):
                return _wide_tiff(page), "tifffile"
    if kind == "PNG" and data[24] == 16 and b"iCCP" not in data:
        return _cv2(data), "OpenCV"
    if kind in ("JPEG2000", "PNM") and (pixels := _cv2(data)).itemsize > 1:
        most = int(data.split()[5]) if kind == "PNM" else 65535
        return np.rint(pixels / most * 65535).astype(np.uint16), "OpenCV"
    with Image.open(io.BytesIO(data)) as image:
        return _flat(image), "Pillow"


def _wide(data: bytes, kind: str) -> tuple[NDArray[Any], str] | None:
    """Pixels of more than 8 bits."""
    header = inspect(data, max_pixels=10**9, max_side=10**5)
    if header.bits == 8:
        return None
    if kind == "AVIF":
        deep = _cv2(data)
        depth = header.boxed.depth
        return np.rint(deep / (2**depth - 1) * 65535).astype(np.uint16), "OpenCV"
    found = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
    return np.asarray(found), "pillow-heif"


def _wide_tiff(page: Any) -> NDArray[Any]:  # noqa: ANN401
    pixels = page.asarray()
    if page.planarconfig == 2 and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.dtype.kind == "f":
        pixels = np.rint(np.clip(pixels.astype(np.float64), 0, 1) * 65535).astype(np.uint16)
    elif page.bitspersample < 16:
        pixels = np.rint(pixels / (2**page.bitspersample - 1) * 65535).astype(np.uint16)
    if page.photometric == 0:
        pixels = ~pixels
    return np.asarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 2 else pixels)


def _cv2(data: bytes) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0]])


def _flat(image: Image.Image) -> NDArray[Any]:
    """Of 8 bits, by the profile that is in it."""
    profile, upright = image.info.get("icc_profile"), ImageOps.exif_transpose(image)
    if profile and upright.mode in ("L", "RGB", "CMYK"):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(upright, own, srgb, outputMode="RGB")
        assert converted is not None
        upright = converted
    return np.asarray(upright.convert("RGB"))


def light(path: Path, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], str]:
    """L* of the picture of that shape, and what read it."""
    try:
        pixels, reader = seen(path)
        if pixels.shape[:2] != shape:  # a reduced copy that comes first
            raise ValueError
    except (OSError, ValueError, SyntaxError, AssertionError, TypeError, NotImplementedError):
        data = path.read_bytes()
        header = inspect(data, max_pixels=10**9, max_side=10**5)
        pixels, reader = decode(data, header, accept_damage=True).grey, "chromaserve"
    return lightness(pixels), reader


def levels(L: NDArray[np.float64]) -> int:
    """Different values, to a hundredth."""
    return len(np.unique(np.rint(100 * L)))


def table(photos: Path, folder: Path) -> None:
    """Print a row a photo, and what was refused."""
    refused: list[str] = []
    results = {name: folder / name for name in ("png", "same")}
    rows = {name: list(colorized(photos, place, name)) for name, place in results.items()}
    before = told(photos)
    after = {name: told(place) for name, place in results.items()}
    print("| photo | bits → bits | kept in PNG | kept in its own format | levels of L* |"
          " L*: greatest, mean | read by |")  # fmt: skip
    print("| --- |" + " --- |" * 6)
    count = 0
    for one, other in zip(*rows.values(), strict=True):
        photo = Path(one["input"])
        name = str(photo.relative_to(photos))
        if one["output"] is None:
            refused.append(f"{photo.stem} ({one['problem']})")
            continue
        count += 1
        outputs = {"png": Path(one["output"]), "same": Path(other["output"])}
        tags = Tags.read(before.get(name, {}))
        kept = {
            each: tags.kept(Tags.read(after[each].get(str(path.relative_to(results[each])), {})))
            for each, path in outputs.items()
        }
        header = inspect(photo.read_bytes(), max_pixels=10**9, max_side=10**5)
        png = _cv2(outputs["png"].read_bytes())
        L, reader = light(photo, png.shape[:2])
        made_L = lightness(png)
        off = abs(L - made_L)
        print(
            f"| {photo.stem} | {header.bits} → {8 * png.itemsize} | {kept['png']} |"
            f" {outputs['same'].suffix.lstrip('.')}: {kept['same']} | {levels(L)} →"
            f" {levels(made_L)} | {off.max():.2f}, {off.mean():.3f} | {reader} |",
            flush=True,
        )
    print(f"\n{count} photos; {len(refused)} refused:\n")
    for line in refused:
        print(f"- {line}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="of photos, in place of those made")
    photos = parser.parse_args().folder
    if shutil.which("exiftool") is None:
        raise SystemExit("exiftool is not installed: on Debian libimage-exiftool-perl")
    with tempfile.TemporaryDirectory() as name:
        if photos is None:
            photos = Path(name) / "photos"
            photos.mkdir()
            made(photos)
        table(photos, Path(name))


if __name__ == "__main__":
    main()
