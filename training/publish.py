"""Publish a fitted run: export, compare with the Keras model, measure, describe, put in place."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_L, srgb_to_lab
from chromaserve.store.contract import MODEL_NAME, GuidedFilter, ModelDescription, network_input
from chromaserve.store.versions import ModelStore, ModelVersion

from .calibration import Deviations, calibrate
from .colorizer import Colorizer, blend, build_colorizer
from .config import Config, Publish
from .conversion.convert import convert_if_possible
from .data import Entry, evenly_spaced, read_photo
from .errors import PublishError
from .evaluate import Plan, Result, evaluate
from .export import ServingModel, export
from .feed import PhotoFeed
from .losses import ab_bins
from .nearest import NearestPhoto
from .perceptual import Perceptual
from .report import calibration_markdown, markdown_tables
from .run import Run, load_weights
from .saved_model import Network
from .summary import Summary, summarise
from .vividness import calibrate_vividness, collect, seen_at_full_size

Float = NDArray[np.float32]

LICENCE = "Apache-2.0; encoder weights CC BY 4.0"
ATTRIBUTION = (
    "Encoder: VGG16 weights by the Visual Geometry Group, University of Oxford "
    "(Simonyan & Zisserman 2014), CC BY 4.0,{changes} stored in half precision."
)
MAX_DIFFERENCE = 0.05  # Lab units, stored model to Keras model of the same rounded weights
CHECKED_PHOTOS = 16
MEAN_COLOUR_PHOTOS = 1000
CALIBRATION_BATCH = 16
SEEN_PHOTOS = 100


def load_run(config: Config, run: Run) -> Colorizer:
    """Build the network with the best weights of a run, encoder included."""
    if not run.best.is_file():
        raise PublishError(f"no weights at {run.best}: run the `fit` stage first")
    network = build_colorizer(config, with_encoder=True)
    load_weights(run.best, network.trainable_parts)
    return network


def round_to_half(network: Colorizer) -> None:
    """Round the kernels to float16's values, as they are stored; the network is changed."""
    for part in network.trainable_parts:
        part.set_weights(
            [w.astype(np.float16).astype(w.dtype) if w.ndim > 1 else w for w in part.get_weights()]
        )


def both_heads(network: Colorizer, settings: Publish, L: NDArray[np.float32]) -> tf.Tensor:
    """The Keras model's ab at vividness 0 and 1: [2, N, 224, 224, 2], Lab units."""
    features = network.features(network.taps(tf.constant(L)))
    regression = network.ab(features)
    annealed = network.vivid_ab(features, tf.fill([len(L)], settings.temperature))
    heads = (
        settings.safe_scale * regression,
        blend(regression, annealed, tf.ones([len(L)]), settings),
    )
    return tf.stack([tf.image.resize(ab, L.shape[1:3], "bilinear") for ab in heads])


def keras_network(network: Colorizer, settings: Publish) -> Network:
    """The network as evaluation calls it, a batch's features kept until the next batch."""
    features = tf.function(lambda L: network.features(network.taps(L)))
    model = ServingModel(network, settings)
    kept: list[tuple[Float, tf.Tensor]] = []

    def features_of(L: Float) -> tf.Tensor:
        if not kept or kept[0][0] is not L:
            kept[:] = [(L, features(tf.constant(L)))]
        return kept[0][1]

    def predict(L: Float, vividness: float) -> Float:
        v = tf.fill([len(L)], tf.constant(vividness, tf.float32))
        return np.asarray(model.vivid_ab(features_of(L), v), np.float32)

    def spread(L: Float) -> tuple[Float, Float]:
        ab, deviation = (np.asarray(x, np.float32) for x in model.spread_of(features_of(L)))
        return ab, deviation

    return Network(predict, spread)


def both_signatures(folder: Path, L: NDArray[np.float32]) -> tf.Tensor:
    """The SavedModel's ab by `serving_default`, and by `vivid` at 1: [2, N, 224, 224, 2]."""
    model = tf.saved_model.load(str(folder))
    safe = model.signatures["serving_default"](L=tf.constant(L))["ab"]
    vivid = model.signatures["vivid"](L=tf.constant(L), vividness=tf.ones([len(L)]))["ab"]
    return tf.stack([safe, vivid])


