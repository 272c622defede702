"""The thesis's experiment: four models of one network that differ in their regularisation only."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..config import Cache, Config
from ..data import Entry, read_index, scan, write_index
from ..errors import CacheError, DataError
from ..features import Row, build, open_arrays, plan_rows
from ..feed import CachedFeed
from ..run import Run

MODELS = {"none": "without", "l1": "L1", "l2": "L2", "both": "L1 and L2"}


def variants(config: Config, epochs: int | None = None) -> dict[str, Config]:
    """The four configurations by name; `epochs` takes the place of those of the file."""
    length = epochs or config.thesis.epochs or config.fit.epochs
    settings = config.thesis
    strengths = {
        "none": (0.0, 0.0),
        "l1": (settings.l1, 0.0),
        "l2": (0.0, settings.l2),
        "both": (settings.l1, settings.l2),
    }
    return {
        name: config.model_copy(
            update={
                "name": f"{config.name}-{name}",
                "fit": config.fit.model_copy(update={"epochs": length}),
                "decoder": config.decoder.model_copy(update={"l1": l1, "l2": l2}),
            }
        )
        for name, (l1, l2) in strengths.items()
    }


def sample(rows: list[Row], folders: tuple[str, ...], wanted: int | None) -> list[int]:
    """Indices of the training photos used: from each folder in proportion to what it holds.

    `rows` are in the order of a cache, by hash within a folder: the sample is the same whatever
    else the cache holds. Copies are left out.
    """
    by_folder = {
        f: [i for i, r in enumerate(rows) if (r.split, r.copy, r.folder) == ("train", 0, f)]
        for f in folders
    }
    total = sum(map(len, by_folder.values()))
    if not total:
        raise DataError(f"no training photo of {', '.join(folders)}")
    share = min(1.0, wanted / total) if wanted else 1.0
    return [i for rows in by_folder.values() for i in rows[: max(1, round(share * len(rows)))]]


class SampleFeed(CachedFeed):
    """A cache's validation and test rows, and a sample of its training rows."""

    def __init__(self, folder: Path, batch: int, train: list[int]) -> None:
        """Raises CacheError when a row that is needed isn't computed yet."""
        super().__init__(folder, batch)
        self._train = set(train)
        done = np.asarray(open_arrays(folder, "r")["done"])
        needed = [i for i, r in enumerate(self.rows) if r.split != "train"] + train
        if missing := int((done[needed] == 0).sum()):
            raise CacheError(f"{folder} lacks {missing} of {len(needed)} photos: not filled yet")

    def select(self, split: str) -> tuple[list[int], list[str]]:
        """Row numbers of a split, and the folder of each."""
        rows, folders = super().select(split)
        if split != "train":
            return rows, folders
        kept = [(i, f) for i, f in zip(rows, folders, strict=True) if i in self._train]
        return [i for i, _ in kept], [f for _, f in kept]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many photos of each kind a split has: {split: {kind: photos}}."""
        return {
            split: dict(Counter(self.rows[i].kind or "unknown" for i in self.select(split)[0]))
            for split in ("train", "val", "test")
        }


def open_feed(folder: Path, config: Config) -> SampleFeed:
    """Open a cache and take the configuration's sample of it."""
    rows = CachedFeed(folder, config.fit.batch).rows
    chosen = sample(rows, config.data.train, config.thesis.train_photos)
    return SampleFeed(folder, config.fit.batch, chosen)


def build_cache(
    folder: Path, root: Path, index: Path, config: Config
) -> tuple[int, str, Iterator[int]]:
    """Prepare a cache of the sample and the other splits, as `features.build` returns it.

    Photos are looked at once: the index is kept.
    """
    if not index.exists():
        write_index(index, scan(root, config.data))
    entries = read_index(index)
    kept = _sampled(entries, config)
    chosen = index.with_name("sample.csv")
    write_index(chosen, iter(kept))
    settings = config.cache.model_copy(update={"copies": {}})
    return build(folder, root, chosen, config.model_copy(update={"cache": settings}))


def _sampled(entries: list[Entry], config: Config) -> list[Entry]:
    rows = plan_rows(entries, Cache(copies={}))
    chosen = sample(rows, config.data.train, config.thesis.train_photos)
    files = {rows[i].file for i in chosen}
    return [e for e in entries if e.split != "train" or e.file in files]


def train(
    config: Config,
    run: Run,
    feed: SampleFeed,
    report: Callable[[str], None],
    on_images: Callable[[int, int], None],
) -> bool:
    """Fit one of the four, resuming where a killed call stopped; False where it was done before.

    Raises DataError when the folder holds a run of other settings or photos.
    """
    from ..fit import fit

    record = run.folder / "experiment.json"
    settings = config.model_dump(mode="json", include={"seed", "decoder", "fit"})
    settings["fit"].pop("epochs")  # a run may be made longer
    settings["photos"] = feed.counts()
    now = {"settings": settings, "epochs": config.fit.epochs}
    if record.exists():
        earlier = json.loads(record.read_text())
        if earlier["settings"] != settings:
            raise DataError(f"{run.folder} holds a run of other settings: name another --run")
        if earlier == now:
            return False
    else:
        run.folder.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"settings": settings, "epochs": 0}))
    fit(config, run, feed, report, on_images)
    record.write_text(json.dumps(now, indent=2))
    return True
