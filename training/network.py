"""The network: VGG16's first 18 layers as encoder, a decoder with residual connections, two heads.

Architecture after T. Zaman 2020 ("Image Colorization with Deep CNNs": VGG16 encoder, upsampling
and deconvolution with residual connections, mean squared error on ab/128), with the distribution
head of Zhang, Isola & Efros 2016 and the global feature of Iizuka et al. 2016.
"""

from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np
from keras import KerasTensor as Tensor
from keras import layers, ops

from .config import TAP_NAMES, Decoder, Fusion
from .errors import WeightsError
from .vgg import BGR_MEAN, BLOCKS, TAP_SHAPES, pool_factors

AB_SCALE = 128.0
PARTS = ("kernel", "bias")  # of a convolution, in the order of its weights
NORM_MOMENTUM = 0.98  # statistics of some 50 steps


def build_encoder(weights: str) -> keras.Model:
    """Build VGG16's first 18 layers (13 convolutions, 5 max-poolings; 14,714,688 parameters).

    weights: "imagenet" (keras.applications downloads and caches them), the path of an .npz with
    keys "block1_conv1/kernel" [3, 3, in, out] and "block1_conv1/bias" [out], or "none" (random).
    Input "pixels": float32 [N, side, side, 3], side a multiple of 32 (it learned on 224), BGR in
    [0, 255] less the ImageNet mean. Outputs: the five taps (last convolution of each block, after
    ReLU) by name, and "block5_pool" [N, side/32, side/32, 512]. Raises WeightsError, OSError.
    """
    if weights == "imagenet":
        vgg = keras.applications.VGG16(weights="imagenet", include_top=False)
        source = {
            f"{layer.name}/{part}": values
            for layer in vgg.layers
            for part, values in zip(PARTS, layer.get_weights(), strict=False)
        }
    elif weights != "none":
        source = read_npz(Path(weights))
    x = pixels = keras.Input((None, None, 3), name="pixels")
    outputs = {}
    for b, (convolutions, width) in enumerate(BLOCKS, 1):
        for c in range(1, convolutions + 1):
            name = f"block{b}_conv{c}"
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=name)(x)
            if name in TAP_NAMES:
                outputs[name] = x
        x = layers.MaxPooling2D(name=f"block{b}_pool")(x)
    outputs["block5_pool"] = x
    encoder = keras.Model(pixels, outputs, name="vgg16")
    if weights != "none":
        for layer in encoder.layers:
            if layer.weights:
                _set_weights(layer, source)
    return encoder


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz by name. Raises WeightsError where it is none, or a part of one."""
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (BadZipFile, EOFError, ValueError, AttributeError):  # a .npy has no names
        raise WeightsError(f"{path} is no .npz, or not a whole one") from None


def _set_weights(layer: keras.Layer, source: dict[str, np.ndarray]) -> None:
    expected = [tuple(w.shape) for w in layer.weights]
    keys = [f"{layer.name}/{part}" for part in PARTS]
    values = [np.asarray(source[key], np.float32) for key in keys if key in source]
    if (found := [v.shape for v in values]) != expected:
        raise WeightsError(f"layer {layer.name}: expected shapes {expected}, found {found}")
    layer.set_weights(values)


def freeze_below(encoder: keras.Model, trainable_from: str | None) -> None:
    """Leave only the layers from the named block on trainable ("block4"); None freezes all."""
    for layer in encoder.layers:
        layer.trainable = trainable_from is not None and layer.name >= trainable_from


def encoder_top(encoder: keras.Model, first: str) -> keras.Model:
    """The encoder's blocks from `first` on, on its own layers: what a fit on frozen taps unfreezes.

    first: "block4" or "block5". Input: the tap of the block before, as the decoder takes it.
    Outputs: the taps of the blocks from `first` on, by name. Raises ValueError for another block.
    """
    b = int(first.removeprefix("block"))
    side, channels = TAP_SHAPES[TAP_NAMES[b - 2]]
    if side != 224 >> (b - 2):
        raise ValueError(f"{first} can't start from {TAP_NAMES[b - 2]}, which is pooled there")
    x = tap = keras.Input((None, None, channels), name=f"{first}_input")
    outputs = {}
    for n in range(b, len(BLOCKS) + 1):
        x = encoder.get_layer(f"block{n - 1}_pool")(x)
        for c in range(1, BLOCKS[n - 1][0] + 1):
            x = encoder.get_layer(f"block{n}_conv{c}")(x)
        outputs[TAP_NAMES[n - 1]] = x
    return keras.Model(tap, outputs, name="encoder_top")


def build_fusion(settings: Fusion, width: int, bins: int) -> tuple[keras.Model, keras.Model]:
    """Build the network trained apart: block5_conv3 -> features [N, width], and its own head.

    The features come from the tap's mean and maximum over the photo; the head turns them into the
    logits [N, bins] of the photo's ab histogram (the photo as a whole, as Iizuka et al. 2016 learn
    their global features from a label of the whole photo).
    Returns (features, head).
    """
    tap = keras.Input((None, None, TAP_SHAPES["block5_conv3"][1]), name="block5_conv3")
    x = TapScale(name="fusion_scale")(tap)
    x = layers.Concatenate(name="fusion_pooled")(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    x = layers.Dropout(settings.dropout, name="fusion_dropout")(x)
    x = layers.Dense(settings.hidden, activation="relu", name="fusion_hidden")(x)
    x = layers.Dense(width, activation="relu", name="fusion_features")(x)
    features = keras.Model(tap, x, name="fusion")
    joined = keras.Input((width,))
    logits = layers.Dense(bins, dtype="float32", name="fusion_histogram")(joined)
    return features, keras.Model(joined, logits, name="fusion_head")


def pixels_from_L(L: Tensor) -> Tensor:  # noqa: N802
    """L float32 [N, 224, 224, 1] in [0, 100] -> VGG16's input: grey in BGR, mean subtracted."""
    return 2.55 * L - ops.convert_to_tensor(BGR_MEAN, "float32")


