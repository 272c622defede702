"""The thesis's experiment: four models of one network that differ in their regularisation only."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.store.contract import squeeze

from ..config import Config, Thesis
from ..data import Entry, evenly_spaced, read_entry
from ..errors import DataError
from ..model import ColorizationModel, target_side
from ..ncnn_encoder import frozen_part
from ..stream import Stream
from ..tap_cache import TapCache
from ..train import open_cache
from ..views import whole

MODELS = {"none": "without", "l1": "L1", "l2": "L2", "both": "L1 and L2"}
SPLITS = ("train", "val", "test")
Float = NDArray[np.float32]


def variants(
    config: Config, photos: int, seed: int, epochs: int | None = None
) -> dict[str, Config]:
    """The four configurations by name, an epoch of each as long as there are training photos.

    `epochs` takes the place of those of the file.
    """
    settings = config.thesis
    if photos < config.train.batch:
        raise DataError(f"{photos} training photos are less than a batch of {config.train.batch}")
    length = {"epochs": epochs or settings.epochs or config.train.epochs, "views_per_epoch": photos}
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
                "seed": seed,
                "thesis": Thesis(),  # a model is the same whichever others are trained
                "train": config.train.model_copy(update=length),
                "decoder": config.decoder.model_copy(update={"l1": l1, "l2": l2}),
            }
        )
        for name, (l1, l2) in strengths.items()
    }


def sample(entries: Sequence[Entry], wanted: int | None) -> list[Entry]:
    """What is held out, and of each training folder photos in proportion to what it holds.

    By hash: the sample is the same whatever else the index holds.
    """
    train = [e for e in entries if e.split == "train"]
    if not train:
        raise DataError("the index has no training photo")
    share = min(1.0, wanted / len(train)) if wanted else 1.0
    chosen = [e for e in entries if e.split != "train"]
    for folder in dict.fromkeys(e.folder for e in train):
        own = sorted((e for e in train if e.folder == folder), key=lambda e: e.sha256)
        chosen += own[: max(1, round(share * len(own)))]
    return chosen


@dataclass(frozen=True)
class Photos:
    """The experiment's photos, and their taps, computed once."""

    entries: list[Entry]
    root: Path
    taps: TapCache
    config: Config
    lightness: dict[str, Float] = field(default_factory=dict)  # of those asked for, by file

    def of(self, split: str) -> list[Entry]:
        """Those of a split."""
        return [e for e in self.entries if e.split == split]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many photos of each kind a split has: {split: {kind: photos}}."""
        return {s: dict(Counter(e.kind or "unknown" for e in self.of(s))) for s in SPLITS}

    def batches(
        self, split: str, most: int = 1_000_000
    ) -> Iterator[tuple[dict[str, Float], Float]]:
        """A split's photos in order: taps by name [N, h, w, C], and ab [N, h, w, 2].

        most: so many of them, evenly spaced.
        """
        photos = self.of(split)
        chosen = [photos[i] for i in evenly_spaced(len(photos), most)]
        stream = Stream(
            chosen, self.root, self.config.views, target_side(self.config, 224),
            self.config.train.batch, taps=self.taps,
        )  # fmt: skip
        for i in range(len(stream)):
            x, y = stream[i]
            yield {n: np.asarray(v, np.float32) for n, v in x.items() if n != "offset"}, y["ab"]

    def small_L(self, entry: Entry) -> Float:  # noqa: N802
        """A photo's L at the size of the answers, [h, w]; the photo is read once."""
        if entry.file not in self.lightness:
            side = target_side(self.config, 224)
            L = whole(read_entry(self.root, entry), side)[0][..., 0]
            self.lightness[entry.file] = squeeze(L, side, side)
        return self.lightness[entry.file]


def open_photos(config: Config, entries: Sequence[Entry], root: Path, cache: Path) -> Photos:
    """The sample that the configuration asks for. Raises DataError without room for its taps."""
    chosen = sample(entries, config.thesis.train_photos)
    taps = open_cache(config, frozen_part(ColorizationModel(config)), cache, len(chosen))
    return Photos(chosen, root, taps, config)
