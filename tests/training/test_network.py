"""The network is the thesis's: VGG16's first 18 layers, whichever way its weights are loaded."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.config import Decoder
from training.errors import WeightsError
from training.network import (
    build_decoder,
    build_encoder,
    build_heads,
    freeze_below,
    pixels_from_L,
    pool_taps,
)
from training.vgg import TAP_SHAPES


@pytest.fixture(scope="module")
def keras_vgg() -> keras.Model:
    """The reference: keras.applications' own VGG16, with random weights."""
    return keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))


@pytest.fixture(scope="module")
def npz(keras_vgg: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.npz"
    arrays = {
        f"{layer.name}/{part}": w.astype(np.float16)
        for layer in keras_vgg.layers
        for part, w in zip(("kernel", "bias"), layer.get_weights(), strict=False)
    }
    np.savez(path, **arrays)
    return path


def test_encoder_is_vgg16s_first_18_layers(keras_vgg: keras.Model) -> None:
    encoder = build_encoder("none")
    layers = [x for x in encoder.layers if not isinstance(x, keras.layers.InputLayer)]
    assert len(layers) == 18
    assert sum(isinstance(x, keras.layers.Conv2D) for x in layers) == 13
    assert sum(isinstance(x, keras.layers.MaxPooling2D) for x in layers) == 5
    assert encoder.count_params() == 14_714_688
    reference = [x for x in keras_vgg.layers if not isinstance(x, keras.layers.InputLayer)]
    assert [x.name for x in layers] == [x.name for x in reference]


def test_weights_of_the_file_and_of_keras_agree_by_name_shape_and_answer(
    keras_vgg: keras.Model, npz: Path
) -> None:
    encoder = build_encoder(str(npz))
    for layer in keras_vgg.layers:
        ours = (
            [w.shape for w in encoder.get_layer(layer.name).get_weights()] if layer.weights else []
        )
        assert ours == [w.shape for w in layer.get_weights()]
    x = np.random.default_rng(0).normal(0, 50, (1, 224, 224, 3)).astype(np.float32)
    expected = keras_vgg(x).numpy()
    found = encoder(x)["block5_pool"].numpy()
    # The file is rounded to half precision.
    assert np.abs(found - expected).max() <= 0.01 * np.abs(expected).max()


def test_missing_layer_and_wrong_shape_are_named(npz: Path, tmp_path: Path) -> None:
    with np.load(npz) as arrays:
        kept = {k: arrays[k] for k in arrays.files if not k.startswith("block4_conv2")}
    np.savez(tmp_path / "part.npz", **kept)
    with pytest.raises(WeightsError, match="block4_conv2"):
        build_encoder(str(tmp_path / "part.npz"))


def test_unfreezing_leaves_only_the_blocks_from_the_named_one_trainable() -> None:
    encoder = build_encoder("none")
    freeze_below(encoder, None)
    assert not encoder.trainable_weights
    freeze_below(encoder, "block5")
    assert {w.path.split("/")[-2] for w in encoder.trainable_weights} == {
        "block5_conv1",
        "block5_conv2",
        "block5_conv3",
    }
    freeze_below(encoder, "block1")
    assert sum(int(np.prod(w.shape)) for w in encoder.trainable_weights) == 14_714_688


def test_input_is_grey_in_bgr_less_the_imagenet_mean() -> None:
    pixels = pixels_from_L(tf.fill([1, 224, 224, 1], 100.0))
    assert pixels.shape == (1, 224, 224, 3)
    np.testing.assert_allclose(
        pixels[0, 0, 0], [255 - 103.939, 255 - 116.779, 255 - 123.68], rtol=1e-5
    )


def test_every_tap_reaches_the_answer() -> None:
    settings = Decoder(width_7=16, width_14=16, width_28=16, width_56=8)
    decoder = build_decoder(settings)
    regression, distribution = build_heads(settings, bins=11)
    random = np.random.default_rng(0)
    taps = {
        name: tf.constant(random.random((2, side, side, c), np.float32))
        for name, (side, c) in TAP_SHAPES.items()
    }
    features = decoder(taps)
    assert features.shape == (2, 56, 56, 8)
    assert regression(features).shape == (2, 56, 56, 2)
    assert distribution(features).shape == (2, 56, 56, 11)
    answer = regression(features).numpy()
    for name in taps:
        other = taps | {name: taps[name] * 0}
        assert not np.allclose(regression(decoder(other)).numpy(), answer), name


def test_regularisation_strengths_count_every_kernel() -> None:
    def penalty(**strengths: float) -> float:
        decoder = build_decoder(Decoder(width_7=8, width_14=8, width_28=8, width_56=8, **strengths))
        kernels = [w for w in decoder.trainable_weights if len(w.shape) == 4]
        expected = sum(
            strengths.get("l1", 0) * np.abs(w.numpy()).sum()
            + strengths.get("l2", 0) * np.square(w.numpy()).sum()
            for w in kernels
        )
        found = sum(float(x) for x in decoder.losses)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-9)
        return found

    assert penalty() == 0
    assert penalty(l1=1e-4) > 0
    assert penalty(l2=1e-4) > 0
    assert penalty(l1=1e-4, l2=1e-4) > 0


@pytest.mark.slow
def test_ncnn_computes_the_taps_that_tensorflow_does(npz: Path) -> None:
    from training.ncnn_encoder import NcnnEncoder, encoder_weights

    encoder = build_encoder(str(npz))
    L = np.random.default_rng(1).uniform(0, 100, (224, 224, 1)).astype(np.float32)
    expected = pool_taps(encoder(pixels_from_L(tf.constant(L[None]))))
    found = NcnnEncoder(encoder_weights(encoder))(L)
    assert found.keys() == TAP_SHAPES.keys()
    for name, tap in found.items():
        reference = expected[name][0].numpy()
        assert tap.shape == reference.shape
        assert np.abs(tap - reference).max() <= 1e-3 * reference.max(), name
