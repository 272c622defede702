"""Publish a run's weights: calibrate, export, compare, convert, measure, describe, put in place."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from chromaserve import Colorizer
from chromaserve.color.lab import srgb_to_L, srgb_to_lab
from chromaserve.store.contract import (
    MODEL_NAME,
    NETWORK_SIZE,
    Blend,
    GuidedFilter,
    ModelDescription,
    network_input,
)
from chromaserve.store.versions import ModelStore, ModelVersion

from .config import Config, Publish
from .conversion.convert import convert_if_possible
from .data import Entry, evenly_spaced, read_entry
from .errors import DataError, PublishError
from .evaluate import Photo, Plan, Result, evaluate
from .export import export
from .gains import collect, load_model
from .lineage import commit, how_trained, total_views, unfrozen, without_folders
from .model import ColorizationModel
from .model_card import model_card
from .summary import summarise
from .vividness import (
    Answers,
    Livened,
    calibrate_blend,
    calibrate_vividness,
    seen_at_full_size,
)

Float = NDArray[np.float32]

ATTRIBUTION = (
    "Encoder: VGG16 weights by the Visual Geometry Group, University of Oxford "
    "(Simonyan & Zisserman 2014), CC BY 4.0,{changes} stored in half precision."
)
MAX_DIFFERENCE = 0.05  # Lab units, stored model to Keras model of the same rounded weights
CHECKED_PHOTOS = 8
MEAN_COLOUR_PHOTOS = 1000
SEEN_PHOTOS = 100


def round_to_half(model: ColorizationModel) -> None:
    """Round the kernels to float16's values, as they are stored; the model is changed."""
    for part in model.parts:
        part.set_weights(
            [w.astype(np.float16).astype(w.dtype) if w.ndim > 1 else w for w in part.get_weights()]
        )


def both_ends(model: ColorizationModel, settings: Publish, L: Float) -> Float:
    """The Keras model's ab at vividness 0 and 1: float32 [2, N, 224, 224, 2], Lab units."""
    regression, annealed = model.answers({"L": L}, (settings.temperature,))
    ends = (settings.safe_scale * regression, settings.vivid_scale * annealed)
    size = (NETWORK_SIZE, NETWORK_SIZE)
    return np.stack([ops.convert_to_numpy(ops.image.resize(ab, size)) for ab in ends])


def both_signatures(folder: Path, L: Float) -> Float:
    """The SavedModel's ab by `serving_default`, and by `vivid` at 1: [2, N, 224, 224, 2]."""
    stored = tf.saved_model.load(str(folder))
    safe = stored.signatures["serving_default"](L=tf.constant(L))["ab"]
    vivid = stored.signatures["vivid"](L=tf.constant(L), vividness=tf.ones([len(L)]))["ab"]
    return np.stack([safe.numpy(), vivid.numpy()])


def attribution(told: dict[str, Any]) -> str:
    """Whose the encoder's weights are, and what a history changed of them."""
    first = unfrozen(told)
    return ATTRIBUTION.format(changes=f" trained further from {first} on," if first else "")


def mean_colour(root: Path, entries: Sequence[Entry]) -> tuple[float, float]:
    """Mean (a, b) of the training photos, Lab units, over at most MEAN_COLOUR_PHOTOS of them."""
    train = sorted((e for e in entries if e.split == "train"), key=lambda e: e.sha256)
    train = train[:MEAN_COLOUR_PHOTOS]
    means = [srgb_to_lab(read_entry(root, e))[1].mean(axis=(0, 1)) for e in train]
    a, b = np.mean(means, axis=0)
    return round(float(a), 3), round(float(b), 3)


def calibrated(
    model: ColorizationModel, settings: Publish, root: Path, val: Sequence[Entry]
) -> tuple[Publish, Blend]:
    """What vividness means to the network, and of its answers, found on the validation photos."""
    answers = collect(model, val, root)
    seen = seen_at_own_size(answers, root, val, settings)
    found = calibrate_vividness(answers, settings, seen).settings
    livened = livened_on(answers, root, val, found)
    update = {"default_vividness": livened.default_vividness}
    return found.model_copy(update=update), livened.blend


def livened_on(answers: Answers, root: Path, photos: Sequence[Entry], settings: Publish) -> Livened:
    """The blend, and the default vividness by it, of answers to photos; settings: calibrated."""
    return calibrate_blend(answers, settings, seen_at_own_size(answers, root, photos, settings))


def seen_at_own_size(
    answers: Answers, root: Path, photos: Sequence[Entry], settings: Publish
) -> float:
    """`seen_at_full_size` of at most SEEN_PHOTOS of the photos, evenly spaced."""
    few = evenly_spaced(len(photos), SEEN_PHOTOS)
    return seen_at_full_size(answers.of(few), (read_entry(root, photos[i]) for i in few), settings)


