"""A published version's vividness calibrated anew on validation photos, its measures with it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chromaserve.store.versions import ModelStore, ModelVersion

from .config import Publish, own_training
from .data import Entry, evenly_spaced
from .gains import collect, load_model
from .model_card import describe_anew, summaries
from .publish import livened_on, measured
from .summary import Summary


def recalibrate(
    version: ModelVersion, root: Path, val: Sequence[Entry], store: ModelStore,
    on_photo: Callable[[], None] = lambda: None, *, count: int | None = None,
) -> ModelVersion:  # fmt: skip
    """Find a version's `Blend` and default vividness; measure and describe it, in its place.

    The network and its own settings stay. Measures of baselines that are not made again, of the
    nearest training photo, are kept where the photos are as many as before.

    Args:
        version: of the store, whose files were verified.
        root: of the photos.
        val: validation photos.
        store: that has the version.
        on_photo: told of each photo that was measured.
        count: of photos that the calibration looks at, evenly spaced; None: all.

    Raises WeightsError for a version that was not made by this program.
    """
    described = version.description
    settings = Publish.model_validate(own_training(described)["publish"])
    chosen = [val[i] for i in evenly_spaced(len(val), count or len(val))]
    answers = collect(load_model(version.path), chosen, root)
    found = livened_on(answers, root, chosen, settings)
    described = described.model_copy(
        update={"blend": found.blend, "default_vividness": found.default_vividness}
    )
    before = summaries(version.description)
    kept = {k: v for k, v in described.metrics.items() if k not in before}
    again = measured(version.path, described, root, val, on_photo)
    metrics = kept | {name: _with_nearest(each, before) for name, each in again.items()}
    return describe_anew(
        store, version, blend=found.blend, metrics=metrics,
        default_vividness=found.default_vividness,
    )  # fmt: skip


def _with_nearest(summary: Summary, before: dict[str, Any]) -> Summary:
    """A summary with the nearest photos' measures of an earlier one of the same photos."""
    first: Summary = next(iter(before.values()), {})
    return {
        kind: values
        | {
            name: value
            for name, value in first.get(kind, {}).items()
            if "nearest" in name and first[kind]["photos"] == values["photos"]
        }
        for kind, values in summary.items()
    }