def pool_taps(taps: dict[str, Tensor], settings: Decoder = Decoder()) -> dict[str, Tensor]:  # noqa: B008
    """Average-pool the encoder's finer taps to the sizes that the decoder takes."""
    return {
        name: ops.average_pool(taps[name], n, strides=n, padding="valid") if n > 1 else taps[name]
        for name, n in pool_factors(settings).items()
    }


@keras.saving.register_keras_serializable("chromaserve")
class TapScale(layers.Layer):  # type: ignore[misc]
    """Divide a tap by a fixed scale a channel, so that every channel enters with unit size."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the scale, a weight that is stored but not trained."""
        self.scale = self.add_weight(
            name="scale", shape=(input_shape[-1],), initializer="ones", trainable=False
        )

    def call(self, tap: Tensor) -> Tensor:
        """[N, h, w, C] -> the same, divided by scale [C]."""
        return tap / self.scale


class _Conv:
    """The settings that all convolutions of the decoder share."""

    def __init__(self, settings: Decoder) -> None:
        self.l1, self.l2 = settings.l1, settings.l2

    def __call__(self, width: int, size: int, name: str, bias: bool = False) -> layers.Layer:
        return layers.Conv2D(
            width, size, padding="same", use_bias=bias, name=name,
            kernel_initializer="he_normal", kernel_regularizer=self.regularizer(),
        )  # fmt: skip

    def up(self, width: int, name: str) -> layers.Layer:
        return layers.Conv2DTranspose(
            width, 2, strides=2, use_bias=False, name=name,
            kernel_initializer="he_normal", kernel_regularizer=self.regularizer(),
        )  # fmt: skip

    def regularizer(self) -> keras.Regularizer | None:
        if not (self.l1 or self.l2):
            return None
        return keras.regularizers.L1L2(self.l1, self.l2)


