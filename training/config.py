"""An experiment's settings: one TOML file, read once and passed down."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

TAP_NAMES = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")


class Section(BaseModel):
    """A table of the file: frozen, and a misspelt key is an error rather than a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Which photos, and how they are split."""

    train: tuple[str, ...] = Field(("train",), description="folders below the photo root")
    val: tuple[str, ...] = Field((), description="folders; empty: split `train` by file hash")
    val_fraction: float = Field(0.05, ge=0, lt=1, description="used when `val` is empty")
    manifest: str | None = Field(None, description="CSV below the root with columns file, kind")
    min_side: int = Field(64, ge=8, description="pixels; smaller photos are skipped")
    min_chroma: float = Field(2.0, ge=0, description="mean chroma below which a photo is grey")


class Encoder(Section):
    """VGG16's first 18 layers."""

    weights: str = Field("imagenet", description='"imagenet", the path of an .npz, or "none"')
    trainable_from: Literal["block1", "block2", "block3", "block4", "block5"] | None = Field(
        None, description="first trainable block; absent: all frozen; block1: all trainable"
    )


class Decoder(Section):
    """Widths and heads of the network that turns taps into chroma."""

    taps: tuple[str, ...] = TAP_NAMES
    width_7: int = 384
    width_14: int = 256
    width_28: int = 160
    width_56: int = 64
    blocks: int = Field(1, ge=0, description="residual blocks at 14 and 28")
    dropout: float = Field(0.0, ge=0, lt=1)
    l1: float = Field(0.0, ge=0, description="L1 strength on convolution kernels")
    l2: float = Field(0.0, ge=0, description="L2 strength on convolution kernels")


class Cache(Section):
    """The frozen encoder's taps on disk."""

    limit_gb: float = Field(40.0, gt=0, description="refuse to write more than this")
    mirror: tuple[str, ...] = Field(("train",), description="folders whose mirror images are kept")
    engine: Literal["auto", "ncnn", "tensorflow"] = "auto"
    workers: int = Field(2, ge=1)


class Fit(Section):
    """The optimisation."""

    epochs: int = Field(10, ge=1, description="passes of `images_per_epoch` images")
    images_per_epoch: int | None = Field(None, description="none: every training image once")
    weights_by_folder: dict[str, float] = Field(
        {}, description="how much oftener than 1 an image of a folder is drawn"
    )
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    encoder_learning_rate: float = Field(1e-5, gt=0, description="for unfrozen encoder blocks")
    warmup_steps: int = Field(200, ge=0)
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    regression_loss: Literal["mse", "log_mse"] = "mse"
    log_mse_floor: float = Field(
        4.0, gt=0, description="Lab units; rms error below which log_mse stops caring"
    )
    regression_weight: float = Field(1.0, ge=0)
    distribution_weight: float = Field(0.1, ge=0)
    rebalance: float = Field(0.5, ge=0, le=1, description="lambda of Zhang et al. 2016, eq. 4")
    patience: int = Field(1000, ge=1, description="epochs without progress before stopping")


class Publish(Section):
    """What the exported model does at serving time."""

    temperature_low: float = Field(0.38, gt=0, description="annealed mean at vividness 1")
    temperature_high: float = Field(1.0, gt=0, description="annealed mean as vividness nears 0")
    default_vividness: float = Field(0.3, ge=0, le=1)
    guided_radius: int = Field(8, ge=0)
    guided_eps: float = Field(1e-3, gt=0)


class Config(Section):
    """A whole experiment."""

    name: str
    seed: int = 0
    data: Data = Data()
    encoder: Encoder = Encoder()
    decoder: Decoder = Decoder()
    cache: Cache = Cache()
    fit: Fit = Fit()
    publish: Publish = Publish()


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises pydantic.ValidationError for unknown keys or values out of range,
    tomllib.TOMLDecodeError for broken TOML.
    """
    return Config.model_validate(tomllib.loads(path.read_text()))
