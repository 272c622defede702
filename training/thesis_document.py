"""The document of the thesis's experiment: every sentence of a result is made from the figures."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from training.thesis import MODELS
from training.thesis_measures import (
    BLOB_SHARE,
    PART_MARGIN,
    Figures,
    Interval,
    ModelFigures,
    parting,
)

ACCURACY = {"test": 0.83, "val": 0.76}  # the thesis's
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
GAP_SHARE = 0.9  # a gap narrowed to this share of that without regularisation counts
LOSS_SHARE = 0.99  # so does a validation loss lowered to this share


@dataclass(frozen=True)
class Claim:
    """A finding of the thesis, whether it is found here too (None: not measured), and by what."""

    title: str
    reproduced: bool | None
    text: str

    @property
    def verdict(self) -> str:
        """In words."""
        if self.reproduced is None:
            return "not measured"
        return "reproduced" if self.reproduced else "not reproduced"


def _percent(x: Interval) -> str:
    return f"{100 * x[0]:.1f}% [{100 * x[1]:.1f}, {100 * x[2]:.1f}]"


def _number(x: Interval, digits: int = 2, sign: str = "") -> str:
    return f"{x[0]:{sign}.{digits}f} [{x[1]:{sign}.{digits}f}, {x[2]:{sign}.{digits}f}]"


def _gap(model: ModelFigures) -> float:
    """How far the validation loss is above the training loss, both of the last weights."""
    return model.last.val_loss / model.last.train_loss - 1


def claims(figures: Figures) -> list[Claim]:
    """Compare each finding of the thesis with the figures."""
    return [
        _overfitting(figures),
        _gaps(figures),
        _validation_loss(figures),
        _accuracy(figures, "test"),
        _accuracy(figures, "val"),
        *_failures(figures.models[figures.chosen].failures),
    ]


def _overfitting(figures: Figures) -> Claim:
    none = figures.models["none"]
    parted = parting(none.train_curve, none.val_curve)
    lowest = min(none.val_curve)
    epoch = none.val_curve.index(lowest) + 1
    rise = none.val_curve[-1] / lowest - 1
    where = (
        f"Training and validation loss part at epoch {parted} of {len(none.train_curve)}"
        if parted
        else f"Training and validation loss haven't parted within {len(none.train_curve)} epochs"
    )
    return Claim(
        "Without regularisation the model overfits",
        parted is not None,
        f"{where}: counted is where, after they come closest by ratio, that ratio stays more "
        f"than {PART_MARGIN:.0%} above its lowest, and above 1, to the end. Validation loss is "
        f"lowest at epoch {epoch} and ends {rise:.1%} above that; by the last weights it is "
        f"{none.last.val_loss:.5f}, training loss {none.last.train_loss:.5f}.",
    )


def _gaps(figures: Figures) -> Claim:
    gap = _gap(figures.models["none"])
    gaps = {n: _gap(m) for n, m in figures.models.items() if n != "none"}
    narrower = [MODELS[n] for n, g in gaps.items() if g < GAP_SHARE * gap]
    listed = ", ".join(f"{MODELS[n]} {g:.0%}" for n, g in gaps.items())
    return Claim(
        "Regularisation narrows the gap between training and validation loss",
        bool(narrower),
        f"After the last epoch validation loss is {gap:.0%} above training loss without "
        f"regularisation; with {listed}. Narrower by a tenth or more: "
        f"{', '.join(narrower) or 'none'}.",
    )


def _validation_loss(figures: Figures) -> Claim:
    base = figures.models["none"].last.val_loss
    losses = {n: m.last.val_loss for n, m in figures.models.items() if n != "none"}
    lower = [MODELS[n] for n, x in losses.items() if x < LOSS_SHARE * base]
    listed = ", ".join(f"{MODELS[n]} {x / base - 1:+.1%}" for n, x in losses.items())
    return Claim(
        "Regularisation lowers the validation loss",
        bool(lower),
        f"Against {base:.5f} without, after the last epoch: {listed}. Lower by 1% or more: "
        f"{', '.join(lower) or 'none'}.",
    )


def _accuracy(figures: Figures, split: str) -> Claim:
    title = f"{ACCURACY[split]:.0%} accuracy on {SPLIT_NAMES[split]} photos"
    found = figures.accuracy[split].get("all")
    if found is None or not math.isfinite(found.accuracy[0]):
        return Claim(title, None, "No such photos.")
    wanted = ACCURACY[split]
    reached = found.accuracy[2] >= wanted
    difference = 100 * (found.accuracy[0] - wanted)
    over = 100 * (found.accuracy[0] - found.constant)
    return Claim(
        title,
        reached,
        f"{_percent(found.accuracy)} on {found.photos:,} photos, {difference:+.1f} points from "
        f"the thesis's. The best constant answer gets {found.constant:.1%}: the model is worth "
        f"{over:+.1f} points.",
    )


def _failures(f: dict[str, Interval]) -> list[Claim]:
    def claim(title: str, keys: str, holds: Callable[[], bool], text: str) -> Claim:
        if not all(math.isfinite(x) for k in keys.split() for x in f[k]):
            return Claim(title, None, "Too few photos of it.")
        return Claim(title, holds(), text)

    return [
        claim(
            "Scenery is coloured better than the rest",
            "scenery_excess",
            lambda: f["scenery_excess"][2] < 0,
            f"Relative error of scenery {_number(f['scenery_error'])} (grey: 1), "
            f"{_number(f['scenery_excess'], sign='+')} against all other photos.",
        ),
        claim(
            "Muted tones",
            "colourfulness",
            lambda: f["colourfulness"][2] < 0.9,
            f"Colourfulness is {_number(f['colourfulness'])} of the truth's; below 0.9 counts.",
        ),
        claim(
            "Sepia tones",
            "brown",
            lambda: f["brown"][1] > 0,
            f"The share of chroma between orange and yellow differs by "
            f"{_number(f['brown'], sign='+')} from the truth's; above 0 counts.",
        ),
        claim(
            "Skin",
            "skin_excess skin_chroma",
            lambda: f["skin_excess"][1] > 0,
            f"Relative error on skin {_number(f['skin_error'])}, "
            f"{_number(f['skin_excess'], sign='+')} against scenery (above 0 counts); chroma "
            f"{_number(f['skin_chroma'])} of the truth's.",
        ),
        claim(
            "Clothes (what isn't skin on photos of people, background included)",
            "rest_excess rest_chroma",
            lambda: f["rest_excess"][1] > 0,
            f"Relative error {_number(f['rest_error'])}, "
            f"{_number(f['rest_excess'], sign='+')} against scenery (above 0 counts); chroma "
            f"{_number(f['rest_chroma'])} of the truth's.",
        ),
        claim(
            "Multicoloured objects",
            "entropy",
            lambda: f["entropy"][1] > 0,
            f"Rank correlation of the truth's hue entropy with relative error "
            f"{_number(f['entropy'], sign='+')}; above 0 counts.",
        ),
        claim(
            "Blobs",
            "blobs",
            lambda: f["blobs"][1] > BLOB_SHARE,
            f"{_percent(f['blobs'])} of pixels lie in coloured patches that the truth hasn't; "
            f"more than {BLOB_SHARE:.0%} counts.",
        ),
        claim(
            "Choppy gradients",
            "sky",
            lambda: f["sky"][1] > 1,
            f"In smooth skies the gradient of ab is {_number(f['sky'])} times the truth's; "
            f"above 1 counts.",
        ),
    ]


def document(figures: Figures, images: str = "images") -> str:
    """Write the document, Markdown; `images` is the folder of its pictures as it names it."""
    chosen = MODELS[figures.chosen].replace("without", "without regularisation")
    seconds = sum(m.seconds for m in figures.models.values())
    found = claims(figures)
    counts = {s: sum(kinds.values()) for s, kinds in figures.photos.items()}
    s = figures.settings
    widths = ", ".join(f"{n} at {k.removeprefix('width_')}" for k, n in figures.widths.items())
    parts = [
        "# The thesis, reproduced",
        "T. Zaman, *Image Colorization with Deep CNNs* (University of Dhaka, 2020): VGG16's first "
        "18 layers as encoder, a decoder of upsampling and deconvolution with residual "
        "connections, squared error on (a, b)/128, L1 and L2 against overfitting. This page and "
        "its pictures are written by",
        f"```sh\n{figures.command}\n```",
        "which trains the four models with `training/configs/thesis.toml`, where each choice that "
        "the thesis is silent on is marked, and measures them. Every figure below is of that run.",
        "## The run",
        "\n".join([
            f"- **Machine:** {figures.machine}; {seconds / 60:.1f} minutes of training for the "
            f"four, {figures.measuring_seconds / 60:.1f} of measuring.",
            f"- **Length:** {figures.epochs} epochs of {counts['train']:,} photos. The thesis: "
            f"{figures.epochs_thesis:,} epochs of more than 24,000; `--epochs` and `[thesis] "
            "train_photos` set it.",
            f"- **Network:** encoder frozen, its layers' outputs computed once; decoder and head "
            f"of {figures.parameters:,} parameters (widths {widths}). Learning rate "
            f"{s['learning_rate']:g}, batches of {s['batch']:g}, seed {s['seed']:g}: the same "
            "start and order of photos for all four.",
            f"- **Regularisation:** L1 {s['l1']:g}, L2 {s['l2']:g}, on every convolution's kernel.",
        ]),
        _photos_table(figures),
        "All figures are at 56 × 56, the network's own output. Best weights are those of the "
        "highest gain over grey on the validation photos, or their mean with the last ones where "
        "that is higher; the test photos decide nothing. Intervals are 95%, bootstrapped over "
        "photos.",
        "## What is reproduced",
        _claims_table(found),
        "## Overfitting",
        f"![Training and validation loss by epoch]({images}/thesis-curves.png)",
        "Losses in the curve are as training sees them: of training, over the epoch as the "
        "weights move; of validation, at its end. Those in the table are all of finished weights.",
        "## With and without regularisation",
        _models_table(figures),
        f"![The same photos by the four models]({images}/thesis-models.jpg)",
        "Photos from `samples/` ([sources](../samples/SOURCES.md)) at their own size, by the best "
        "weights, chroma enlarged bilinearly.",
        "## Accuracy as the thesis measures it",
        "Keras's \"accuracy\" on two channels: the share of pixels where the larger one of a and "
        "b is the same in answer and truth. Beside it: the better of the two constant answers. "
        f"Model: {chosen}, the one of the lowest validation loss, by its best weights.",
        _accuracy_table(figures),
        "## The known failures",
        f"Each measure over {counts['val'] + counts['test']:,} validation and test photos, by the "
        "best weights. Relative error is the mean ab error over the truth's mean chroma, 1 for "
        "grey.",
        _failures_table(figures),
        "\n".join([
            "- *Colourfulness*: Hasler & Süsstrunk 2003, mean of answers over mean of truths.",
            "- *Brown*: the share of chroma with a hue angle of 40° to 100°, answer less truth.",
            "- *Skin*: pixels with Cb in [77, 127] and Cr in [133, 173] (Chai & Ngan 1999) on "
            "photos of people; *clothes*: what isn't skin there, background included.",
            "- *Hue entropy*: of 16 hue bins of the truth, weighted by chroma; Spearman's rank "
            "correlation with relative error.",
            "- *Blobs*: pixels over 10 units from the mean ab of the 15 × 15 pixels around them, "
            "where the truth is less than 5 units from its own.",
            "- *Sky*: mean gradient of ab in smooth blue sky (upper half, b < −4, L > 40, "
            "gradient of L below 1 a pixel), answer over truth.",
        ]),
        f"![Relative error by hue entropy]({images}/thesis-hues.png)",
        f"![The samples that show each failure most: grey, the model's, truth]({images}/"
        "thesis-failures.jpg)",
        f"The samples with the largest value of each measure: grey | {chosen} | truth.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], lines: list[list[str]]) -> str:
    rule = "| --- " + "| ---: " * (len(head) - 1) + "|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(x)} |" for x in lines)])


def _photos_table(figures: Figures) -> str:
    kinds = sorted({k for kinds in figures.photos.values() for k in kinds})
    lines = [
        [SPLIT_NAMES[s], f"{sum(n.values()):,}", *(f"{n.get(k, 0):,}" for k in kinds)]
        for s, n in figures.photos.items()
    ]
    return _table(["photos", "all", *kinds], lines)


def _claims_table(found: list[Claim]) -> str:
    lines = "\n".join(f"| {c.title} | **{c.verdict}** | {c.text} |" for c in found)
    return "| the thesis | here | by |\n| --- | --- | --- |\n" + lines


def _models_table(figures: Figures) -> str:
    head = ["", "training loss", "validation loss", "gap", "test loss", "validation accuracy",
            "test accuracy", "validation gain, dB", "test gain, dB"]  # fmt: skip
    lines = []
    for which in ("best", "last"):
        for name, label in MODELS.items():
            model = figures.models[name]
            x = model.best if which == "best" else model.last
            epoch = model.best_epoch if which == "best" else len(model.train_curve)
            lines.append([
                f"{label}, {which} (epoch {epoch})", f"{x.train_loss:.5f}", f"{x.val_loss:.5f}",
                f"{x.val_loss / x.train_loss - 1:+.0%}", f"{x.test_loss:.5f}",
                _percent(x.val_accuracy), _percent(x.test_accuracy),
                _number(x.val_gain, sign="+"), _number(x.test_gain, sign="+"),
            ])  # fmt: skip
    return _table(head, lines)


def _accuracy_table(figures: Figures) -> str:
    lines = []
    for split in ("test", "val"):
        for kind, x in figures.accuracy[split].items():
            name = f"{SPLIT_NAMES[split]}, {kind}"
            thesis = f"{ACCURACY[split]:.0%}" if kind == "all" else ""
            over = f"{100 * (x.accuracy[0] - x.constant):+.1f}"
            lines.append(
                [name, f"{x.photos:,}", _percent(x.accuracy), f"{x.constant:.1%}", over, thesis]
            )
    head = ["photos", "n", "accuracy", "best constant", "points over it", "thesis"]
    return _table(head, lines)


FAILURE_NAMES = {
    "colourfulness": "colourfulness / truth",
    "brown": "brown, answer less truth",
    "scenery_error": "relative error, scenery",
    "skin_error": "relative error, skin",
    "rest_error": "relative error, clothes",
    "skin_chroma": "chroma / truth, skin",
    "rest_chroma": "chroma / truth, clothes",
    "entropy": "hue entropy and error, rank correlation",
    "blobs": "blobs, share of pixels",
    "sky": "gradient / truth, sky",
}


def _failures_table(figures: Figures) -> str:
    lines = []
    for key, label in FAILURE_NAMES.items():
        digits = 4 if key == "blobs" else 2
        values = [_number(figures.models[n].failures[key], digits) for n in MODELS]
        lines.append([label, *values])
    return _table(["measure", *MODELS.values()], lines).replace("nan [nan, nan]", "–")
