"""An experiment's settings: one TOML file, read once and passed down."""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chromaserve.store.contract import ModelDescription, Postprocess

from .errors import DataError, WeightsError

TAP_NAMES = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")


class Section(BaseModel):
    """A table of the file: frozen, and a misspelt key is an error rather than a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """Which photos, and how they are split."""

    train: tuple[str, ...] = Field(("train",), description="folders below the photo root")
    val: tuple[str, ...] = Field((), description="folders")
    test: tuple[str, ...] = Field((), description="folders that no decision looks at")
    val_fraction: float | None = Field(
        None, ge=0, lt=1,
        description="of the training photos, by hash, that validate too; absent: none, "
        "but 0.05 where `val` is empty",
    )  # fmt: skip
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
    width_112: int = Field(
        0, ge=0, description="of the refinement to half of the input's side; 0: a quarter"
    )
    blocks: int = Field(1, ge=0, description="residual blocks at 14 and 28")
    depthwise_28: int = Field(0, ge=0, description="cheap 7x7 depthwise blocks at 28, after those")
    depthwise_56: int = Field(0, ge=0, description="the same at 56")
    dropout: float = Field(0.0, ge=0, lt=1, description="of whole channels, at 7, 14 and 28")
    fusion: int = Field(
        0, ge=0, description="width of the features of the network trained apart that join; 0: none"
    )
    l1: float = Field(0.0, ge=0, description="L1 strength on convolution kernels")
    l2: float = Field(0.0, ge=0, description="L2 strength on convolution kernels")


class Views(Section):
    """The views of a training photo, each drawn anew: see `training.views`."""

    plain: bool = Field(False, description="each photo as it is, whole; none of the following")
    side: int = Field(224, ge=32, multiple_of=32, description="of a view, pixels")
    native: float = Field(
        0.5, ge=0, le=1, description="chance of a crop at the size that objects have at 224"
    )
    min_area: float = Field(
        0.35, gt=0, le=1, description="of other crops, a share of the photo, but not below native"
    )
    tone: float = Field(0.5, ge=0, le=1, description="chance of another gamma")
    gamma: float = Field(0.4, ge=0, description="largest |log gamma|")
    fade: float = Field(0.25, ge=0, le=1, description="chance of less contrast")
    min_contrast: float = Field(0.3, gt=0, le=1, description="least span of L left, a share")
    film: float = Field(0.2, ge=0, le=1, description="chance of another film's sensitivity")
    vignette: float = Field(0.1, ge=0, le=1, description="chance of darker corners")
    blur: float = Field(0.15, ge=0, le=1, description="chance of a soft picture")
    max_blur: float = Field(1.5, ge=0, description="largest sigma, pixels")
    grain: float = Field(0.2, ge=0, le=1, description="chance of grain")
    max_grain: float = Field(8.0, ge=0, description="largest standard deviation, in L")
    jpeg: float = Field(0.25, ge=0, le=1, description="chance of another compression")
    min_quality: int = Field(25, ge=1, le=95, description="least JPEG quality")


class Train(Section):
    """The optimisation of `training.train`."""

    start_from: str | None = Field(
        None, description="weights to start from: a run's .npz, or a published version's folder"
    )
    views_per_epoch: int = Field(4096, ge=1, description="between validations and checkpoints")
    epochs: int = Field(10, ge=1)
    minutes: float | None = Field(
        None, gt=0, description="ends the fit after so long; the rate then falls by the clock"
    )
    batch: int = Field(16, ge=1)
    workers: int = Field(2, ge=1, description="threads that make batches")
    processes: int = Field(0, ge=0, description="processes behind them; 0: the threads themselves")
    buffer: int = Field(
        65_536, ge=1, description="photos that shuffling looks ahead; fewer than some shards hold, "
        "and an epoch is of few sources",
    )  # fmt: skip
    frozen: Literal["keras", "ncnn"] = Field(
        "keras", description="what computes the frozen blocks; ncnn: on the workers"
    )
    cache_gb: float = Field(
        0.0, ge=0, description="of taps of plain photos kept on disk, at most; 0: none"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    learning_rate: float = Field(1e-3, gt=0)
    encoder_factor: float = Field(0.1, ge=0, description="of the rate, for the encoder's blocks")
    warmup: int = Field(200, ge=0, description="steps")
    decay: float = Field(1.0, ge=0, le=1, description="share of the steps in which the rate falls")
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    ema_momentum: float = Field(0.998, ge=0, lt=1, description="moving average of the weights")
    regression_loss: Literal["mse", "log_mse"] = "log_mse"
    log_mse_floor: float = Field(6.0, gt=0, description="Lab units")
    regression_weight: float = Field(1.0, ge=0)
    distribution_weight: float = Field(0.15, ge=0)
    rebalance: float = Field(0.5, ge=0, le=1, description="1: plain cross-entropy")
    patience: int = Field(1000, ge=1, description="epochs without a lower validation loss")
    val_photos: int = Field(96, ge=1, description="evenly spaced ones that an epoch ends with")


class Fusion(Section):
    """The network trained apart, whose features join the decoder (`[decoder] fusion`)."""

    photos: int = Field(6000, ge=1, description="of a split, evenly spaced, that it sees")
    hidden: int = Field(512, ge=1, description="width before the features")
    bin_step: int = Field(20, ge=5, description="Lab units; of the ab histogram that it predicts")
    epochs: int = Field(30, ge=1)
    batch: int = Field(256, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    dropout: float = Field(0.3, ge=0, lt=1)
    weight_decay: float = Field(1e-2, ge=0)


class Publish(Section):
    """What the exported model does at serving time; `publish` measures the first five."""

    temperature: float = Field(0.25, gt=0, description="of the distribution's annealed mean")
    safe_scale: float = Field(1.0, gt=0, description="factor of chroma at vividness 0")
    vivid_scale: float = Field(1.0, gt=0, description="factor of chroma at vividness 1")
    shares: tuple[float, ...] = Field(
        (0.0, 1.0), description="the distribution's share at vividness evenly spaced over [0, 1]"
    )
    default_vividness: float = Field(0.4, ge=0, le=1)
    default_colourfulness: float = Field(
        0.8, gt=0, le=1, description="share of the truth's that the default vividness is to reach"
    )
    postprocess: Postprocess = Field("guided", description="of requests that ask for none")
    guided_radius: int = Field(8, ge=0)
    guided_eps: float = Field(1e-3, gt=0)
    licence: str = Field(
        "Apache-2.0; encoder weights CC BY 4.0", description="of the model; its card names it"
    )


class Thesis(Section):
    """The thesis's experiment: four models that differ in their regularisation only."""

    epochs: int | None = Field(None, ge=1, description="of a shortened run; none: train's epochs")
    train_photos: int | None = Field(
        None, ge=1, description="a sample of the training photos by their hash; none: all"
    )
    l1: float = Field(0.0, ge=0, description="L1 strength of the models with it")
    l2: float = Field(0.0, ge=0, description="L2 strength of the models with it")
    people: tuple[str, ...] = Field((), description="which of the photos shown are of people")
    seeds: tuple[int, ...] = Field((7,), min_length=1, description="the four are trained by each")


