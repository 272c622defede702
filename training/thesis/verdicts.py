"""The sentences on results: what of the thesis is found again, each made from the figures."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..intervals import Interval, percent, told
from .curves import PART_MARGIN, parting
from .experiment import MODELS
from .figures import Figures, Scores
from .measures import SPLITS

ACCURACY = {"test": 0.83, "val": 0.76}  # the thesis's
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
BLOB_SHARE = 0.01  # of pixels: more than this is a failure


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


def gap(scores: Scores) -> float:
    """How far the validation loss is above the training loss, of the same weights."""
    return scores.val_loss / scores.train_loss - 1


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


def counted(epochs: int) -> str:
    """So many epochs, in words."""
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _overfitting(figures: Figures) -> Claim:
    none = figures.models["none"]
    parted = parting(none.train_curve, none.val_curve)
    rise_after = figures.compared["none"].rise
    lowest = min(none.val_curve)
    epoch = none.val_curve.index(lowest) + 1
    rise = none.val_curve[-1] / lowest - 1
    end = f"and ends {rise:.1%} above that" if epoch < len(none.val_curve) else "the last one"
    where = (
        f"Training and validation loss part at epoch {parted} of {len(none.train_curve)}"
        if parted
        else f"Training and validation loss haven't parted within {counted(len(none.train_curve))}"
    )
    return Claim(
        "Without regularisation the model overfits",
        rise_after[1] > 0 if math.isfinite(rise_after[1]) else None,
        f"{where}: counted is where, after they come closest by ratio, that ratio stays more "
        f"than {PART_MARGIN:.0%} above its lowest, and above 1, to the end. Validation loss is "
        f"lowest at epoch {epoch}, {end}; by the last weights it is "
        f"{none.last.val_loss:.5f}, training loss {none.last.train_loss:.5f}. On test photos "
        f"the last weights' loss is {percent(rise_after, '+')} against that of the best; "
        f"above 0 counts.",
    )


def _gaps(figures: Figures) -> Claim:
    title = "Regularisation narrows the gap between training and validation loss"
    base = figures.compared["none"].gap
    others = {n: c for n, c in figures.compared.items() if n != "none"}
    listed = ", ".join(f"{MODELS[n]} {percent(c.gap, '+')}" for n, c in others.items())
    text = (
        f"After the last epoch validation loss over training loss is {percent(base, '+')} without "
        f"regularisation; with {listed}."
    )
    if not base[1] > 0:
        return Claim(title, None, f"{text} There is no gap to narrow.")
    narrower = [MODELS[n] for n, c in others.items() if c.narrowing[2] < 1]
    return Claim(
        title,
        bool(narrower),
        f"{text} Narrower, by the gaps' ratio: {', '.join(narrower) or 'none'}.",
    )


def _validation_loss(figures: Figures) -> Claim:
    base = figures.models["none"].last.val_loss
    changes = {n: c.change for n, c in figures.compared.items() if n != "none"}
    lower = [MODELS[n] for n, x in changes.items() if x[2] < 0]
    listed = ", ".join(f"{MODELS[n]} {percent(x, '+')}" for n, x in changes.items())
    measured = all(math.isfinite(x[2]) for x in changes.values())
    return Claim(
        "Regularisation lowers the validation loss",
        bool(lower) if measured else None,
        f"Against {base:.5f} without, after the last epoch: {listed}. Lower: "
        f"{', '.join(lower) or 'none'}.",
    )


def _accuracy(figures: Figures, split: str) -> Claim:
    title = f"{ACCURACY[split]:.0%} accuracy on {SPLIT_NAMES[split]} photos"
    found = figures.accuracy[split].get("all")
    if found is None or not math.isfinite(found.accuracy[0]):
        return Claim(title, None, "No such photos.")
    wanted = ACCURACY[split]
    reached = found.accuracy[2] >= wanted if math.isfinite(found.accuracy[2]) else None
    difference = 100 * (found.accuracy[0] - wanted)
    over = 100 * (found.accuracy[0] - found.constant)
    return Claim(
        title,
        reached,
        f"{percent(found.accuracy)} on {found.photos:,} photos, {difference:+.1f} points from "
        f"the thesis's. The best constant answer gets {found.constant:.1%}: the model gets "
        f"{abs(over):.1f} points {'more' if over > 0 else 'less'} than that."
        f"{' Too few photos to tell.' if reached is None else ''}",
    )


def _worse(error: Interval) -> str:
    """What a relative error above that of a grey answer means."""
    return " (grey: 1, so worse than no colour)" if error[0] > 1 else " (grey: 1)"


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
            f"Relative error of scenery {told(f['scenery_error'])}{_worse(f['scenery_error'])}, "
            f"{told(f['scenery_excess'], sign='+')} against all other photos.",
        ),
        claim(
            "Muted tones",
            "colourfulness",
            lambda: f["colourfulness"][2] < 0.9,
            f"Colourfulness is {told(f['colourfulness'])} of the truth's; below 0.9 counts.",
        ),
        claim(
            "Sepia tones",
            "brown",
            lambda: f["brown"][1] > 0,
            f"The share of chroma between orange and yellow differs by "
            f"{told(f['brown'], sign='+')} from the truth's; above 0 counts.",
        ),
        claim(
            "Skin",
            "skin_excess skin_chroma",
            lambda: f["skin_excess"][1] > 0,
            f"Relative error on skin {told(f['skin_error'])}{_worse(f['skin_error'])}, "
            f"{told(f['skin_excess'], sign='+')} against scenery (above 0 counts); chroma "
            f"{told(f['skin_chroma'])} of the truth's.",
        ),
        claim(
            "Clothes (what isn't skin on photos of people, background included)",
            "rest_excess rest_chroma",
            lambda: f["rest_excess"][1] > 0,
            f"Relative error {told(f['rest_error'])}{_worse(f['rest_error'])}, "
            f"{told(f['rest_excess'], sign='+')} against scenery (above 0 counts); chroma "
            f"{told(f['rest_chroma'])} of the truth's.",
        ),
        claim(
            "Multicoloured objects",
            "entropy",
            lambda: f["entropy"][1] > 0,
            f"Rank correlation of the truth's hue entropy with relative error "
            f"{told(f['entropy'], sign='+')}; above 0 counts.",
        ),
        claim(
            "Blobs",
            "blobs",
            lambda: f["blobs"][1] > BLOB_SHARE,
            f"{percent(f['blobs'])} of pixels lie in coloured patches that the truth hasn't; "
            f"more than {BLOB_SHARE:.0%} counts.",
        ),
        claim(
            "Choppy gradients",
            "sky",
            lambda: f["sky"][1] > 1,
            f"In smooth skies the gradient of ab is {told(f['sky'])} times the truth's; "
            f"above 1 counts.",
        ),
    ]


def against_grey(figures: Figures) -> str:
    """Say plainly whether the best weights' answers are better than grey ones, by split."""
    sentences = []
    chosen = figures.models[figures.chosen].best
    for split in SPLITS:
        gains = {n: getattr(m.best, f"{split}_gain") for n, m in figures.models.items()}
        if not all(math.isfinite(g[0]) for g in gains.values()):
            continue
        listed = ", ".join(f"{MODELS[n]} {told(g, sign='+')}" for n, g in gains.items())
        groups = {
            "worse than leaving a photo grey": [n for n, g in gains.items() if g[2] < 0],
            "better than leaving a photo grey": [n for n, g in gains.items() if g[1] > 0],
            "not told apart from grey": [n for n, g in gains.items() if g[1] <= 0 <= g[2]],
            "measured on too few photos to tell": [
                n for n, g in gains.items() if not math.isfinite(g[1])
            ],
        }
        said = "; ".join(
            f"all four are {words}"
            if len(names) == len(gains)
            else f"{words}: {', '.join(MODELS[n] for n in names)}"
            for words, names in groups.items()
            if names
        )
        loss, grey = getattr(chosen, f"{split}_loss"), figures.grey_loss[split]
        sentences.append(
            f"Mean gain over grey on the {SPLIT_NAMES[split]} photos, dB: {listed}. By it, {said}. "
            f"In squared error, which training lowers, {MODELS[figures.chosen]} is "
            f"{abs(loss / grey - 1):.1%} {'above' if loss > grey else 'below'} grey."
        )
    if not sentences:
        return "Gain over grey wasn't measured."
    bullets = "\n".join(f"- {sentence}" for sentence in sentences)
    return (
        f"{bullets}\n\nThe gain is a mean over photos of decibels, in which one of hardly any "
        "colour counts as much as a colourful one; squared error is mostly that of the colourful."
    )
