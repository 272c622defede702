"""Pictures of the thesis's experiment: curves, the four models side by side, the failures."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_store.chroma import upsample_ab
from model_store.lab import lab_to_srgb
from training.config import Config
from training.data import DataError, evenly_spaced
from training.run import Run
from training.thesis import MODELS
from training.thesis_measures import Figures, PhotoMeasures, Sample, colour_samples, parting

Image = NDArray[np.uint8]
CELL = (112, 150)  # height, width
CAPTION = 20


def draw(
    folder: Path,
    figures: Figures,
    photos: list[PhotoMeasures],
    shown: list[Path],
    configs: dict[str, Config],
    runs: dict[str, Run],
) -> None:
    """Draw all pictures of the document; photos are the chosen model's, `shown` may be published.

    Raises DataError when there is no photo to show.
    """
    if not shown:
        raise DataError("no photos to show: check --pictures")
    people = configs[figures.chosen].thesis.people
    samples = colour_samples(shown, people, configs, runs, figures.chosen)
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
    y = np.array([p.error for p in photos])
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
    titles = ["grey", *MODELS.values(), "truth"]
    lines = [np.hstack([_caption(t) for t in titles])]
    for i in evenly_spaced(len(samples), wanted):
        s = samples[i]
        answers = [_coloured(s, s.answers[name]) for name in MODELS]
        lines.append(np.hstack([_cell(x) for x in (_grey(s), *answers, s.truth)]))
    _write(path, np.vstack(lines))


def draw_failures(path: Path, samples: list[Sample], chosen: str, wanted: int = 2) -> None:
    """For each failure the photos that show it most: grey | the model's | truth, with the measure.

    A failure that no photo can show (no skin, no sky) has no line.
    """
    measures: dict[str, Callable[[PhotoMeasures], float]] = {
        "muted: colourfulness / truth": lambda m: -m.colourfulness / max(m.colourfulness_truth, 1),
        "skin: error / chroma": lambda m: m.skin_error,
        "many colours: hue entropy, bits": lambda m: m.hue_entropy,
        "blobs: share of pixels": lambda m: m.blobs,
        "sky: gradient / truth": lambda m: m.sky_gradient / max(m.sky_gradient_truth, 1e-3),
    }
    lines = []
    for title, measure in measures.items():
        values = {s.name: measure(s.measures) for s in samples}
        shown = [s for s in samples if np.isfinite(values[s.name])]
        shown = sorted(shown, key=lambda s: -values[s.name])[:wanted]
        if not shown:
            continue
        cells = []
        for s in shown:
            row = [_cell(x) for x in (_grey(s), _coloured(s, s.answers[chosen]), s.truth)]
            text = f"{title} {abs(values[s.name]):.2f}"
            cells.append(np.vstack([_caption(text, 3 * CELL[1]), np.hstack(row)]))
        while len(cells) < wanted:
            cells.append(np.full_like(cells[0], 255))
        lines.append(np.hstack(cells))
    _write(path, np.vstack(lines))


def _grey(s: Sample) -> Image:
    return np.asarray(lab_to_srgb(s.L, np.zeros((*s.L.shape, 2), np.float32)), np.uint8)


def _coloured(s: Sample, ab: NDArray[np.float32]) -> Image:
    # Plain upsampling: the thesis has no post-processing.
    return np.asarray(lab_to_srgb(s.L, upsample_ab(ab, s.L, radius=0, eps=1e-3)), np.uint8)


def _cell(image: Image) -> Image:
    tile = np.full((*CELL, 3), 255, np.uint8)
    scale = min((CELL[0] - 2) / image.shape[0], (CELL[1] - 2) / image.shape[1])
    size = (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    top, left = (CELL[0] - size[1]) // 2, (CELL[1] - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _caption(text: str, width: int = CELL[1]) -> Image:
    tile = np.full((CAPTION, width, 3), 255, np.uint8)
    cv2.putText(tile, text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _write(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
