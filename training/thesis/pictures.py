"""Pictures of the thesis's experiment: curves, the four models side by side, the failures."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.store.contract import GuidedFilter

from ..contact_sheet import sheet
from ..data import evenly_spaced
from ..errors import DataError
from .curves import parting
from .experiment import MODELS
from .figures import Figures
from .photo import PhotoMeasures
from .samples import Sample, colour_samples

Image = NDArray[np.uint8]
HEIGHT = 112  # pixels, of a photo
CAPTION = 20


def draw(
    folder: Path,
    figures: Figures,
    photos: list[PhotoMeasures],
    shown: list[Path],
    people: tuple[str, ...],
    runs: Path,
) -> None:
    """Draw all pictures of the document; photos are the chosen model's, `shown` may be published.

    people: which of these show people. runs: the folder of the four.
    Raises DataError when there is no photo to show.
    """
    if not shown:
        raise DataError("no photos to show: check --pictures")
    samples = colour_samples(shown, people, runs, figures.chosen)
    draw_curves(folder / "thesis-curves.png", figures)
    draw_hues(folder / "thesis-hues.png", photos)
    draw_models(folder / "thesis-models.jpg", samples)
    draw_failures(folder / "thesis-failures.jpg", samples, figures.chosen)


def draw_curves(path: Path, figures: Figures) -> None:
    """The overfitting curve of the model without regularisation, and all four beside it."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    none = figures.models["none"]
    epochs = range(1, len(none.train_curve) + 1)
    left.plot(epochs, none.train_curve, label="training")
    left.plot(epochs, none.val_curve, label="validation")
    if epoch := parting(none.train_curve, none.val_curve):
        left.axvline(epoch, color="grey", linestyle=":", label=f"parted, epoch {epoch}")
    left.set(xlabel="epoch", ylabel="mean squared error of ab/128", title="without regularisation")
    left.legend()
    for i, (name, label) in enumerate(MODELS.items()):
        model, colour = figures.models[name], f"C{i}"
        epochs = range(1, len(model.train_curve) + 1)
        right.plot(epochs, model.train_curve, color=colour, linestyle="--", linewidth=1)
        right.plot(epochs, model.val_curve, color=colour, label=label)
    right.set(xlabel="epoch", title="all four: validation solid, training dashed")
    right.legend()
    # The first epochs' losses are far above the rest, and would flatten it.
    curves = [v for m in figures.models.values() for v in (*m.train_curve[1:], *m.val_curve[1:])]
    if curves:
        for axes in (left, right):
            axes.set_ylim(0, 1.15 * float(np.percentile(curves, 98)))
    _save(figure, path)


def draw_hues(path: Path, photos: list[PhotoMeasures]) -> None:
    """Relative error against the hue entropy of the truth, a point a photo, means by fifths."""
    x = np.array([p.hue_entropy for p in photos])
    y = np.array([p.relative_error for p in photos])
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(x, y, s=6, alpha=0.35, label="a photo")
    order = np.argsort(x)
    fifths = [part for part in np.array_split(order, 5) if part.size]
    axes.plot([x[p].mean() for p in fifths], [y[p].mean() for p in fifths], "o-", color="C1",
              label="means by fifths")  # fmt: skip
    axes.axhline(1, color="grey", linestyle=":", label="grey")
    axes.set(xlabel="hue entropy of the truth, bits", ylabel="ab error / chroma of the truth")
    axes.set_ylim(0, float(np.percentile(y, 99)) * 1.1)
    axes.legend()
    _save(figure, path)


def draw_models(path: Path, samples: list[Sample], wanted: int = 8) -> None:
    """The same photos by all four models: grey | without | L1 | L2 | L1 and L2 | truth."""
    chosen = [samples[i] for i in evenly_spaced(len(samples), wanted)]
    groups = [[_grey(s), *(_coloured(s, s.answers[n]) for n in MODELS), s.truth] for s in chosen]
    cells = sheet(groups, HEIGHT, across=1)
    titles = ["grey", *MODELS.values(), "truth"]
    _write(path, np.vstack([_captions(titles, HEIGHT * 4 // 3, cells.shape[1]), cells]))


def draw_failures(path: Path, samples: list[Sample], chosen: str, wanted: int = 2) -> None:
    """For each failure the photos that show it most: grey | the model's | truth, with the measure.

    A failure that no photo can show (no skin, no sky) has no line.
    """
    measures: dict[str, Callable[[PhotoMeasures], float]] = {
        "muted: colourfulness / truth": lambda m: -m.colourfulness / max(m.colourfulness_truth, 1),
        "skin: error / chroma": lambda m: m.relative_skin_error,
        "many colours: hue entropy, bits": lambda m: m.hue_entropy,
        "blobs: share of pixels": lambda m: m.blobs,
        "sky: gradient / truth": lambda m: m.sky_gradient / max(m.sky_gradient_truth, 1e-3),
    }
    lines = []
    for title, measure in measures.items():
        ranked = [(measure(s.measures), s) for s in samples]
        ranked = [(value, s) for value, s in ranked if np.isfinite(value)]
        shown = sorted(ranked, key=lambda each: -each[0])[:wanted]
        if not shown:
            continue
        groups = [[_grey(s), _coloured(s, s.answers[chosen]), s.truth] for _, s in shown]
        cells = sheet(groups, HEIGHT, across=wanted)
        texts = [f"{title} {abs(value):.2f}" for value, _ in shown]
        lines += [_captions(texts, cells.shape[1] // wanted, cells.shape[1]), cells]
    _write(path, np.vstack(lines))


def _grey(s: Sample) -> Image:
    return np.asarray(lab_to_srgb(s.L, np.zeros((*s.L.shape, 2), np.float32)), np.uint8)


def _coloured(s: Sample, ab: NDArray[np.float32]) -> Image:
    # Plain upsampling: the thesis has no post-processing.
    ab = enlarge_ab(ab, s.L, method="none", guided=GuidedFilter(radius=0, eps=1e-3))
    return np.asarray(lab_to_srgb(s.L, ab), np.uint8)


def _captions(texts: list[str], step: int, width: int) -> Image:
    """A strip of captions, one every `step` pixels."""
    strip = np.full((CAPTION, width, 3), 255, np.uint8)
    for i, text in enumerate(texts):
        place = (4 + i * step, 14)
        cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
