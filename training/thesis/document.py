"""The document of the thesis's experiment: every sentence of a result is made from the figures."""

from ..intervals import percent, told
from ..report import table
from .experiment import MODELS
from .figures import Figures
from .models import TRAIN_LOSS_PHOTOS
from .verdicts import ACCURACY, SPLIT_NAMES, Claim, against_grey, claims, counted, gap


def document(figures: Figures, images: str = "images") -> str:
    """Write the document, Markdown; `images` is the folder of its pictures as it names it."""
    chosen = MODELS[figures.chosen].replace("without", "without regularisation")
    seconds = sum(m.seconds for four in (figures.models, *figures.others) for m in four.values())
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
        "which trains the four models and measures them. Its configuration (by default "
        "`training/configs/thesis.toml`) marks each choice that the thesis is silent on. Every "
        "figure below is of that run.",
        "## The run",
        "\n".join([
            f"- **Machine:** {figures.machine}; {seconds / 60:.1f} minutes of training for all, "
            f"{figures.measuring_seconds / 60:.1f} of measuring.",
            f"- **Length:** {counted(figures.epochs)} of {counts['train']:,} photos. The thesis: "
            f"{figures.epochs_thesis:,} epochs of more than 24,000; `--epochs` and `[thesis] "
            f"train_photos` set it.{_shortened(figures)}",
            f"- **Network:** encoder frozen, its layers' outputs computed once; decoder and head "
            f"of {figures.parameters:,} parameters (widths {widths}). Learning rate "
            f"{s['learning_rate']:g}, batches of {s['batch']:g}. {_seeds(figures)}",
            f"- **Regularisation:** L1 {s['l1']:g}, L2 {s['l2']:g}, on every convolution's kernel.",
        ]),
        _photos_table(figures),
        "All figures are at 56 × 56, the network's own output. Best weights are those of the "
        "lowest loss on the validation photos; the test photos decide nothing. Intervals are 95%, "
        "bootstrapped over photos.",
        "## What is reproduced",
        "*Reproduced*: the whole 95% interval lies beyond the mark that counts, or, for the "
        "accuracy, reaches the thesis's figure. A photo's loss is the mean over seeds; training "
        f"photos' is that of {min(TRAIN_LOSS_PHOTOS, counts['train']):,} of them, evenly spaced, "
        "taken as it is.",
        _claims_table(found),
        "## Overfitting",
        f"![Training and validation loss by epoch]({images}/thesis-curves.png)",
        "Losses in the curve are as training sees them: of training, over the epoch as the "
        "weights move; of validation, at its end. Those in the table are all of finished weights.",
        "## With and without regularisation",
        against_grey(figures),
        _models_table(figures),
        *_by_seed(figures),
        f"![The same photos by the four models]({images}/thesis-models.jpg)",
        "Photos from `samples/` ([sources](../../samples/SOURCES.md)) at their own size, by the "
        "best weights, chroma enlarged bilinearly.",
        "## Accuracy as the thesis measures it",
        "Keras's \"accuracy\" on two channels: the share of pixels where the larger one of a and "
        "b is the same in answer and truth. Beside it: the better of the two constant answers. "
        f"Model: {chosen}, the one of the lowest validation loss, by its best weights.",
        _accuracy_table(figures),
        "## The known failures",
        f"Each measure over {counts['val'] + counts['test']:,} validation and test photos, by the "
        "best weights. Relative error is the ab error over the truth's chroma, each summed "
        "over the region's pixels in all photos: 1 for grey. Bundled: version "
        f"{figures.bundled_version} of the model that is served, by its default vividness, at "
        "the same size.",
        _failures_table(figures),
        "\n".join([
            "- *Colourfulness*: Hasler & Süsstrunk 2003, mean of answers over mean of truths.",
            "- *Brown*: the share of chroma with a hue angle of 40° to 100°, answer less truth.",
            "- *Skin*: pixels with Cb in [77, 127] and Cr in [133, 173] (Chai & Ngan 1999) on "
            "photos of people; *clothes*: what isn't skin there, background included.",
            "- *Hue entropy*: of 16 hue bins of the truth, weighted by chroma; Spearman's rank "
            "correlation with the relative error of each photo.",
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


def _shortened(figures: Figures) -> str:
    if figures.epochs >= figures.epochs_thesis:
        return ""
    return (
        " So short a run shows how the four begin: what isn't found in it may yet come with the "
        "thesis's length, and what is found may be a lack of training."
    )


def _seeds(figures: Figures) -> str:
    first, *others = figures.seeds
    if not others:
        return f"Seed {first}: the same start and order of photos for all four."
    return (
        f"Seeds {', '.join(map(str, figures.seeds))}: by each the same start and order of photos "
        f"for all four. Curves, tables and pictures are by seed {first} unless they say otherwise."
    )


def _by_seed(figures: Figures) -> list[str]:
    """A table of what another seed changes, where there is one."""
    if not figures.others:
        return []
    shown = ("last validation loss", "best validation gain, dB")
    head = ["", *(f"{what}, seed {seed}" for what in shown for seed in figures.seeds)]
    lines = []
    for name, label in MODELS.items():
        models = [figures.models[name], *(four[name] for four in figures.others)]
        losses = [f"{m.last.val_loss:.5f}" for m in models]
        lines.append([label, *losses, *(told(m.best.val_gain, sign="+") for m in models)])
    return ["What another seed changes:", table(head, lines, (0,))]


def _photos_table(figures: Figures) -> str:
    kinds = sorted({k for kinds in figures.photos.values() for k in kinds})
    lines = [
        [SPLIT_NAMES[s], f"{sum(n.values()):,}", *(f"{n.get(k, 0):,}" for k in kinds)]
        for s, n in figures.photos.items()
    ]
    return table(["photos", "all", *kinds], lines, (0,))


def _claims_table(found: list[Claim]) -> str:
    rows = [[c.title, f"**{c.verdict}**", c.text] for c in found]
    return table(["the thesis", "here", "by"], rows, range(3))


def _models_table(figures: Figures) -> str:
    head = ["", "training loss", "validation loss", "gap", "test loss", "validation accuracy",
            "test accuracy", "validation gain, dB", "test gain, dB"]  # fmt: skip
    grey = [f"{figures.grey_loss[s]:.5f}" for s in ("val", "test")]
    lines = [["grey answers", "", grey[0], "", grey[1], "", "", "0", "0"]]
    for which in ("best", "last"):
        for name, label in MODELS.items():
            model = figures.models[name]
            x = model.best if which == "best" else model.last
            last = len(model.train_curve)
            epoch = f"epoch {model.best_epoch if which == 'best' else last}"
            lines.append([
                f"{label}, {which} ({epoch})", f"{x.train_loss:.5f}", f"{x.val_loss:.5f}",
                f"{gap(x):+.0%}", f"{x.test_loss:.5f}",
                percent(x.val_accuracy), percent(x.test_accuracy),
                told(x.val_gain, sign="+"), told(x.test_gain, sign="+"),
            ])  # fmt: skip
    return table(head, lines, (0,))


def _accuracy_table(figures: Figures) -> str:
    lines = []
    for split in ("test", "val"):
        for kind, x in figures.accuracy[split].items():
            name = f"{SPLIT_NAMES[split]}, {kind}"
            thesis = f"{ACCURACY[split]:.0%}" if kind == "all" else ""
            over = f"{100 * (x.accuracy[0] - x.constant):+.1f}"
            lines.append(
                [name, f"{x.photos:,}", percent(x.accuracy), f"{x.constant:.1%}", over, thesis]
            )
    head = ["photos", "n", "accuracy", "best constant", "points over it", "thesis"]
    return table(head, lines, (0,))


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
        all_of_them = (*(figures.models[n].failures for n in MODELS), figures.bundled)
        lines.append([label, *(told(each[key], digits) for each in all_of_them)])
    return table(["measure", *MODELS.values(), "bundled"], lines, (0,))