class Config(Section):
    """A whole experiment."""

    name: str
    seed: int = 0
    data: Data = Data()
    encoder: Encoder = Encoder()
    decoder: Decoder = Decoder()
    views: Views = Views()
    train: Train = Train()
    fusion: Fusion = Fusion()
    publish: Publish = Publish()
    thesis: Thesis = Thesis()

    @model_validator(mode="after")
    def _ncnn_reaches_what_is_unfrozen(self) -> Self:
        low = self.encoder.trainable_from in ("block1", "block2", "block3")
        if low and self.train.frozen == "ncnn":
            raise ValueError(
                'frozen = "ncnn" is for a frozen encoder, or trainable_from = "block4" or "block5"'
            )
        return self


def run_config(folder: Path) -> Config:
    """Read a run's config.json; sections that an older version of this program had are left out.

    Raises FileNotFoundError, pydantic.ValidationError, DataError where it is no JSON.
    """
    path = folder / "config.json"
    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError as e:
        raise DataError(f"{path} is no JSON: {e}") from None
    return Config.model_validate({n: v for n, v in settings.items() if n in Config.model_fields})


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises pydantic.ValidationError for unknown keys or values out of range, DataError for a file
    that is no TOML.
    """
    return Config.model_validate(read_toml(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file's tables. Raises DataError for one that is no TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except ValueError as e:  # of the characters, too
        raise DataError(f"{path} is no TOML: {e}") from None


def own_training(description: ModelDescription) -> dict[str, Any]:
    """What a version's model.json says of its training.

    Raises WeightsError for a version that was not made by this program.
    """
    if "decoder" not in description.training:
        raise WeightsError(f"version {description.version} was not made by this program")
    return description.training
