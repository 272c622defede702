"""VGG16 in numbers, for what has to know it without Keras, whose import takes long."""

from .config import TAP_NAMES, Config, Decoder

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
BGR_MEAN = (103.939, 116.779, 123.68)
# Tap -> (side, channels) as the decoder takes it: the two finest are average-pooled to 56x56.
TAP_SHAPES = {
    "block1_conv2": (56, 64),
    "block2_conv2": (56, 128),
    "block3_conv3": (56, 256),
    "block4_conv3": (28, 512),
    "block5_conv3": (14, 512),
}


def pool_factors(settings: Decoder) -> dict[str, int]:
    """By how much the decoder takes each tap coarser than the encoder gives it."""
    if settings.width_112:
        return {name: 2 if name == "block1_conv2" else 1 for name in TAP_SHAPES}
    return {"block1_conv2": 4, "block2_conv2": 2} | dict.fromkeys(list(TAP_SHAPES)[2:], 1)


def frozen_taps(config: Config) -> tuple[str, ...]:
    """The taps of the encoder's frozen blocks."""
    first = config.encoder.trainable_from
    return TAP_NAMES if first is None else TAP_NAMES[: int(first.removeprefix("block")) - 1]
