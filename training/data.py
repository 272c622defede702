"""From folders of photos to an index of usable ones, and from a photo to L and its ab target."""

import csv
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab

from .config import Data
from .datasets import SUFFIXES as SUFFIXES  # what a photo's name ends in
from .datasets import data_set, locate, photos_below
from .errors import DataError, TrainingError
from .near_duplicates import NEAR, HeldOut, signatures
from .shards import SEPARATOR, SHARD, decode, members, read_bytes

Signatures = NDArray[np.float32]
log = logging.getLogger(__name__)


class UnusablePhotoError(TrainingError):
    """One photo can't be used; the message is the reason."""


@dataclass(frozen=True)
class Entry:
    """A usable photo: path below the root, its folder of the configuration, kind,
    split ("train", "val" or "test"), hash."""

    file: str
    folder: str
    kind: str
    split: str
    sha256: str = ""
    mean_chroma: float = 0.0
    offset: int = 0  # in the shard; `file` is then "shard.tar::member"
    size: int = 0

    @property
    def shard(self) -> str:
        """The tar that it is a member of; empty for a file of its own."""
        return self.file.partition(SEPARATOR)[0] if self.size else ""

    def place(self, root: Path) -> tuple[Path, int, int | None]:
        """The file that it is in, its offset there, and its size; None: the whole file."""
        return root / (self.shard or self.file), self.offset, self.size or None


def read_entry(root: Path, entry: Entry) -> NDArray[np.uint8]:
    """Read an entry's photo as `read_photo` does."""
    return read_photo(*entry.place(root))


def read_photo(path: Path, offset: int = 0, size: int | None = None) -> NDArray[np.uint8]:
    """Read a colour photo as uint8 RGB [H, W, 3], EXIF orientation applied.

    Raises UnusablePhotoError when it can't be decoded, DataError when it isn't there.
    """
    try:
        image = decode(read_bytes(path, offset, size))
    except FileNotFoundError:
        raise DataError(f"no {path}: check --photos") from None
    except OSError:
        image = None
    if image is None:
        raise UnusablePhotoError(f"{path.name} is not a readable image")
    return image


