"""The thesis's experiment: its settings, its document's statements, and a tiny run of it all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.program import train_here
from training.config import read_config
from training.data import Entry
from training.errors import DataError
from training.intervals import Interval
from training.ncnn_encoder import encoder_weights
from training.network import build_encoder
from training.thesis.document import document
from training.thesis.experiment import sample, variants
from training.thesis.figures import Compared, Figures, KindAccuracy, ModelFigures, Scores
from training.thesis.measures import FAILURES
from training.thesis.verdicts import against_grey, claims

ROOT = Path(__file__).parents[2]
CONFIG = """
name = "tiny"
seed = 3
[data]
train = ["train"]
val = ["val"]
test = ["test"]
manifest = "manifest.csv"
[encoder]
weights = "ENCODER"
[views]
plain = true
[decoder]
width_7 = 8
width_14 = 8
width_28 = 8
width_56 = 8
blocks = 0
[train]
epochs = 1500
batch = 3
warmup = 1
weight_decay = 0.0
ema_momentum = 0.0
regression_loss = "mse"
distribution_weight = 0.0
frozen = "ncnn"
cache_gb = 1
[thesis]
epochs = 1
train_photos = 3
l1 = 1e-6
l2 = 1e-4
people = ["astronaut.jpg"]
seeds = [3, 4]
"""


def figures() -> Figures:
    """Figures of a run in which all that the thesis found is found."""
    nothing: Interval = (0.5, 0.4, 0.6)
    failures = dict.fromkeys(FAILURES, nothing) | {
        "scenery_excess": (-0.2, -0.3, -0.1), "colourfulness": (0.6, 0.5, 0.7),
        "blobs": (0.03, 0.02, 0.04), "sky": (1.5, 1.2, 1.8),
    }  # fmt: skip
    half: Interval = (0.8, 0.75, 0.85)

    def model(val_loss: float) -> ModelFigures:
        scores = Scores(0.004, val_loss, 0.009, half, half, nothing, nothing)
        return ModelFigures([9.0, 6, 4], [9.0, 8, 8.5], 2, 60.0, scores, scores, failures)

    accuracy = {"all": KindAccuracy(520, half, 0.7)}
    rise: Interval = (0.02, 0.01, 0.03)
    gap: Interval = (1.5, 1.2, 1.8)
    less: Interval = (-0.2, -0.3, -0.1)
    compared = {
        name: Compared(rise, gap, (0.8, 0.7, 0.9), less) for name in ("none", "l1", "l2", "both")
    }
    return Figures(
        command="python -m training thesis", machine="2 cores", parameters=1, widths={"width_7": 8},
        settings=dict.fromkeys(("learning_rate", "batch", "l1", "l2"), 1.0), seeds=(7,),
        photos={s: {"scenery": 5} for s in ("train", "val", "test")}, epochs=3, epochs_thesis=1500,
        models={"none": model(0.01), "l1": model(0.008), "l2": model(0.0095), "both": model(0.009)},
        others=[], compared=compared, bundled=failures, bundled_version=2, chosen="l1",
        accuracy={"test": accuracy, "val": accuracy},
        measuring_seconds=1.0, grey_loss={"val": 0.01, "test": 0.012},
    )  # fmt: skip


def verdicts(f: Figures) -> dict[str, str]:
    return {c.title.split(" (")[0]: c.verdict for c in claims(f)}


def with_failure(f: Figures, name: str, value: Interval) -> Figures:
    chosen = f.models[f.chosen]
    changed = replace(chosen, failures=chosen.failures | {name: value})
    return replace(f, models=f.models | {f.chosen: changed})


def test_every_finding_is_reproduced_by_figures_that_show_it() -> None:
    assert set(verdicts(figures()).values()) == {"reproduced"}


@pytest.mark.parametrize(
    ("failure", "value", "title"),
    [
        ("scenery_excess", (-0.1, -0.2, 0.05), "Scenery is coloured better than the rest"),
        ("colourfulness", (0.9, 0.8, 1.0), "Muted tones"),
        ("brown", (0.1, -0.02, 0.2), "Sepia tones"),
        ("skin_excess", (-0.1, -0.2, -0.05), "Skin"),
        ("rest_excess", (0.0, -0.1, 0.1), "Clothes"),
        ("entropy", (-0.2, -0.3, -0.1), "Multicoloured objects"),
        ("blobs", (0.001, 0.0, 0.002), "Blobs"),
        ("sky", (0.7, 0.6, 0.8), "Choppy gradients"),
    ],
)
def test_a_verdict_turns_with_its_figure(failure: str, value: Interval, title: str) -> None:
    changed = verdicts(with_failure(figures(), failure, value))
    assert changed.pop(title) == "not reproduced"
    assert set(changed.values()) == {"reproduced"}


def test_overfitting_regularisation_and_accuracy_turn_with_their_figures() -> None:
    f = figures()
    overfits = "Without regularisation the model overfits"
    narrows = "Regularisation narrows the gap between training and validation loss"
    lowers = "Regularisation lowers the validation loss"
    turns: dict[str, dict[str, Interval]] = {
        overfits: {"rise": (0.01, -0.01, 0.03)},
        narrows: {"narrowing": (0.9, 0.7, 1.1)},
        lowers: {"change": (-0.1, -0.2, 0.01)},
    }
    for title, figure in turns.items():
        turned = {n: replace(c, **figure) for n, c in f.compared.items()}
        found = verdicts(replace(f, compared=turned))
        assert found.pop(title) == "not reproduced"
        assert set(found.values()) == {"reproduced"}
    low = {"all": KindAccuracy(520, (0.6, 0.58, 0.62), 0.55)}
    changed = verdicts(replace(f, accuracy={"test": low, "val": {}}))
    assert changed["83% accuracy on test photos"] == "not reproduced"
    assert changed["76% accuracy on validation photos"] == "not measured"


def with_gains(f: Figures, gains: dict[str, Interval]) -> Figures:
    models = {n: replace(m, best=replace(m.best, val_gain=gains[n])) for n, m in f.models.items()}
    return replace(f, models=models)


def test_answers_worse_than_grey_are_called_so() -> None:
    f = figures()
    assert against_grey(f).count("all four are better than leaving a photo grey") == 2
    assert "20.0% below grey" in against_grey(f)
    worse = with_gains(f, dict.fromkeys(f.models, (-0.5, -0.7, -0.3)))
    said = against_grey(worse)
    assert "validation photos, dB: without -0.50 [-0.70, -0.30]" in said
    assert "By it, all four are worse than leaving a photo grey" in said
    assert said in document(worse)
    mixed = with_gains(f, {"none": (-0.5, -0.7, -0.3), "l1": (0.1, -0.1, 0.3),
                           "l2": (0.5, 0.3, 0.7), "both": (-0.1, -0.2, 0.1)})  # fmt: skip
    assert (
        "worse than leaving a photo grey: without; better than leaving a photo grey: L2; "
        "not told apart from grey: L1, L1 and L2." in against_grey(mixed)
    )
    nan = float("nan")
    few = with_gains(f, dict.fromkeys(f.models, (-0.5, nan, nan)))
    assert "all four are measured on too few photos to tell" in against_grey(few)
    above = replace(f, grey_loss={"val": 0.004, "test": 0.012})
    assert "100.0% above grey" in against_grey(above)


def test_without_a_gap_there_is_none_to_narrow() -> None:
    f = figures()
    none = replace(f.compared["none"], gap=(-0.25, -0.35, 0.1))
    found = {c.title: c for c in claims(replace(f, compared=f.compared | {"none": none}))}
    claim = found["Regularisation narrows the gap between training and validation loss"]
    assert claim.verdict == "not measured"
    assert "-25.0% [-35.0, +10.0] without regularisation" in claim.text


def test_a_short_run_is_said_to_be_one() -> None:
    assert "So short a run" in document(figures())
    assert "So short a run" not in document(replace(figures(), epochs=1500))


def test_the_best_weights_are_named_by_their_epochs() -> None:
    f = figures()
    assert "| L1, best (epoch 2) |" in document(f)


def test_the_document_holds_the_figures_and_names_data_and_length() -> None:
    text = document(figures())
    assert "3 epochs of 5 photos. The thesis: 1,500 epochs" in text
    assert "80.0% [75.0, 85.0]" in text
    assert "the model gets 10.0 points more than that" in text
    assert "Training and validation loss part at epoch 2 of 3" in text
    assert "nan" not in text


def test_the_sample_is_each_folders_first_photos_by_hash() -> None:
    entries = [Entry("v", "val", "", "val", "v", 9.0)]
    for folder, count in (("big", 20), ("small", 10)):
        names = [f"{folder}{i:02}" for i in reversed(range(count))]
        entries += [Entry(name, folder, "", "train", name, 9.0) for name in names]
    chosen = [e.file for e in sample(entries, 6)]
    assert chosen == ["v", "big00", "big01", "big02", "big03", "small00", "small01"]
    assert len(sample(entries, None)) == 31
    with pytest.raises(DataError, match="no training photo"):
        sample(entries[:1], 6)


def test_the_configuration_of_the_thesis_is_what_the_thesis_says() -> None:
    config = read_config(ROOT / "training" / "configs" / "thesis.toml")
    assert config.train.epochs == 1500
    assert (config.train.regression_loss, config.train.distribution_weight) == ("mse", 0)
    four = variants(config, 600, 7)
    regularised = {name: (c.decoder.l1 > 0, c.decoder.l2 > 0) for name, c in four.items()}
    assert regularised == {
        "none": (False, False), "l1": (True, False), "l2": (False, True), "both": (True, True),
    }  # fmt: skip
    assert {c.train.epochs for c in four.values()} == {config.thesis.epochs}
    assert {c.train.epochs for c in variants(config, 600, 7, 1500).values()} == {1500}
    # Nothing else regularises the model that goes without.
    none = four["none"]
    assert (none.train.weight_decay, none.train.ema_momentum, none.decoder.dropout) == (0, 0, 0)
    assert none.train.views_per_epoch == 600
    with pytest.raises(DataError, match="batch"):
        variants(config, 3, 7)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    lines = ["file,kind"]
    samples = sorted((ROOT / "samples" / "colour").iterdir())
    for i, path in enumerate(samples[:11]):
        split = "train" if i < 5 else "val" if i < 8 else "test"
        (root / split).mkdir(exist_ok=True)
        shutil.copy(path, root / split / path.name)
        lines.append(f"{split}/{path.name},{'people' if i % 3 else 'scenery'}")
    (root / "shown").mkdir()
    for name in ("astronaut.jpg", "pagoda.jpg"):
        shutil.copy(ROOT / "samples" / "colour" / name, root / "shown" / name)
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


def run(folder: Path, photos: Path, *more: str) -> CompletedProcess[str]:
    encoder = folder / "encoder.npz"
    if not encoder.exists():
        arrays: dict[str, Any] = {}
        for name, (kernel, bias) in encoder_weights(build_encoder("none")).items():
            arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
        np.savez(encoder, **arrays)
    (folder / "tiny.toml").write_text(CONFIG.replace("ENCODER", str(encoder)))
    return train_here(
        *("thesis", "--config", str(folder / "tiny.toml")),
        *("--photos", str(photos), "--run", str(folder / "run")),
        *("--pictures", str(photos / "shown"), "--document", str(folder / "thesis.md"), *more),
    )


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly", "thin")
def test_four_models_are_trained_measured_and_described_and_not_trained_again(
    tmp_path: Path, photos: Path
) -> None:
    done = run(tmp_path, photos)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "thesis.md").read_text()
    assert "1 epoch of 3 photos. The thesis: 1,500 epochs" in text
    measured = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert measured["photos"]["train"].keys() <= {"people", "scenery"}
    assert sum(measured["photos"]["train"].values()) == 3
    assert sum(measured["photos"]["test"].values()) == 3
    starts = {n: m["train_curve"][0] for n, m in measured["models"].items()}
    assert len(starts) == 4
    assert len({round(x, 4) for x in starts.values()}) == 1  # the same start and order of photos
    for model in measured["models"].values():  # what is measured sees what was trained on
        assert model["last"]["val_loss"] == pytest.approx(model["val_curve"][-1], rel=1e-4)
    assert measured["seeds"] == [3, 4]
    assert measured["others"][0]["none"]["train_curve"] != measured["models"]["none"]["train_curve"]
    assert "last validation loss, seed 4" in text
    assert "| L1 and L2 | bundled |" in text
    assert 0.2 < measured["bundled"]["colourfulness"][0] < 2
    for name in ("thesis-curves.png", "thesis-hues.png", "thesis-models.jpg",
                 "thesis-failures.jpg"):  # fmt: skip
        assert name in text
        assert np.ptp(np.asarray(Image.open(tmp_path / "images" / name))) > 100
    # Called again: nothing is trained, though another seed's weights are gone with a machine; nor
    # is a run of other settings taken for it.

    def logs() -> list[str]:
        return [path.read_text() for path in sorted((tmp_path / "run").glob("[34]/*/log.csv"))]

    before = logs()
    assert len(before) == 8
    (tmp_path / "thesis.md").unlink()
    for lost in (tmp_path / "run" / "4").iterdir():
        for path in lost.glob("*.npz"):
            path.unlink()
        shutil.rmtree(lost / "state")
    assert run(tmp_path, photos).returncode == 0
    again = (tmp_path / "thesis.md").read_text()
    assert again.partition("**Length")[2] == text.partition("**Length")[2]  # but not how long
    assert logs() == before
    refused = run(tmp_path, photos, "--epochs", "3")
    assert refused.returncode == 2
    assert "another configuration" in refused.stderr
