"""The fit: resumed as if never stopped, refused in another's folder, the same on both backends."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from chromaserve.color.lab import srgb_to_lab
from chromaserve.locks import alone
from chromaserve.store.contract import network_input
from training.callbacks import Clock
from training.config import Config, Decoder, Encoder, Fusion, Train, Views
from training.data import Entry, read_entry
from training.errors import DataError, TrainingError, WeightsError
from training.fusion import fit_fusion
from training.gains import collect
from training.lineage import how_trained
from training.model import ColorizationModel
from training.ncnn_encoder import frozen_part
from training.network import encoder_top, pixels_from_L, pool_taps
from training.optimizer import Trapezoid
from training.tap_cache import TapCache
from training.train import train
from training.weights import assign, average_npz, halve, load_npz, named_weights, save_npz

from .test_stream import entries, shard

pytestmark = pytest.mark.usefixtures("eagerly", "thin")

DECODER = Decoder(
    width_7=8, width_14=8, width_28=8, width_56=8, width_112=8, depthwise_28=1, depthwise_56=1,
    dropout=0.5,
)  # fmt: skip


def config(**settings: object) -> Config:
    base = {"views_per_epoch": 8, "batch": 4, "epochs": 3, "warmup": 2, "val_photos": 2}
    return Config(
        name="small",
        encoder=Encoder(weights="none", trainable_from="block5"),
        decoder=DECODER,
        views=Views(side=32),
        train=Train.model_validate(base | settings),
    )


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, list[Entry]]:
    (tmp_path / "train").mkdir()
    shard(tmp_path / "train" / "a.tar", 8)
    found = entries(tmp_path)
    return tmp_path, [*found, *(replace(e, split="val") for e in found[:4])]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """Weights to start from."""
    path = tmp_path / "start.npz"
    save_npz(path, ColorizationModel(config()))
    return path


class Kill(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops a fit as a kill does: in the middle of an epoch."""

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        if self.model.optimizer.iterations == 3:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_resumed_fit_ends_as_one_that_was_not_interrupted(
    photos: tuple[Path, list[Entry]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, index = photos
    train(config(epochs=2), tmp_path / "whole", index, root)
    with monkeypatch.context() as patched:
        fit = keras.Model.fit

        def killed(self: keras.Model, *args: object, callbacks: list[object], **kw: object) -> None:
            fit(self, *args, callbacks=[*callbacks, Kill()], **kw)

        patched.setattr(keras.Model, "fit", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config(epochs=2), tmp_path / "parts", index, root)
    train(config(epochs=2), tmp_path / "parts", index, root)
    whole, parts = (
        (tmp_path / name / "log.csv").read_text().split() for name in ("whole", "parts")
    )
    assert whole[0] == parts[0]
    assert len(whole) == len(parts) == 3
    timed = whole[0].split(",").index("seconds")
    for one, other in zip(whole[1:], parts[1:], strict=True):
        a, b = ([float(v) for v in line.split(",")] for line in (one, other))
        del a[timed], b[timed]
        assert np.allclose(a, b, rtol=1e-4, atol=2e-3)
    with (
        np.load(tmp_path / "whole" / "last.npz") as a,
        np.load(tmp_path / "parts" / "last.npz") as b,
    ):
        assert set(a.files) == set(b.files)
        for name in a.files:
            assert np.abs(a[name] - b[name]).mean() < 1e-4, name


def test_fit_moves_the_unfrozen_block_leaves_the_frozen_and_keeps_its_folder(
    photos: tuple[Path, list[Entry]], start: Path, tmp_path: Path
) -> None:
    root, index = photos
    before = dict(np.load(start))
    scale = "decoder:block1_conv2_scale/scale"
    np.savez(start, **{name: value for name, value in before.items() if name != scale})
    settings = config(epochs=1, ema_momentum=0.0, start_from=str(start))
    train(settings, tmp_path / "run", index, root)
    after = dict(np.load(tmp_path / "run" / "last.npz"))
    # The start lacks one tap's scale, which is measured; the others' stay.
    assert not np.allclose(after.pop(scale), before.pop(scale))
    scales = [name for name in before if name.endswith("_scale/scale")]
    assert len(scales) > 2
    assert all(np.array_equal(after[name], before[name]) for name in scales)
    moved = {n for n, w in before.items() if not np.array_equal(w, after[n])}
    assert not any(f"vgg16:block4_conv{i}/kernel" in n for n in moved for i in (1, 2, 3))
    assert any("block5_conv3/kernel" in n for n in moved)
    assert any("conv_112/kernel" in n for n in moved)
    with pytest.raises(DataError, match="another configuration"):
        train(config(epochs=1, learning_rate=0.5), tmp_path / "run", index, root)


@pytest.mark.slow
def test_what_is_averaged_has_statistics_of_the_same_steps(
    photos: tuple[Path, list[Entry]], start: Path, tmp_path: Path
) -> None:
    root, index = photos
    before = dict(np.load(start))

    def shift(ema_momentum: float, of: str) -> float:
        run = tmp_path / str(ema_momentum)
        if not run.exists():
            settings = config(epochs=1, ema_momentum=ema_momentum, start_from=str(start))
            train(settings, run, index, root)
        after = np.load(run / "last.npz")
        return float(sum(np.abs(after[n] - w).sum() for n, w in before.items() if n.endswith(of)))

    # An average over a thousand steps has hardly begun to follow after two.
    for part in ("moving_mean", "moving_variance"):
        assert 0 < shift(0.999, part) < 0.2 * shift(0.0, part), part


@pytest.mark.slow
def test_a_fit_that_comes_apart_keeps_nothing_and_leaves_its_folder_to_others(
    photos: tuple[Path, list[Entry]], tmp_path: Path
) -> None:
    root, index = photos
    with pytest.raises(TrainingError, match="no number"):
        train(config(epochs=1, learning_rate=1e30), tmp_path / "run", index, root)
    assert not (tmp_path / "run" / "last.npz").exists()
    with pytest.raises(DataError, match="validation photos"):
        train(config(epochs=1), tmp_path / "run", [], root)


@pytest.mark.slow
def test_a_network_that_was_trained_whole_is_measured_as_any_other(
    photos: tuple[Path, list[Entry]],
) -> None:
    root, (entry, *_) = photos
    whole = Encoder(weights="none", trainable_from="block1")
    model = ColorizationModel(config().model_copy(update={"encoder": whole}))
    found = collect(model, [entry], root)
    L = network_input(srgb_to_lab(read_entry(root, entry))[0])
    (expected,) = model.answers({"L": L[None]}, ())
    np.testing.assert_allclose(found.regression, expected, atol=0.05)
    with pytest.raises(ValueError, match="block4"):
        Config(name="whole", encoder=whole, train=Train(frozen="ncnn"))


@pytest.mark.slow
def test_frozen_blocks_by_ncnn_are_those_of_the_weights_started_from(
    photos: tuple[Path, list[Entry]], start: Path, tmp_path: Path
) -> None:
    root, index = photos
    losses = []
    for frozen, processes in (("keras", 0), ("ncnn", 1)):
        settings = config(
            epochs=1, learning_rate=1e-9, start_from=str(start), frozen=frozen, processes=processes
        )
        losses.append(train(settings, tmp_path / frozen, index, root).history["val_loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_answers_have_half_the_side_of_the_input() -> None:
    model = ColorizationModel(config())
    L = np.full((2, 64, 64, 1), 50, np.float32)
    out = model({"L": L})
    assert out["regression"].shape == (2, 32, 32, 2)
    assert out["logits"].shape == (2, 32, 32, len(model.bins))
    quartered = model({"L": L, "offset": np.array([[1, 0]] * 2, np.int32)})
    assert np.allclose(quartered["logits"], out["logits"][:, 1::2, ::2], atol=1e-5)


def test_weights_survive_the_npz_and_a_wider_decoder_takes_them_as_a_start(tmp_path: Path) -> None:
    model = ColorizationModel(config())
    save_npz(tmp_path / "a.npz", model)
    other = ColorizationModel(config())
    assert load_npz(tmp_path / "a.npz", other) == []
    L = np.full((1, 32, 32, 1), 50, np.float32)
    assert np.allclose(model({"L": L})["regression"], other({"L": L})["regression"])
    wide = config().model_copy(update={"decoder": DECODER.model_copy(update={"width_56": 16})})
    wider = ColorizationModel(wide)
    with np.load(tmp_path / "a.npz") as arrays:
        with pytest.raises(WeightsError):
            assign(wider, arrays)
        assert assign(wider, arrays, grow=True) == []
        name = "decoder:up_56/kernel"
        assert np.array_equal(np.array(named_weights(wider)[name])[:, :, :8], arrays[name])
    halve(tmp_path / "a.npz", tmp_path / "half.npz")
    average_npz([tmp_path / "a.npz", tmp_path / "half.npz"], tmp_path / "mean.npz")
    assert (tmp_path / "half.npz").stat().st_size < 0.6 * (tmp_path / "a.npz").stat().st_size
    assert load_npz(tmp_path / "mean.npz", other) == []


@pytest.mark.slow
def test_a_fit_of_plain_photos_from_kept_taps(
    photos: tuple[Path, list[Entry]], tmp_path: Path
) -> None:
    root, index = photos
    settings = config(epochs=1, frozen="ncnn", cache_gb=1.0, distribution_weight=0.0)
    settings = settings.model_copy(update={"views": Views(plain=True)})
    train(settings, tmp_path / "run", index, root)
    kept = sorted((tmp_path / "run" / "cache").rglob("*.npy"))
    assert len(kept) == 8  # a file a photo, in training and validation alike
    small = settings.train.model_copy(update={"cache_gb": 1e-3})
    tight = settings.model_copy(update={"train": small})
    with pytest.raises(DataError, match="too much"):
        train(tight, tmp_path / "tight", index, root)
    with pytest.raises(DataError, match="plain"):
        train(config(frozen="ncnn", cache_gb=1.0), tmp_path / "other", index, root)


@pytest.mark.slow
def test_a_network_trained_apart_joins_the_decoder(
    photos: tuple[Path, list[Entry]], tmp_path: Path
) -> None:
    root, index = photos
    fused = config(epochs=1).model_copy(
        update={
            "decoder": DECODER.model_copy(update={"fusion": 4}),
            "fusion": Fusion(hidden=8, epochs=1, photos=4),
        }
    )
    said = list[str]()
    fit_fusion(fused, index, root, tmp_path / "run" / "fusion.npz", said.append)
    assert "cross-entropy" in said[0]
    train(fused, tmp_path / "run", index, root)
    with (
        np.load(tmp_path / "run" / "fusion.npz") as apart,
        np.load(tmp_path / "run" / "last.npz") as joined,
    ):
        assert set(apart.files) == {n for n in joined.files if n.startswith("fusion:")}
        name = "fusion:fusion_scale/scale"
        assert np.array_equal(apart[name], joined[name])


def test_kept_taps_are_the_encoders_within_half_a_step_of_their_root(tmp_path: Path) -> None:
    model = ColorizationModel(config())
    cache = TapCache(tmp_path, frozen_part(model))
    L = np.random.default_rng(1).uniform(0, 100, (224, 224, 1)).astype(np.float32)
    ab = np.full((112, 112, 2), 20.5, np.float32)

    def read() -> tuple[np.ndarray, np.ndarray]:
        return L, ab

    first, _ = cache("a", read)
    again, kept_ab = cache("a", lambda: pytest.fail("read twice"))
    full = pool_taps(model.encoder(pixels_from_L(L[None])), model.config.decoder)
    assert set(first) == {"block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"}
    for name, tap in first.items():
        assert np.array_equal(tap, again[name])
        own = np.asarray(full[name])[0]
        top = np.sqrt(own.max(axis=(0, 1)))
        assert np.all(np.abs(np.sqrt(tap) - np.sqrt(own)) <= 0.505 / 255 * top + 2e-3), name
    assert np.array_equal(kept_ab, ab)


def test_unfrozen_blocks_start_where_the_frozen_taps_end() -> None:
    model = ColorizationModel(config())
    L = np.random.default_rng(2).uniform(0, 100, (1, 64, 64, 1)).astype(np.float32)
    whole = model.taps({"L": L})
    frozen = {n: whole[n] for n in ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")}
    joined = model.taps(frozen)
    assert np.allclose(joined["block5_conv3"], whole["block5_conv3"], rtol=1e-4, atol=1e-4)


def test_blocks_whose_input_is_pooled_are_refused() -> None:
    with pytest.raises(ValueError, match="block3"):
        encoder_top(ColorizationModel(config()).encoder, "block3")


def test_a_fit_by_the_clock_warms_up_by_the_step_and_ends_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("training.callbacks.time.monotonic", lambda: now)
    settings = Train(minutes=10, learning_rate=1.0, warmup=10, decay=0.5)
    clock, rates = Clock(settings), []
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=None), stop_training=False)
    clock.set_model(model)
    for epoch in range(30, 40):  # of a fit that was begun before
        for batch in range(20):
            clock.on_train_batch_begin(batch)
            rates.append(model.optimizer.learning_rate)
            now += 9
            clock.on_train_batch_end(batch)
        clock.on_test_begin()
        now += 18
        clock.on_test_end()
        clock.on_epoch_end(epoch)
        if model.stop_training:
            break
    assert now == 594
    assert rates[:11] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0])
    assert rates[25] == 1.0
    assert rates[50] == pytest.approx(2 * (1 - (396 + 90 + 18) / 600))


def test_two_fits_in_one_folder_are_one_too_many(
    photos: tuple[Path, list[Entry]], tmp_path: Path
) -> None:
    root, index = photos
    run = tmp_path / "run"
    with alone(run):
        with pytest.raises(DataError, match="under way"):
            train(config(epochs=1), run, index, root)
        assert [path.name for path in run.iterdir()] == ["lock"]
    assert not list(run.iterdir())
    train(config(epochs=1), run, index, root)


def test_a_fit_whose_time_is_over_ends_within_its_epoch_and_keeps_its_weights(
    photos: tuple[Path, list[Entry]], tmp_path: Path
) -> None:
    root, index = photos
    train(config(views_per_epoch=40_000, minutes=0.02), tmp_path / "run", index, root)
    with (tmp_path / "run" / "log.csv").open(newline="") as log:
        (line,) = csv.DictReader(log)
    assert 4 <= int(line["views"]) < 40_000
    assert (tmp_path / "run" / "last.npz").is_file()
    assert how_trained(tmp_path / "run" / "last.npz")["views"] == int(line["views"])


def test_the_rate_rises_stays_and_falls() -> None:
    rate = Trapezoid(1.0, 10, 100, 20)
    values = [float(rate(step)) for step in (0, 9, 50, 80, 90, 100)]
    assert np.allclose(values, [0.1, 1, 1, 1, 0.5, 0])


STEP = """
import sys
import numpy as np
from training.config import Config
from training.model import ColorizationModel
from training.optimizer import optimizer
from training.weights import load_npz, named_weights
config = Config.model_validate_json(open(sys.argv[1]).read())
model = ColorizationModel(config)
load_npz(__import__("pathlib").Path(sys.argv[2]), model)
random = np.random.default_rng(0)
x = {"L": random.uniform(0, 100, (4, 32, 32, 1)).astype("float32"),
     "offset": np.ones((4, 2), "int32")}
y = {"ab": random.normal(0, 20, (4, 16, 16, 2)).astype("float32")}
model.compile(optimizer=optimizer(config.train, model), jit_compile=False)
model.train_on_batch(x, y)
np.savez(sys.argv[3], **{n: np.asarray(w.value) for n, w in named_weights(model).items()})
"""


def test_a_step_is_the_same_on_tensorflow_and_jax(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    plain = config().model_copy(update={"decoder": DECODER.model_copy(update={"dropout": 0.0})})
    (tmp_path / "config.json").write_text(plain.model_dump_json())
    save_npz(tmp_path / "start.npz", ColorizationModel(plain))
    after = {}
    for backend in ("tensorflow", "jax"):
        out = tmp_path / f"{backend}.npz"
        command = [sys.executable, "-c", STEP]
        command += [str(tmp_path / "config.json"), str(tmp_path / "start.npz"), str(out)]
        subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": backend})
        after[backend] = dict(np.load(out))
    start = dict(np.load(tmp_path / "start.npz"))
    for name, value in after["tensorflow"].items():
        step = np.abs(value - start[name]).max()
        # Adam's first step is the gradient's sign, which rounding may turn where it is near zero.
        differs = np.abs(value - after["jax"][name]) > 0.1 * max(step, 1e-6)
        assert differs.mean() < 0.02, name
