"""Starting from weights: those of the bundled version, and of a run."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.colorizer import build_colorizer
from training.config import Config, Decoder, Encoder, Fusion
from training.errors import WeightsError
from training.network import encoder_top
from training.run import average, named_weights, save_weights
from training.start import start_from


@pytest.fixture(scope="module")
def bundled() -> Path:
    return ModelStore(BUNDLED_ROOT).resolve("latest").path


def config_of_bundled(trainable_from: str | None = None) -> Config:
    training = ModelStore(BUNDLED_ROOT).resolve("latest").description.training
    return Config(
        name="x",
        encoder=Encoder(weights="none", trainable_from=trainable_from),
        decoder=Decoder.model_validate(training["decoder"]),
        fusion=Fusion.model_validate(training.get("fusion", {})),
    )


def test_a_network_started_from_the_bundled_version_answers_as_it_does(bundled: Path) -> None:
    network = build_colorizer(config_of_bundled(), with_encoder=True)
    assert start_from(bundled, network) == []
    L = tf.random.stateless_uniform((2, 224, 224, 1), (1, 2), 0, 100)
    signature = tf.saved_model.load(str(bundled)).signatures["serving_default"]
    published = signature(L=L)["ab"].numpy()[:, ::4, ::4]
    here = network.ab(network.features(network.taps(L))).numpy()
    # The published answer is a factor of the regression head's, enlarged.
    factor = (published * here).sum() / (here * here).sum()
    error = np.abs(published - factor * here)
    assert 0.5 < factor < 1.5
    assert error.mean() < 1.0


def test_unfrozen_blocks_start_where_the_cached_taps_end() -> None:
    """The taps of blocks 4 and 5 computed anew from block 3's equal the encoder's own."""
    network = build_colorizer(config_of_bundled("block4"), with_encoder=True, from_cache=True)
    L = tf.random.stateless_uniform((1, 224, 224, 1), (3, 4), 0, 100)
    taps = network.taps(L)
    assert "block4_conv3" not in network.needed_taps
    refreshed = network.refreshed({name: taps[name] for name in network.needed_taps})
    for name in ("block4_conv3", "block5_conv3"):
        np.testing.assert_allclose(refreshed[name], taps[name], rtol=1e-4, atol=1e-4)


def test_blocks_whose_input_the_cache_pools_are_refused() -> None:
    network = build_colorizer(config_of_bundled(), with_encoder=True)
    with pytest.raises(ValueError, match="block3"):
        encoder_top(network.encoder, "block3")


def test_what_is_new_is_named_and_another_shape_refused(tmp_path: Path) -> None:
    small = Decoder(width_7=8, width_14=8, width_28=8, width_56=8)
    network = build_colorizer(Config(name="x", decoder=small), with_encoder=False)
    save_weights(tmp_path / "small.npz", network.trainable_parts)
    fused = build_colorizer(
        Config(name="x", decoder=small.model_copy(update={"fusion": 4})), with_encoder=False
    )
    new = start_from(tmp_path / "small.npz", fused)
    assert any("fusion_feature" in name for name in new)
    assert all("fusion" in name for name in new)
    wide = build_colorizer(
        Config(name="x", decoder=small.model_copy(update={"width_7": 16})), with_encoder=False
    )
    with pytest.raises(WeightsError, match="conv_7"):
        start_from(tmp_path / "small.npz", wide)
    with pytest.raises(WeightsError, match="no weights"):
        start_from(tmp_path / "absent", wide)


def test_the_mean_of_two_runs_weights(tmp_path: Path) -> None:
    tiny = Config(name="x", decoder=Decoder(width_7=8, width_14=8, width_28=8, width_56=8))
    network = build_colorizer(tiny, with_encoder=False)
    weights = named_weights(network.trainable_parts)
    for n in (1.0, 4.0):
        for w in weights.values():
            w.assign(np.full(w.shape, n, np.float32))
        save_weights(tmp_path / f"{n:g}.npz", network.trainable_parts)
    average([tmp_path / "1.npz", tmp_path / "4.npz"], tmp_path / "mean" / "best.npz")
    assert start_from(tmp_path / "mean" / "best.npz", network) == []
    for w in weights.values():
        np.testing.assert_array_equal(w, 2.5)
    np.savez(tmp_path / "other.npz", only=np.zeros(3, np.float32))
    with pytest.raises(WeightsError, match="another network"):
        average([tmp_path / "1.npz", tmp_path / "other.npz"], tmp_path / "none.npz")