def _largest(difference: tf.Tensor) -> float:
    return round(float(tf.reduce_max(tf.abs(difference))), 4)


def _weights_name(config: Config) -> str:
    """Where the encoder's weights came from, without this machine's folders."""
    return Path(config.encoder.weights).name


def attribution(config: Config) -> str:
    """Whose the encoder's weights are, and what was changed."""
    unfrozen = config.encoder.trainable_from
    return ATTRIBUTION.format(changes=f" trained further from {unfrozen} on," if unfrozen else "")


def mean_colour(root: Path, entries: list[Entry]) -> tuple[float, float]:
    """Mean (a, b) of the training photos, Lab units, over at most MEAN_COLOUR_PHOTOS of them."""
    train = sorted((e for e in entries if e.split == "train"), key=lambda e: e.sha256)
    train = train[:MEAN_COLOUR_PHOTOS]
    means = [srgb_to_lab(read_photo(root / e.file))[1].mean(axis=(0, 1)) for e in train]
    a, b = np.mean(means, axis=0)
    return round(float(a), 3), round(float(b), 3)


def publish(
    config: Config,
    run: Run,
    root: Path,
    entries: list[Entry],
    store: ModelStore,
    on_photo: Callable[[], None] = lambda: None,
    *,
    nearest: NearestPhoto | None = None,
    perceptual: Perceptual | None = None,
) -> ModelVersion:
    """Export the run's best weights and publish them as the store's next version.

    Calibrates vividness, and measures the exported model, on the validation photos: at vividness
    0, the default and 1.
    Raises PublishError when the export differs from the Keras model by more than 0.05 Lab units.
    """
    network = load_run(config, run)
    val = [e for e in entries if e.split == "val"]
    photos = [(root / e.file, e.kind) for e in val]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "saved_model")
        L = np.stack([network_input(srgb_to_L(read_photo(p))) for p, _ in photos[:CHECKED_PHOTOS]])
        feed = PhotoFeed(root, val, CALIBRATION_BATCH, config.seed, config.augment)
        chosen = evenly_spaced(len(val), SEEN_PHOTOS)
        order = [*chosen, *(i for i in range(len(val)) if i not in set(chosen))]
        answers = collect(network, feed.batches(np.asarray(order, np.int64)))
        seen = seen_at_full_size(answers, [photos[i][0] for i in chosen], config.publish)
        settings = calibrate_vividness(answers, config.publish, seen).settings
        full = both_heads(network, settings, L)
        round_to_half(network)
        half = both_heads(network, settings, L)
        export(network, settings, folder)
        difference = _largest(both_signatures(folder, L) - half)
        if not difference <= MAX_DIFFERENCE:
            raise PublishError(
                f"the export differs from the Keras model by {difference:.2f} Lab units"
            )
        guided = GuidedFilter(radius=settings.guided_radius, eps=settings.guided_eps)
        mean_ab = mean_colour(root, entries)
        metrics: dict[str, object] = {
            "export_max_difference_ab": difference,
            "half_precision_max_difference_ab": _largest(half - full),
            "half_precision_mean_difference_ab": round(float(tf.reduce_mean(abs(half - full))), 4),
        }
        plan = Plan(
            vividness=tuple(sorted({0.0, settings.default_vividness, 1.0})),
            guided=guided,
            postprocess=settings.postprocess,
            mean_ab=mean_ab,
            nearest=nearest,
            perceptual=perceptual,
        )
        results = defaultdict[float, list[Result]](list)
        sureness: list[Deviations] = []
        # The Keras network, which the export has just been shown to equal: it keeps a batch's
        # features, so that the encoder runs once whatever the number of vividness values.
        for photo in evaluate(keras_network(network, settings), photos, plan):
            for vividness, outcome in photo.outcomes.items():
                results[vividness].append(outcome.result)
            if photo.deviations:
                sureness.append(photo.deviations)
            on_photo()
        if sureness:
            metrics["calibration"] = calibrate(sureness)
        metrics |= {f"vividness {v:g}": summarise(results[v]) for v in plan.vividness}
        counts = Counter(f"{e.split}/{e.folder}" for e in entries)
        description = ModelDescription(
            name=MODEL_NAME,
            created=datetime.now(UTC).replace(microsecond=0),
            licence=LICENCE,
            attribution=attribution(config),
            default_vividness=settings.default_vividness,
            guided_filter=guided,
            postprocess=plan.postprocess,
            training=config.model_dump(mode="json")
            | {
                "encoder": config.encoder.model_dump() | {"weights": _weights_name(config)},
                "publish": settings.model_dump(mode="json"),
            },
            data={"photos": dict(sorted(counts.items())), "mean_ab": list(mean_ab)},
            metrics=metrics,
        )
        version = (store.versions() or [0])[-1] + 1
        (folder / "MODEL_CARD.md").write_text(model_card(description, version, len(ab_bins())))
        if not any((folder / "assets").iterdir()):
            (folder / "assets").rmdir()
        cpu_engine = convert_if_possible(ModelVersion(version, folder, description), folder)
        return store.publish(folder, description.model_copy(update={"cpu_engine": cpu_engine}))