def evenly_spaced(count: int, wanted: int) -> list[int]:
    """Indices below `count`, `wanted` at most: photos chosen by position, not by their looks."""
    wanted = min(wanted, count)
    return [i * count // wanted for i in range(wanted)]


def split_of(sha256: str, val_fraction: float) -> str:
    """Assign a photo to "train" or "val" by its hash: stable whatever else is in the folder."""
    return "val" if int(sha256[:8], 16) / 2**32 < val_fraction else "train"


def _photos_of(root: Path, folder: str, split: str) -> Iterator[Entry]:
    """The photos that a name of [data] means: of a folder and the tars in it, a tar, a data set."""
    kind, base = "", root / folder
    if entry := data_set(folder):
        files, remark = locate(root, folder, entry)
        kind = entry.kind
        if remark:
            log.warning(remark)
    elif base.is_dir():
        files = sorted([*photos_below(base), *base.rglob(f"*{SHARD}")])
    elif base.suffix == SHARD and base.is_file():
        files = [base]
    else:
        raise DataError(f"no folder or tar {base}: check --photos and the [data] section")
    for path in files:
        name = path.relative_to(root).as_posix()
        if path.suffix != SHARD:
            yield Entry(name, folder, kind, split)
            continue
        for member, offset, size in members(path):
            file = f"{name}{SEPARATOR}{member}"
            yield Entry(file, folder, kind, split, offset=offset, size=size)


def read_kinds(manifest: Path | None) -> dict[str, str]:
    """Each photo's kind by a manifest; none without one. Raises DataError without its columns."""
    if manifest is None:
        return {}
    with manifest.open(newline="") as f:
        rows = csv.DictReader(f)
        if not {"file", "kind"} <= set(rows.fieldnames or ()):
            raise DataError(f"{manifest} has no columns file and kind")
        return {row["file"]: row["kind"] for row in rows}


def kind_of(kinds: Mapping[str, str], name: str) -> str:
    """A photo's kind by its name below the root, its file's name, or that without its ending."""
    own = Path(name.rpartition(SEPARATOR)[2])
    return kinds.get(name) or kinds.get(own.name) or kinds.get(own.stem) or ""


def scan(root: Path, data: Data) -> Iterator[Entry | tuple[str, str]]:
    """Look at every photo: yields an Entry for a usable one, else (file, reason).

    Broken, too small, grey and repeated files are not usable, nor are training photos that are
    near-duplicates of a held-out one. A photo's kind is the manifest's (by its file's name), else
    its data set's. Raises DataError for a missing folder or data set.
    """
    kinds = read_kinds(root / data.manifest if data.manifest else None)
    # What is held out comes first: the rest is compared with it.
    folders = (("val", data.val), ("test", data.test), ("train", data.train))
    jobs = [f for split, names in folders for n in names for f in _photos_of(root, n, split)]
    fraction = data.val_fraction
    if fraction is None:
        fraction = 0 if data.val else 0.05
    if fraction:
        jobs = _split(root, jobs, fraction)
    seen: set[str] = set()
    held_out = HeldOut()

    def look(job: Entry) -> tuple[Entry, Signatures] | tuple[str, str]:
        try:
            content = read_bytes(*job.place(root))
            rgb = decode(content)
            if rgb is None:
                raise UnusablePhotoError("not a readable image")
            if min(rgb.shape[:2]) < data.min_side:
                raise UnusablePhotoError("too small")
            _, ab = srgb_to_lab(rgb)
            chroma = float(np.hypot(ab[..., 0], ab[..., 1]).mean())
            if chroma < data.min_chroma:
                raise UnusablePhotoError("grey")
        except (OSError, UnusablePhotoError) as e:
            return job.file, str(e)
        entry = replace(
            job,
            kind=kind_of(kinds, job.file) or job.kind,
            sha256=hashlib.sha256(content).hexdigest(),
            mean_chroma=round(chroma, 2),
        )
        return entry, signatures(rgb)

    with ThreadPoolExecutor(2) as pool:
        for entry, known in pool.map(look, jobs):
            if isinstance(entry, str):
                yield entry, str(known)
                continue
            assert not isinstance(known, str)
            if entry.sha256 in seen:
                yield entry.file, "repeated"
                continue
            seen.add(entry.sha256)
            if entry.split != "train":
                held_out.add(entry.file, known)
            elif held_out.nearest(known)[1] >= NEAR:
                yield entry.file, "near-duplicate of a held-out photo"
                continue
            yield entry


def _split(root: Path, jobs: list[Entry], val_fraction: float) -> list[Entry]:
    """Hold out a share of the training photos, by the hash of each."""
    split = []
    for job in jobs:
        if job.split == "train":
            with suppress(OSError):  # of one that cannot be read the reason is told later
                sha = hashlib.sha256(read_bytes(*job.place(root))).hexdigest()
                job = replace(job, split=split_of(sha, val_fraction))
        split.append(job)
    return sorted(split, key=lambda job: job.split == "train")


def write_index(path: Path, found: Iterable[Entry | tuple[str, str]]) -> Counter[str]:
    """Write the usable photos as CSV; returns counts: usable ones by split, others by reason.

    Raises DataError when no training photo is left.
    """
    counts: Counter[str] = Counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with partial.open("w", newline="") as f:
        writer = csv.DictWriter(f, [x.name for x in fields(Entry)])
        writer.writeheader()
        for item in found:
            if isinstance(item, Entry):
                writer.writerow(asdict(item))
                counts[item.split] += 1
            else:
                counts["skipped: " + item[1]] += 1
    if not counts["train"]:
        raise DataError(f"no usable training photo: {dict(counts)}")
    partial.replace(path)
    return counts


def read_index(path: Path) -> list[Entry]:
    """Read what write_index wrote. Raises DataError when it isn't there."""
    if not path.is_file():
        raise DataError(f"no index at {path}: run the `scan` stage first")
    with path.open(newline="") as f:
        return [
            Entry(
                **row  # type: ignore[arg-type]
                | {"mean_chroma": float(row["mean_chroma"])}
                | {name: int(row[name]) for name in ("offset", "size") if name in row}
            )
            for row in csv.DictReader(f)
        ]
