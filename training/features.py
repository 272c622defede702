"""The cache of the frozen encoder's taps: computed once, kept on disk at 8 bits, read by fit.

A row a photo, and one for each augmented copy: a convolution's features are not mirror-symmetric.
Taps are non-negative and heavy-tailed, so the square root is quantised, by a scale a channel:
code = round(255 * sqrt(tap / scale)). In all 1.9 MB a row.
"""

import csv
import json
import multiprocessing
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab
from chromaserve.store.contract import NETWORK_SIZE

from .augment import augment
from .config import Augment, Cache, Config
from .data import TARGET_SIZE, Entry, lab_target, read_index, read_photo
from .errors import CacheError
from .network import TAP_SHAPES

CALIBRATION_PHOTOS = 64
HEADROOM = 1.25  # how far above the calibration's maximum a tap may go before it saturates
Taps = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Row:
    """A cached image: a photo as it is (copy 0) or an augmented copy, odd ones mirrored."""

    file: str
    folder: str
    kind: str
    split: str
    copy: int


def plan_rows(entries: list[Entry], settings: Cache) -> list[Row]:
    """Order the rows: validation and test first, then folder by folder, photos before copies.

    A fit that starts before the cache is whole then has what it needs most.
    """

    def row(e: Entry, copy: int) -> Row:
        return Row(e.file, e.folder, e.kind, e.split, copy)

    rows = [row(e, 0) for split in ("val", "test") for e in entries if e.split == split]
    train = [e for e in entries if e.split == "train"]
    # A stable shuffle by hash: however far the cache got, it holds a fair sample.
    train.sort(key=lambda e: e.sha256)
    folders = list(dict.fromkeys(e.folder for e in entries if e.split == "train"))
    for folder in folders:
        for copy in range(1 + settings.copies.get(folder, 0)):
            rows += [row(e, copy) for e in train if e.folder == folder]
    return rows


def bytes_per_row() -> int:
    """How many bytes a cached image takes on disk."""
    taps = sum(side * side * channels for side, channels in TAP_SHAPES.values())
    return taps + NETWORK_SIZE**2 + TARGET_SIZE**2 * 2 * 2


def check_room(folder: Path, rows: int, limit_gb: float) -> str:
    """Say what the cache will take. Raises CacheError when over the limit or the free disk."""
    need = rows * bytes_per_row()
    free = shutil.disk_usage(folder).free + sum(
        f.stat().st_blocks * 512 for f in folder.glob("*.npy")
    )
    says = (
        f"{rows} images x {bytes_per_row() / 1e6:.2f} MB = {need / 1e9:.1f} GB "
        f"(limit {limit_gb:g} GB, free {free / 1e9:.1f} GB)"
    )
    if need > limit_gb * 1e9 or need > 0.95 * free:
        raise CacheError(f"{says}: too much; keep fewer copies, or raise limit_gb, in [cache]")
    return says


