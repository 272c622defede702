"""What is said of a published version: MODEL_CARD.md."""

import tempfile
from pathlib import Path
from typing import Any

from chromaserve.store.contract import ModelDescription
from chromaserve.store.versions import ModelStore, ModelVersion

from .datasets import PREFIX
from .losses import ab_bins
from .report import markdown_tables
from .summary import Summary

UNSEEN = "unseen photos, "
"""Before the names of measures of photos on which nothing was trained or chosen."""


def summaries(description: ModelDescription) -> dict[str, Summary]:
    """The measures of a description by the vividness they were made at: {"vividness 0": ...}."""
    metrics = description.metrics.items()
    return {name: value for name, value in metrics if isinstance(value, dict) and "all" in value}


def add_unseen(store: ModelStore, version: ModelVersion, unseen: dict[float, Summary]) -> None:
    """Put measures of photos on which nothing was trained or chosen into a version and its card.

    Args:
        store: that has the version.
        version: whose files were verified; its earlier measures of such photos go.
        unseen: by vividness.
    """
    kept = {n: v for n, v in version.description.metrics.items() if not n.startswith(UNSEEN)}
    metrics = kept | {f"{UNSEEN}vividness {v:g}": summary for v, summary in unseen.items()}
    describe_anew(store, version, metrics=metrics)


def describe_anew(store: ModelStore, version: ModelVersion, **fields: Any) -> ModelVersion:  # noqa: ANN401 - of ModelDescription
    """Change fields of a version's description, and its card with them.

    Args:
        store: that has the version.
        version: whose files were verified.
        fields: of the description.
    """
    described = version.description.model_copy(update=fields)
    with tempfile.TemporaryDirectory() as scratch:
        card = model_card(described, version.version, len(ab_bins()))
        Path(scratch, "MODEL_CARD.md").write_text(card)
        return store.amend(version, Path(scratch), **fields)


def model_card(description: ModelDescription, version: int, bins: int) -> str:
    """The version's MODEL_CARD.md."""
    counts = "\n".join(f"- {name}: {n}" for name, n in description.data["photos"].items())
    measures = summaries(description)
    validation = _tables({n: each for n, each in measures.items() if not n.startswith(UNSEEN)})
    unseen = _tables(
        {n.removeprefix(UNSEEN): each for n, each in measures.items() if n.startswith(UNSEEN)}
    )
    if unseen:
        unseen = f"""
## On photos that it has not seen

Nothing was trained on these, no setting was chosen on them, and none is of a source of the training
photos: what to expect of photos of your own.

{unseen}
"""
    training = description.training
    views = ""
    if "history" in training:
        told = training["history"]
        views = f" {training['views']:,} views of training photos in all, each drawn anew, from\n"
        views += f"{_start(told)} on.{_mean(told)}"
    livelier = "the annealed mean of the distribution head"
    if description.blend:
        livelier = "what both heads say, with the photo's\nmean colour taken out in part, scaled"
    return f"""# Model card: {description.name} {version}

Predicts the ab planes (CIE Lab, D65) of a photo from its L plane. VGG16's first 18 layers as
encoder, a decoder with residual connections to five of its layers, a regression head and a
distribution head over {bins} ab bins. Made {description.created:%Y-%m-%d}.

## Use

Colour for grey photographs, to look at. The colours are plausible guesses from shapes and
textures, not a record of what was there. It must not be used as evidence, to identify people or
goods by colour, or in medical diagnosis.

Vividness 0 gives the regression head: least error, muted. Vividness 1 gives {livelier}, at the
truth's colourfulness: punchier, oftener wrong. The default is
{description.default_vividness:g}. All three are calibrated on the validation photos.

## Data

Photos by split and folder:

{counts}

{_whose(description)}{views} `model.json` has every step's
configuration.

## Measured

Photos are at their own size, colorized as the library does it. Post-processing:
{description.postprocess}; guided filter of radius {description.guided_filter.radius} at 224 x 224,
eps {description.guided_filter.eps:g}.

Beside each figure stands what baselines get: a grey photo; the training photos' mean colour; for
accuracy, the share of pixels where argmax(a, b) agrees, the better constant answer.
Colourfulness is that of Hasler & Suesstrunk 2003. The hue error weighs each pixel as its true
chroma; chance is 90°. Skin is what has skin's chrominance
in the truth (Chai & Ngan 1999), in photos of people with 2% of it or more; the rule takes wood and
sand for skin too. In brackets: 95% intervals, bootstrapped over photos.
{unseen}
## On the validation photos

Vividness was calibrated on them: on other photos figures are lower.

{validation}

## Limits

Indoor walls, clothes, goods and lettering have no colour that their shape tells: expect brown,
blue or grey there, and blobs at high vividness. Photos unlike the training data (drawings, maps,
medical or aerial images) get arbitrary colours. Skin is learned from few thousand photos.

## Licence and attribution

{description.licence}. {description.attribution}
"""


def _whose(description: ModelDescription) -> str:
    """What is said of the training photos: whose own ones are, their owner knows."""
    folders = (name.partition("/")[2] for name in description.data["photos"])
    if any(folder.startswith(PREFIX) for folder in folders):
        return "Research data is among them; none of the photos is part of the model."
    return "The photos are not part of the model."


def _tables(measures: dict[str, Summary]) -> str:
    return "\n\n".join(
        f"### {name.capitalize()}\n\n{markdown_tables(summary)}"
        for name, summary in measures.items()
    )


def _start(told: dict[str, Any]) -> str:
    """What the first of a history's steps started from, in words."""
    if "mean_of" in told:
        return _start(told["mean_of"][0])
    earlier = told.get("started_from")
    if isinstance(earlier, dict):
        if "published" not in earlier:
            return _start(earlier)
        photos = f" ({earlier['photos']:,} photos)" if "photos" in earlier else ""
        return f"{earlier['published']}{photos}"
    return str(earlier or "VGG16's own weights")


def _mean(told: dict[str, Any]) -> str:
    """Of what the weights are the mean, where they are."""
    if "mean_of" not in told:
        return ""
    names = (each.get("published") or each["config"]["name"] for each in told["mean_of"])
    return f" The weights are the mean of {' and '.join(names)}."
