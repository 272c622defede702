"""TensorFlow's operations converted for ncnn: each gives what TensorFlow gives."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from chromaserve.engines.ncnn_engine import NUMBERS, PARAM, WEIGHTS, NcnnEngine
from tests.saved_models import Network, save
from training.conversion.lowering import lower
from training.conversion.pictures import UnsupportedOperation


def weights(*shape: int) -> tf.Tensor:
    seed = sum(shape)
    return tf.constant(np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32))


def conv(x: tf.Tensor, *shape: int, strides: int = 1, padding: str = "SAME") -> tf.Tensor:
    return tf.nn.conv2d(x, weights(*shape), strides, padding)


def plain(L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
    x = tf.nn.relu(tf.nn.bias_add(conv(L / 100, 3, 3, 1, 8), weights(8)))
    return conv(x, 1, 1, 8, 2) * vividness * 30


def strides_and_padding(L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
    x = conv(L / 100, 5, 3, 1, 4, strides=2)  # 112, one more pixel after than before
    x = conv(x, 3, 3, 4, 4, padding="VALID")  # 110
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")  # 55
    x = tf.nn.avg_pool2d(x, 3, 2, "SAME")  # 28: the edge has fewer values to average
    x = tf.nn.conv2d(x, weights(3, 3, 4, 6), 1, "SAME", dilations=2)
    x = tf.nn.depthwise_conv2d(x, weights(3, 3, 6, 2), (1, 1, 1, 1), "SAME")
    size = (tf.shape(L)[0], 56, 56, 2)
    x = tf.nn.conv2d_transpose(x, weights(3, 3, 2, 12), size, 2, "SAME")
    return tf.image.resize(x, (224, 224)) * (1 + vividness)


def factors_before_and_after(L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
    x = 2.55 * L - tf.constant([103.9, 116.8, 123.7])  # one channel becomes three
    x = conv(x, 3, 3, 3, 8) * weights(8) + weights(8)
    # Read by three: what one of them makes of it must not reach the others.
    one = conv(x / (1 + tf.abs(weights(8))), 1, 1, 8, 4)
    two = conv(5 - x, 1, 1, 8, 4)
    three = conv(tf.nn.relu(x), 1, 1, 8, 4)
    return conv(tf.nn.relu(one + two * 0.5 - three), 1, 1, 4, 2) / 50 + vividness


def global_path(L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
    x = conv(L / 100, 4, 4, 1, 6, strides=4)
    pooled = tf.concat([tf.reduce_mean(x, (1, 2)), tf.reduce_max(x, (1, 2))], -1)
    pooled = tf.nn.relu(tf.matmul(pooled, weights(12, 6)) + weights(6))
    x = tf.concat([x + tf.reshape(pooled, (-1, 1, 1, 6)), x], -1)
    chances = tf.nn.softmax(conv(x, 1, 1, 12, 7) * 3)
    ab = tf.matmul(chances, 20 * weights(7, 2)) * tf.exp(-vividness)
    return tf.image.resize(ab, (224, 224))


def curve(L: tf.Tensor, vividness: tf.Tensor) -> tf.Tensor:
    v = tf.clip_by_value(vividness, 0.0, 1.0) * 4
    table = tf.constant([0.0, 0.1, 0.4, 0.5, 1.0])
    low = tf.minimum(tf.cast(v, tf.int32), 3)
    share = v - tf.cast(low, tf.float32)
    bent = tf.gather(table, low) * (1 - share) + tf.gather(table, low + 1) * share
    return conv(L / 100, 1, 1, 1, 2) * 50 * bent


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [plain, strides_and_padding, factors_before_and_after, global_path, curve]
)
def test_a_network_gives_on_ncnn_what_it_gives_on_tensorflow(
    tmp_path: Path, network: Network
) -> None:
    save(network, tmp_path / "saved")
    model = tf.saved_model.load(str(tmp_path / "saved"))
    lowered = lower(model.signatures["vivid"])
    (tmp_path / PARAM).write_text(lowered.param)
    (tmp_path / WEIGHTS).write_bytes(lowered.weights)
    (tmp_path / NUMBERS).write_text(lowered.numbers.to_json())
    L = np.random.default_rng(1).uniform(0, 100, (3, 224, 224, 1)).astype(np.float32)
    vividness = np.asarray([0, 0.6, 1], np.float32)
    expected = model.signatures["vivid"](L=tf.constant(L), vividness=tf.constant(vividness))["ab"]
    found = NcnnEngine(tmp_path, threads=2).infer(L, vividness)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_relu_and_a_scale_are_no_layers_of_their_own(tmp_path: Path) -> None:
    save(plain, tmp_path)
    param = lower(tf.saved_model.load(str(tmp_path)).signatures["vivid"]).param
    kinds = [line.split()[0] for line in param.splitlines()[2:]]
    assert kinds.count("Convolution") == 2
    assert not {"ReLU", "BatchNorm"} & set(kinds)


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (lambda L, v: conv(tf.math.erf(L), 1, 1, 1, 2) * v, "Erf"),
        (lambda L, v: tf.concat([L, L], -1) * tf.math.cosh(v), "Cosh"),
        (lambda L, v: tf.concat([tf.transpose(L, (0, 2, 1, 3))] * 2, -1) * v, "Transpose"),
    ],
)
def test_an_operation_that_ncnn_does_not_get_is_named(
    tmp_path: Path, network: Network, named: str
) -> None:
    save(network, tmp_path)
    with pytest.raises(UnsupportedOperation, match=f"ncnn cannot run {named}"):
        lower(tf.saved_model.load(str(tmp_path)).signatures["vivid"])
