"""A fit shared by two devices is the fit of one, in every loss, weight and optimiser's state."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.format import open_memmap

from training.config import Fit
from training.errors import StrategyError
from training.network import TAP_SHAPES
from training.strategy import Distribution, distribute

ROOT = Path(__file__).parents[2]
ROWS = 12
# Clipping is at work (norms are about 1), so that the order of clipping and summing shows.
FITS = """
import sys
from pathlib import Path
import keras
import numpy as np
import tensorflow as tf
from training.config import Config
from training.feed import CachedFeed
from training.fit import fit
from training.run import Run
from training.strategy import distribute

folder = Path(sys.argv[1])
decoder = dict(taps=["block5_conv3", "block4_conv3"], width_7=8, width_14=8, width_28=8,
               width_56=8, blocks=0, l2=1e-3)
fits = dict(epochs=3, images_per_epoch=4, batch=4, warmup_steps=1, learning_rate=1e-3,
            clip_norm=0.1, ema_momentum=0.5, regression_loss="log_mse")
for name, more in (("one", dict(strategy="one", logical_devices=2)),
                   ("two", dict(strategy="mirrored"))):
    config = Config.model_validate(dict(name=name, seed=3, decoder=decoder, fit=fits | more))
    fit(config, Run(folder / name), CachedFeed(folder, 4), print, lambda *_: None)

distribution = distribute(config.fit)
strategy = distribution.strategy
with strategy.scope():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5)])
distribution.spread_seeds([model])
dropped = strategy.run(lambda: model(tf.ones((1, 64)), training=True))
np.save(folder / "dropped.npy", np.concatenate(strategy.experimental_local_results(dropped)))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of made-up taps, and beside it the runs of one device and of two."""
    folder = tmp_path_factory.mktemp("strategy")
    random = np.random.default_rng(0)
    for name, (side, channels) in TAP_SHAPES.items():
        codes = open_memmap(folder / f"{name}.npy", "w+", np.uint8, (ROWS, side, side, channels))
        if name in ("block5_conv3", "block4_conv3"):
            codes[:] = random.integers(0, 200, codes.shape)
    open_memmap(folder / "L.npy", "w+", np.uint8, (ROWS, 224, 224, 1))
    ab = random.normal(0, 20, (ROWS, 56, 56, 2)) * random.uniform(0.1, 2, (ROWS, 1, 1, 1))
    np.save(folder / "ab.npy", ab.astype(np.float16))
    np.save(folder / "done.npy", np.ones(ROWS, np.uint8))
    np.savez(
        folder / "scales.npz",
        allow_pickle=False,
        **{n: np.ones(c) for n, (_, c) in TAP_SHAPES.items()},
    )
    lines = [f"{i}.jpg,a,,{'val' if i < 4 else 'train'},0" for i in range(ROWS)]
    (folder / "rows.csv").write_text("\n".join(["file,folder,kind,split,copy", *lines]))
    done = subprocess.run(
        [sys.executable, "-c", FITS, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_losses_are_those_of_one_device(runs: Path) -> None:
    one, two = (list(csv.DictReader((runs / n / "history.csv").open())) for n in ("one", "two"))
    assert len(one) == len(two) == 3
    for name in ("loss", "regression", "distribution", "penalty", "val_gain_db"):
        expected, found = ([float(row[name]) for row in rows] for rows in (one, two))
        np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)


def test_weights_moments_and_averages_are_those_of_one_device(runs: Path) -> None:
    one, two = (
        tf.train.load_checkpoint(tf.train.latest_checkpoint(str(runs / n / "state")))
        for n in ("one", "two")
    )
    shapes = one.get_variable_to_shape_map()
    assert shapes == two.get_variable_to_shape_map()
    # Kernels: a bias before a normalisation has no gradient but for rounding.
    names = [n for n in shapes if len(shapes[n]) > 1]
    assert sum(n.startswith("optimizer/") for n in names) > 20
    for name in names:
        expected, found = one.get_tensor(name), two.get_tensor(name)
        scale = max(float(np.abs(expected).max()), 1e-12)
        np.testing.assert_allclose(found / scale, expected / scale, atol=2e-3, err_msg=name)


def test_dropout_differs_between_devices(runs: Path) -> None:
    first, second = np.load(runs / "dropped.npy") == 0
    assert 16 < first.sum() < 48
    assert 16 < (first != second).sum() < 48


def test_each_host_takes_its_own_share_of_every_batch() -> None:
    order = np.arange(16)  # two batches of 8, four devices on two hosts: two images a device
    first, second = (Distribution(None, 4, 2, worker).share(order, 8) for worker in (0, 1))
    assert first.tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert second.tolist() == [4, 5, 6, 7, 12, 13, 14, 15]


def test_a_partial_batch_that_would_be_shared_is_left_out() -> None:
    order = np.arange(11)
    assert len(Distribution(None, 1).whole_batches(order, 4)) == 11
    assert len(Distribution(None, 2).whole_batches(order, 4)) == 8
    with pytest.raises(StrategyError, match="no whole batch of 16"):
        Distribution(None, 2).whole_batches(order, 16)


def test_multi_worker_without_its_hosts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(StrategyError, match="TF_CONFIG"):
        distribute(Fit(strategy="multi_worker"))
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps"}}')
    with pytest.raises(StrategyError, match="index"):
        distribute(Fit(strategy="multi_worker"))
