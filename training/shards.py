"""Photos wherever they lie: files of their own, or members of tar archives (shards)."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .datasets import SUFFIXES
from .errors import DataError

SHARD = ".tar"
AVIF = (b"avif", b"avis")  # brands
SEPARATOR = "::"  # "pack/000.tar::name.webp" is a member of a shard


def members(shard: Path) -> Iterator[tuple[str, int, int]]:
    """The photos of an uncompressed tar: (name, offset of the bytes, number of bytes)."""
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    yield member.name, member.offset_data, member.size
    except tarfile.TarError as e:
        raise DataError(f"{shard} is no uncompressed tar: {e}") from None


def read_bytes(path: Path, offset: int = 0, size: int | None = None) -> bytes:
    """A file's bytes, or those of a member at its offset."""
    with path.open("rb", buffering=0) as f:
        if size is None:
            return f.read()
        return os.pread(f.fileno(), size, offset)


def decode(data: bytes) -> NDArray[np.uint8] | None:
    """Decode a photo to uint8 RGB [H, W, 3], EXIF orientation applied; None if it can't be.

    By OpenCV, and by Pillow what that doesn't read as it is: AVIF.
    """
    image = None
    if data and data[8:12] not in AVIF:  # of which OpenCV leaves the orientation out
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except cv2.error:
            image = None
    if image is None:
        try:
            with Image.open(io.BytesIO(data)) as picture:
                image = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        except Exception:  # Pillow raises many types for a broken file
            return None
    return np.asarray(image, np.uint8)