def publish(
    weights: Path, config: Config, root: Path, entries: Sequence[Entry], store: ModelStore,
    on_photo: Callable[[], None] = lambda: None, *,
    count: int | None = None,
) -> ModelVersion:  # fmt: skip
    """Export a run's .npz and publish it as the store's next version.

    Calibrates vividness, and measures what is published as users get it, on the validation photos:
    at vividness 0, the default and 1.

    weights: in the run's folder, beside its config.json. config: the run's, perhaps with another
    [publish]. count: of validation photos, evenly spaced ones, that it is measured on; None: all.
    Raises PublishError when the export differs from the Keras model by more than 0.05 Lab units.
    """
    if not root.is_dir():
        raise DataError(f"no folder {root}: check --photos")
    val = [e for e in entries if e.split == "val"]
    if not val or len(val) == len(entries):
        raise DataError("publishing needs training and validation photos: see [data]")
    checked = [val[i] for i in evenly_spaced(len(val), CHECKED_PHOTOS)]
    L = np.stack([network_input(srgb_to_L(read_entry(root, e))) for e in checked])
    model = load_model(weights)
    full = both_ends(model, config.publish, L)
    round_to_half(model)
    rounded = np.abs(both_ends(model, config.publish, L) - full)
    settings, blend = calibrated(model, config.publish, root, val)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "saved_model")
        export(model, settings, folder)
        apart = both_signatures(folder, L) - both_ends(model, settings, L)
        difference = float(np.abs(apart).max())
        if not difference <= MAX_DIFFERENCE:
            raise PublishError(
                f"the export differs from the Keras model by {difference:.2f} Lab units"
            )
        description = describe(weights, config, settings, mean_colour(root, entries), entries)
        description = description.model_copy(update={"blend": blend})
        version = (store.versions() or [0])[-1] + 1
        cpu_engine = convert_if_possible(ModelVersion(version, folder, description), folder)
        description = description.model_copy(update={"cpu_engine": cpu_engine})
        metrics: dict[str, Any] = {
            "export_max_difference_ab": round(difference, 4),
            "half_precision_max_difference_ab": round(float(rounded.max()), 4),
            "half_precision_mean_difference_ab": round(float(rounded.mean()), 4),
        }
        photos = [val[i] for i in evenly_spaced(len(val), count or len(val))]
        metrics |= measured(folder, description, root, photos, on_photo)
        description = description.model_copy(update={"metrics": metrics})
        (folder / "MODEL_CARD.md").write_text(model_card(description, version, len(model.bins)))
        return store.publish(folder, description)


def measured(
    folder: Path, description: ModelDescription, root: Path, photos: Sequence[Entry],
    on_photo: Callable[[], None] = lambda: None,
) -> dict[str, Any]:  # fmt: skip
    """Measures at vividness 0, the default and 1, as users get it: from a store, by the library."""
    plan = Plan(
        vividness=tuple(sorted({0.0, description.default_vividness, 1.0})),
        mean_ab=tuple(description.data["mean_ab"]),
        guided=description.guided_filter,
    )
    results = defaultdict[float, list[Result]](list)
    with tempfile.TemporaryDirectory() as scratch:
        shown = ModelStore(Path(scratch))
        shown.publish(folder, description)
        with Colorizer(model_root=shown.root) as colorizer:
            for outcomes in evaluate(colorizer, (Photo.of_entry(root, e) for e in photos), plan):
                for vividness, outcome in outcomes.items():
                    results[vividness].append(outcome.result)
                on_photo()
    return {f"vividness {v:g}": summarise(results[v]) for v in plan.vividness}


def describe(
    weights: Path, config: Config, settings: Publish, mean_ab: tuple[float, float],
    entries: Sequence[Entry],
) -> ModelDescription:  # fmt: skip
    """model.json, without the measures: what is stored, and how it was trained."""
    told = how_trained(weights)
    counts = Counter(f"{e.split}/{e.folder}" for e in entries)
    return ModelDescription(
        name=MODEL_NAME,
        created=datetime.now(UTC).replace(microsecond=0),
        licence=settings.licence,
        attribution=attribution(told),
        default_vividness=settings.default_vividness,
        guided_filter=GuidedFilter(radius=settings.guided_radius, eps=settings.guided_eps),
        postprocess=settings.postprocess,
        training=without_folders(config)
        | {
            "publish": settings.model_dump(mode="json"),
            "views": total_views(told),
            "history": {name: value for name, value in told.items() if name != "config"},
            "commit": commit(),
        },
        data={"photos": dict(sorted(counts.items())), "mean_ab": list(mean_ab)},
        metrics={},
    )