def build_decoder(settings: Decoder, momentum: float = NORM_MOMENTUM) -> keras.Model:
    """Build the decoder's trunk: pooled taps -> features float32 [N, h, w, width].

    Starts from block5_pool (pooled here from block5_conv3), doubles the side three or four times by
    transposed convolution, and at each size adds projections of the encoder's taps of that size
    (the residual connections) and, at 28x28, a global feature of the photo; with
    `settings.fusion`, another one comes in as the input "fusion" float32 [N, fusion]. Sides are
    named as for an input of 224; h = w is 112 with `settings.width_112`, else 56.

    All that a larger decoder adds to a smaller one of the same widths starts as identity, so that
    it continues the smaller one's fit.
    """
    conv = _Conv(settings)
    factors = pool_factors(settings)
    at = {name: 224 // 2**i // factors[name] for i, name in enumerate(TAP_SHAPES)}
    inputs = {n: keras.Input((None, None, TAP_SHAPES[n][1]), name=n) for n in TAP_SHAPES
              if n in settings.taps}  # fmt: skip
    scaled = {name: TapScale(name=f"{name}_scale")(tap) for name, tap in inputs.items()}

    def drop(x: Tensor, name: str) -> Tensor:
        if not settings.dropout:
            return x
        return layers.SpatialDropout2D(settings.dropout, name=f"dropout_{name}")(x)

    def norm(x: Tensor, name: str, gamma: str = "ones") -> Tensor:
        return layers.BatchNormalization(
            momentum=momentum, epsilon=1e-3, gamma_initializer=gamma, name=f"{name}_norm"
        )(x)

    def norm_relu(x: Tensor, name: str) -> Tensor:
        return layers.ReLU(name=f"{name}_relu")(norm(x, name))

    def residual_block(x: Tensor, width: int, name: str) -> Tensor:
        y = norm_relu(conv(width, 3, f"{name}_a")(x), f"{name}_a")
        y = conv(width, 3, f"{name}_b")(y)
        return norm_relu(layers.Add(name=f"{name}_add")([x, y]), f"{name}_b")

    def depthwise_block(x: Tensor, width: int, name: str) -> Tensor:
        # ConvNeXt's order (Liu et al. 2022); the last norm starts at zero, the block as identity.
        y = layers.DepthwiseConv2D(7, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
        y = conv(2 * width, 1, f"{name}_wide")(norm(y, f"{name}_depthwise"))
        y = conv(width, 1, f"{name}_narrow")(norm_relu(y, f"{name}_wide"))
        return layers.Add(name=f"{name}_add")([x, norm(y, f"{name}_narrow", "zeros")])

    def join(x: Tensor, side: int, width: int, extra: list[Tensor]) -> Tensor:
        parts = [conv.up(width, f"up_{side}")(x), *extra]
        for name, tap in scaled.items():
            if side == min(at[name], 56):
                if at[name] == 112:
                    tap = layers.AveragePooling2D(2, name=f"{name}_pool")(tap)
                parts.append(conv(width, 1, f"project_{name}")(tap))
        return norm_relu(layers.Add(name=f"join_{side}")(parts), f"join_{side}")

    def refine(x: Tensor, width: int) -> Tensor:
        # Edges at 112, added to what 56 knows, as the taps of that size show them.
        x = layers.UpSampling2D(interpolation="bilinear", name="up_112")(x)
        parts = [conv(width, 1, "narrow_112")(x)]
        for name, tap in scaled.items():
            if at[name] == 112:
                parts.append(conv(width, 1, f"refine_{name}")(tap))
        y = norm_relu(layers.Add(name="join_112")(parts), "join_112")
        y = norm_relu(conv(width, 3, "conv_112")(y), "conv_112")
        y = norm(conv(settings.width_56, 1, "wide_112")(y), "wide_112", "zeros")
        return layers.Add(name="add_112")([x, y])

    x = layers.MaxPooling2D(name="block5_pool")(scaled["block5_conv3"])
    x = norm_relu(conv(settings.width_7, 3, "conv_7")(x), "conv_7")
    x = drop(x, "7")
    pooled = layers.GlobalAveragePooling2D(name="global_pool")(x)
    everywhere = layers.Dense(settings.width_7, activation="relu", name="global_dense")(pooled)
    everywhere = layers.Dense(settings.width_28, name="global_feature")(everywhere)
    if settings.fusion:
        inputs["fusion"] = keras.Input((settings.fusion,), name="fusion")
        # Zero at first: a decoder that was trained without it starts as it was.
        joined = layers.Dense(settings.width_28, kernel_initializer="zeros", name="fusion_feature")
        everywhere = layers.Add(name="global_add")([everywhere, joined(inputs["fusion"])])
    everywhere = layers.Reshape((1, 1, settings.width_28), name="global_reshape")(everywhere)

    x = drop(join(x, 14, settings.width_14, []), "14")
    for i in range(settings.blocks):
        x = residual_block(x, settings.width_14, f"block_14_{i + 1}")
    x = drop(join(x, 28, settings.width_28, [everywhere]), "28")
    for i in range(settings.blocks):
        x = residual_block(x, settings.width_28, f"block_28_{i + 1}")
    for i in range(settings.depthwise_28):
        x = depthwise_block(x, settings.width_28, f"depthwise_28_{i + 1}")
    x = join(x, 56, settings.width_56, [])
    x = norm_relu(conv(settings.width_56, 3, "conv_56")(x), "conv_56")
    for i in range(settings.depthwise_56):
        x = depthwise_block(x, settings.width_56, f"depthwise_56_{i + 1}")
    if settings.width_112:
        x = refine(x, settings.width_112)
    return keras.Model(inputs, x, name="decoder")


def build_heads(settings: Decoder, bins: int) -> tuple[keras.Model, keras.Model]:
    """Build the two heads on the trunk's features [N, h, w, width].

    Returns (regression -> ab/128 [N, h, w, 2], distribution -> logits [N, h, w, bins]).
    """
    regularizer = _Conv(settings).regularizer()

    def head(width: int, name: str, scale: float) -> keras.Model:
        features = keras.Input((None, None, settings.width_56))
        out = layers.Conv2D(
            width, 1, name=name, kernel_initializer="glorot_uniform",
            kernel_regularizer=regularizer, dtype="float32",
        )(features)  # fmt: skip
        scaled = layers.Rescaling(scale, dtype="float32")(out)
        return keras.Model(features, scaled, name=f"{name}_head")

    # ab/128 is of the order of 0.1: scaled, a step of the optimiser moves both heads alike.
    return head(2, "regression", 0.1), head(bins, "distribution", 1.0)