def encode(tap: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Quantise a tap [h, w, C] >= 0 to uint8 codes by the scale [C]."""
    code = np.sqrt(np.clip(tap / scale, 0, 1))
    return np.asarray(np.rint(code * 255), np.uint8)


class _Writer:
    """What a worker process needs to compute and write rows by itself."""

    def __init__(self, folder: Path, root: Path, config: Config) -> None:
        self.root = root
        self.rows = read_rows(folder)
        self.encoder = make_encoder(config)
        self.scales = read_scales(folder)
        self.arrays = open_arrays(folder, "r+")
        self.settings = config.augment

    def write(self, i: int) -> int:
        row = self.rows[i]
        L, ab = prepare(self.root / row.file, row.copy, self.settings)
        for name, tap in self.encoder(L).items():
            self.arrays[name][i] = encode(tap, self.scales[name])
        self.arrays["L"][i] = np.rint(L * 2.55)
        self.arrays["ab"][i] = ab
        self.arrays["done"][i] = 1
        return i


def prepare(
    path: Path, copy: int, settings: Augment
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read a photo, or the augmented copy of that number: L [224, 224, 1] and ab [56, 56, 2].

    Copy 0 is the photo as it is. The same photo, number and settings give the same copy.
    """
    L, ab = srgb_to_lab(read_photo(path))
    if copy:
        random = np.random.default_rng((zlib.crc32(path.name.encode()), copy))
        L, ab = augment(L, ab, settings, random)
    L, ab = lab_target(L, ab)
    if copy % 2:
        L, ab = L[:, ::-1], ab[:, ::-1]
    return np.ascontiguousarray(L), np.ascontiguousarray(ab)


class _TensorFlowEncoder:
    """The same taps by TensorFlow, one image at a time."""

    def __init__(self, config: Config) -> None:
        import tensorflow as tf

        from .network import build_encoder, pixels_from_L, pool_taps

        encoder = build_encoder(config.encoder.weights)
        self._taps = tf.function(lambda L: pool_taps(encoder(pixels_from_L(L))))

    def __call__(self, L: NDArray[np.float32]) -> Taps:
        return {name: tap.numpy()[0] for name, tap in self._taps(L[None]).items()}


def make_encoder(config: Config) -> Callable[[NDArray[np.float32]], Taps]:
    """Build the encoder that the settings name: L [224, 224, 1] -> pooled taps.

    "auto" is ncnn where the package is there for the platform, TensorFlow otherwise.
    """
    engine = config.cache.engine
    if engine == "auto":
        try:
            import ncnn  # noqa: F401

            engine = "ncnn"
        except ImportError:
            engine = "tensorflow"
    if engine == "tensorflow":
        return _TensorFlowEncoder(config)
    from .ncnn_encoder import NcnnEncoder, encoder_weights
    from .network import build_encoder

    return NcnnEncoder(encoder_weights(build_encoder(config.encoder.weights)))


def open_arrays(folder: Path, mode: Literal["r", "r+"]) -> dict[str, NDArray[np.generic]]:
    """Map the cache's arrays: taps by name (uint8 codes), L, ab, done.

    L is uint8 [rows, 224, 224, 1] (2.55 * L), ab float16 [rows, 56, 56, 2] in Lab units.
    """
    if not (folder / "rows.csv").is_file():
        raise CacheError(f"no cache at {folder}: run the `cache` stage first")
    return {
        name: np.load(folder / f"{name}.npy", mmap_mode=mode)
        for name in (*TAP_SHAPES, "L", "ab", "done")
    }


def read_rows(folder: Path) -> list[Row]:
    """Read the list of the cached images."""
    with (folder / "rows.csv").open(newline="") as f:
        return [
            Row(r["file"], r["folder"], r["kind"], r["split"], int(r["copy"]))
            for r in csv.DictReader(f)
        ]


def read_scales(folder: Path) -> Taps:
    """Read each tap's scales a channel, float32 [C]."""
    with np.load(folder / "scales.npz") as arrays:
        return {name: arrays[name] for name in TAP_SHAPES}


def create(folder: Path, root: Path, entries: list[Entry], config: Config) -> list[Row]:
    """Lay out an empty cache, or check that the one there is of the same plan.

    Raises CacheError when another configuration made what is there.
    """
    rows = plan_rows(entries, config.cache)
    plan = {"rows": len(rows), "weights": config.encoder.weights, "taps": TAP_SHAPES,
            "augment": config.augment.model_dump()}  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "rows.csv").exists():
        kept = json.loads((folder / "plan.json").read_text())
        if read_rows(folder) != rows or kept != json.loads(json.dumps(plan)):
            raise CacheError(f"{folder} holds another cache: remove it, or name another folder")
        return rows
    for name, (side, channels) in TAP_SHAPES.items():
        open_memmap(folder / f"{name}.npy", "w+", np.uint8, (len(rows), side, side, channels))
    side = NETWORK_SIZE
    open_memmap(folder / "L.npy", "w+", np.uint8, (len(rows), side, side, 1))
    side = TARGET_SIZE
    open_memmap(folder / "ab.npy", "w+", np.float16, (len(rows), side, side, 2))
    open_memmap(folder / "done.npy", "w+", np.uint8, (len(rows),))
    np.savez(folder / "scales.npz", allow_pickle=False, **_calibrate(root, rows, config))
    (folder / "plan.json").write_text(json.dumps(plan))
    with (folder / "rows.part").open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["file", "folder", "kind", "split", "copy"])
        writer.writerows([r.file, r.folder, r.kind, r.split, r.copy] for r in rows)
    (folder / "rows.part").replace(folder / "rows.csv")
    return rows


def _calibrate(root: Path, rows: list[Row], config: Config) -> Taps:
    encoder = make_encoder(config)
    chosen = [r for r in rows if r.split == "train" and not r.copy]
    chosen = chosen[:: max(1, len(chosen) // CALIBRATION_PHOTOS)][:CALIBRATION_PHOTOS]
    top = {name: np.full(c, 1e-3, np.float32) for name, (_, c) in TAP_SHAPES.items()}
    for row in chosen:
        for name, tap in encoder(prepare(root / row.file, 0, config.augment)[0]).items():
            top[name] = np.maximum(top[name], tap.max(axis=(0, 1)))
    # A channel that was silent over all of the calibration still needs a scale to wake up to.
    return {
        n: np.asarray(np.maximum(t, np.median(t) * 0.1) * HEADROOM, np.float32)
        for n, t in top.items()
    }


_writer: _Writer | None = None


def _start_worker(folder: Path, root: Path, config: Config) -> None:
    global _writer
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    _writer = _Writer(folder, root, config)


def _write_row(i: int) -> int:
    assert _writer is not None
    return _writer.write(i)


def fill(folder: Path, root: Path, config: Config) -> Iterator[int]:
    """Compute the rows that aren't done, in order, over worker processes; yields each index."""
    done = open_arrays(folder, "r")["done"]
    missing = [int(i) for i in np.flatnonzero(np.asarray(done) == 0)]
    if not missing:
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(
        config.cache.workers, initializer=_start_worker, initargs=(folder, root, config)
    ) as pool:
        yield from pool.imap(_write_row, missing, chunksize=4)


def build(folder: Path, root: Path, index: Path, config: Config) -> tuple[int, str, Iterator[int]]:
    """Prepare the cache and return (rows left to do, what it takes in words, the work itself)."""
    entries = read_index(index)
    folder.mkdir(parents=True, exist_ok=True)
    says = check_room(folder, len(plan_rows(entries, config.cache)), config.cache.limit_gb)
    create(folder, root, entries, config)
    left = int((np.asarray(open_arrays(folder, "r")["done"]) == 0).sum())
    return left, says, fill(folder, root, config)
