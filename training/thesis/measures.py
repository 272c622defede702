"""From photos' measures to figures: losses, accuracy and gain by split, the known failures."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from ..intervals import (
    Interval,
    Values,
    difference,
    mean,
    rank_correlation,
    ratio,
    ratio_difference,
    with_interval,
)
from .figures import KindAccuracy, Scores
from .photo import PhotoMeasures

SPLITS = ("val", "test")
SCENERY = ("scenery_error", "scenery_chroma_truth")
# What is reported of each failure: a statistic, and the columns that it takes. Errors over chroma
# are pooled over photos.
FAILURES: dict[str, tuple[Callable[..., Values], tuple[str, ...]]] = {
    "colourfulness": (ratio, ("colourfulness", "colourfulness_truth")),
    "brown": (difference, ("brown", "brown_truth")),
    "scenery_error": (ratio, SCENERY),
    "scenery_excess": (ratio_difference, (*SCENERY, "others_error", "others_chroma_truth")),
    "skin_error": (ratio, ("skin_error", "skin_chroma_truth")),
    "skin_excess": (ratio_difference, ("skin_error", "skin_chroma_truth", *SCENERY)),
    "skin_chroma": (ratio, ("skin_chroma", "skin_chroma_truth")),
    "rest_error": (ratio, ("rest_error", "rest_chroma_truth")),
    "rest_excess": (ratio_difference, ("rest_error", "rest_chroma_truth", *SCENERY)),
    "rest_chroma": (ratio, ("rest_chroma", "rest_chroma_truth")),
    "entropy": (rank_correlation, ("hue_entropy", "relative_error")),
    "blobs": (mean, ("blobs",)),
    "sky": (ratio, ("sky_gradient", "sky_gradient_truth")),
}


def columns_of(photos: list[PhotoMeasures]) -> dict[str, Values]:
    """The measures as arrays [photos], and the error of scenery and of the rest, NaN elsewhere."""
    names = [f.name for f in fields(PhotoMeasures) if f.name not in ("file", "kind", "split")]
    names.append("relative_error")
    columns = {name: np.array([getattr(p, name) for p in photos], np.float64) for name in names}
    scenery = np.array([p.kind == "scenery" for p in photos], bool)
    for group, there in (("scenery", scenery), ("others", ~scenery)):
        columns[f"{group}_error"] = np.where(there, columns["ab_error"], np.nan)
        columns[f"{group}_chroma_truth"] = np.where(there, columns["chroma_truth"], np.nan)
    return columns


def failure_figures(photos: list[PhotoMeasures]) -> dict[str, Interval]:
    """Every failure's measure over photos, with intervals."""
    columns = columns_of(photos)
    return {
        name: with_interval(statistic, *(columns[c] for c in taken))
        for name, (statistic, taken) in FAILURES.items()
    }


def scores(photos: list[PhotoMeasures], train_loss: float) -> Scores:
    """Losses, accuracy and gain from the measures of the validation and test photos."""
    by = {s: columns_of([p for p in photos if p.split == s]) for s in SPLITS}

    def of(split: str, name: str) -> Interval:
        return with_interval(mean, by[split][name])

    return Scores(
        train_loss, of("val", "loss")[0], of("test", "loss")[0],
        of("val", "accuracy"), of("test", "accuracy"), of("val", "gain"), of("test", "gain"),
    )  # fmt: skip


def grey_loss(photos: list[PhotoMeasures]) -> dict[str, float]:
    """The loss of grey answers by split; NaN for a split without photos."""
    return {
        s: float(mean(np.array([p.loss_grey for p in photos if p.split == s], np.float64)))
        for s in SPLITS
    }


def accuracy_by_kind(photos: list[PhotoMeasures]) -> dict[str, dict[str, KindAccuracy]]:
    """The thesis's accuracy by split and kind, "all" first."""
    result: dict[str, dict[str, KindAccuracy]] = {}
    for split in SPLITS:
        of_split = [p for p in photos if p.split == split]
        kinds = {"all": of_split} | {
            kind: [p for p in of_split if p.kind == kind]
            for kind in sorted({p.kind for p in of_split if p.kind})
        }
        result[split] = {}
        for kind, group in kinds.items():
            if not group:
                continue
            columns = columns_of(group)
            b = float(mean(columns["b_larger"]))
            accuracy = with_interval(mean, columns["accuracy"])
            result[split][kind] = KindAccuracy(len(group), accuracy, max(b, 1 - b))
    return result
