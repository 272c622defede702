"""The frozen encoder's taps on disk at 8 bits, for fits that see each photo often, as it is.

Taps are non-negative and heavy-tailed, so the square root is quantised, by a scale a channel:
code = round(255 * sqrt(tap / scale)). A file a photo, named by its hash: one record of all, which
is read in a piece; 2.0 MB each where the network answers at 56x56.
"""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .config import Decoder
from .errors import DataError
from .ncnn_encoder import NcnnEncoder
from .vgg import TAP_SHAPES, pool_factors

Float = NDArray[np.float32]


class TapCache:
    """Keeps what an encoder answers, in a folder of its own below the one given.

    Another encoder, or other sizes of taps, have another folder.
    """

    def __init__(self, folder: Path, encode: NcnnEncoder) -> None:
        self._encode = encode
        self.folder = folder / encode.digest
        self.folder.mkdir(parents=True, exist_ok=True)

    def __call__(
        self, sha256: str, read: Callable[[], tuple[Float, Float]]
    ) -> tuple[dict[str, Float], Float]:
        """The taps [h, w, C] of the photo with that hash, and its ab, float32.

        read: gives its L [224, 224, 1] and ab, where they are not kept yet. What is kept is what is
        returned, the first time too.
        """
        path = self.folder / f"{sha256}.npy"
        if not path.exists():
            L, ab = read()
            kept: dict[str, NDArray[np.generic]] = {"ab": ab.astype(np.float16)}
            for name, tap in self._encode(L).items():
                scale = np.maximum(tap.max(axis=(0, 1)), 1e-6)
                kept[name] = np.rint(255 * np.sqrt(tap / scale)).astype(np.uint8)
                kept[f"{name}_scale"] = scale / 255**2
            record = np.zeros((), [(name, v.dtype, v.shape) for name, v in kept.items()])
            for name, v in kept.items():
                record[name] = v
            partial = path.with_suffix(f".{threading.get_ident()}.npy")
            np.save(partial, record, allow_pickle=False)
            partial.replace(path)
        record = np.load(path)
        taps = dict[str, Float]()
        for scale_name in (n for n in record.dtype.names if n.endswith("_scale")):
            name = scale_name.removesuffix("_scale")
            taps[name] = np.square(record[name], dtype=np.float32)
            taps[name] *= record[scale_name]
        return taps, record["ab"].astype(np.float32)


def bytes_per_photo(decoder: Decoder, taps: tuple[str, ...]) -> int:
    """How many bytes a photo takes on disk."""
    factors = pool_factors(decoder)
    sides = {name: 224 // 2**i // factors[name] for i, name in enumerate(TAP_SHAPES)}
    answer = 112 if decoder.width_112 else 56
    codes = [sides[name] ** 2 * TAP_SHAPES[name][1] for name in taps]
    return int(sum(codes)) + 4 * answer**2


def check_room(folder: Path, photos: int, each: int, limit_gb: float) -> str:
    """Say what a cache of so many photos will take in a folder; what is there counts as room.

    Raises DataError when there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(f.stat().st_size for f in folder.rglob("*.npy"))
    need, free = photos * each, shutil.disk_usage(folder).free + there
    says = (
        f"{photos} photos x {each / 1e6:.2f} MB = {need / 1e9:.1f} GB "
        f"(limit {limit_gb:g} GB, free {free / 1e9:.1f} GB)"
    )
    if need > limit_gb * 1e9 or need > 0.95 * free:
        raise DataError(f"{says}: too much; take fewer photos, or raise cache_gb")
    return says