def summaries(description: ModelDescription) -> dict[str, Summary]:
    """The measures of a description by the vividness they were made at: {"vividness 0": ...}."""
    metrics = description.metrics.items()
    return {name: value for name, value in metrics if isinstance(value, dict) and "all" in value}


def model_card(description: ModelDescription, version: int, bins: int) -> str:
    """The version's MODEL_CARD.md."""
    counts = "\n".join(f"- {name}: {n}" for name, n in description.data["photos"].items())
    tables = "\n\n".join(
        f"### {name.capitalize()}\n\n{markdown_tables(summary)}"
        for name, summary in summaries(description).items()
    )
    calibration = ""
    if "calibration" in description.metrics:
        calibration = f"""
### How sure the distribution is

Its expected rms distance from its own mean, at 56 x 56, beside the mean's observed error.
{calibration_markdown(description.metrics["calibration"])}
"""
    return f"""# Model card: {description.name} {version}

Predicts the ab planes (CIE Lab, D65) of a photo from its L plane. VGG16's first 18 layers as
encoder, a decoder with residual connections to five of its layers, a regression head and a
distribution head over {bins} ab bins. Made {description.created:%Y-%m-%d}.

## Use

Colour for grey photographs, to look at. The colours are plausible guesses from shapes and
textures, not a record of what was there. It must not be used as evidence, to identify people or
goods by colour, or in medical diagnosis.

Vividness 0 gives the regression head: least error, muted. Vividness 1 gives the annealed mean of
the distribution head, at the truth's colourfulness: punchier, oftener wrong. The default is
{description.default_vividness:g}. All three are calibrated on the validation photos.

## Data

Photos by split and folder:

{counts}

Research data, which is not redistributed with the model.

## Measured

On the validation photos at their own size. Post-processing: {description.postprocess}; guided
filter of radius {description.guided_filter.radius} at 224 x 224, eps
{description.guided_filter.eps:g}.

Beside each figure stands what baselines get: a grey photo; the training photos' mean colour; where
measured, the colours of the training photo that is nearest in VGG16's block5_conv3; for accuracy,
the share of pixels where argmax(a, b) agrees, the better constant answer. Colourfulness is that of
Hasler & Suesstrunk 2003. The hue error weighs each pixel as its true chroma; chance is 90°. LPIPS
is that of Zhang et al. 2018 on VGG16; uncalibrated, every channel weighs alike, and the figures are
not those of published LPIPS. Skin is what has skin's chrominance in the truth (Chai & Ngan 1999),
in photos of people with 2% of it or more; the rule takes wood and sand for skin too. In brackets:
95% intervals, bootstrapped over photos.

{tables}
{calibration}
## Limits

Indoor walls, clothes, goods and lettering have no colour that their shape tells: expect brown,
blue or grey there, and blobs at high vividness. Photos unlike the training data (drawings, maps,
medical or aerial images) get arbitrary colours. Skin is learned from few thousand photos.

## Licence and attribution

{description.licence}. {description.attribution}
"""
