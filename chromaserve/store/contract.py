"""What training and serving agree on: tensor names, shapes and ranges, and model.json."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from chromaserve.store.errors import ContractMismatch

CONTRACT_VERSION: Final = 1
NETWORK_SIZE: Final = 224
MODEL_NAME: Final = "colorizer"

_Tensors = dict[str, tuple[int | None, ...]]
_PLANE = (None, NETWORK_SIZE, NETWORK_SIZE)

# Signature → (inputs, outputs): shapes; every tensor is float32. L in [0, 100], vividness in
# [0, 1], ab in Lab units. serving_default gives the safest colours: those of vividness 0.
SIGNATURES: Final[dict[str, tuple[_Tensors, _Tensors]]] = {
    "serving_default": ({"L": (*_PLANE, 1)}, {"ab": (*_PLANE, 2)}),
    "vivid": ({"L": (*_PLANE, 1), "vividness": (None,)}, {"ab": (*_PLANE, 2)}),
}

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


Postprocess = Literal["none", "guided", "tv", "crf"]
"""How chroma comes to a photo's own size: see `chromaserve.color.postprocess.enlarge_ab`."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class GuidedFilter(_Record):
    """Settings of `chromaserve.color.upsampling.local_model` that the model was tuned with."""

    radius: int = Field(ge=0, lt=NETWORK_SIZE)  # pixels at 224 × 224; 0 = plain bilinear
    eps: float = Field(gt=0)  # regularisation, in units of (L / 100)²


class Blend(_Record):
    """How vividness 0 to 1 becomes colours, in even steps: `chromaserve.color.vividness`."""

    asked: tuple[float, ...] = Field(min_length=2, strict=False)  # of the network: its vividness
    contrast: tuple[float, ...] = Field(strict=False)  # share of the mean colour that is taken out
    scale: tuple[float, ...] = Field(strict=False)  # of what is left

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if not len(self.asked) == len(self.contrast) == len(self.scale):
            raise ValueError("asked, contrast and scale have a value for each step")
        if not all(0 <= each <= 1 for each in (*self.asked, *self.contrast)):
            raise ValueError("asked and contrast are 0 to 1")
        if (self.asked[0], self.contrast[0], self.scale[0]) != (0, 0, 1):
            raise ValueError("vividness 0 is the network's")
        return self


class CpuEngine(_Record):
    """What the conversion for the CPU engine came to, on the machine that made it."""

    difference_ab: float = Field(ge=0)  # the largest from the SavedModel's answers, Lab units
    savedmodel_ms: tuple[float, float] = Field(strict=False)  # of one photo: alone, in a full batch
    ncnn_ms: tuple[float, float] = Field(strict=False)


class Calibration(_Record):
    """What a version's confidence goes by: see `chromaserve.color.confidence`."""

    weights: tuple[
        Annotated[float, Field(ge=0)],
        Annotated[float, Field(ge=0)],
        Annotated[float, Field(ge=0)],
        Annotated[float, Field(gt=0)],
    ] = Field(strict=False)  # of the parts of the squared error; the last one in Lab units²
    even: float = Field(gt=0)  # the expected error, Lab units, at which confidence is a half
    steepness: float = Field(gt=0)  # how fast it falls around there


class ModelDescription(_Record):
    """model.json: what a stored version is, where it comes from and how good it is."""

    name: str = Field(min_length=1)
    contract_version: int = CONTRACT_VERSION
    version: int = Field(default=0, ge=0)  # 0: not published yet
    created: Annotated[AwareDatetime, Field(strict=False)]  # ISO 8601, UTC
    licence: str = Field(min_length=1)
    attribution: str
    default_vividness: float = Field(ge=0, le=1)
    guided_filter: GuidedFilter
    postprocess: Postprocess = "guided"  # where a request names none
    training: dict[str, Any]  # configuration
    data: dict[str, Any]  # summary of the photos
    metrics: dict[str, Any]  # with their baselines
    blend: Blend | None = None  # None: vividness is the network's own
    cpu_engine: CpuEngine | None = None  # None: it has no such files
    confidence: Calibration | None = None  # None: it was not calibrated
    files: dict[str, Sha256] = {}  # path relative to the version's folder → checksum

    @field_validator("created")
    @classmethod
    def _in_utc(cls, created: AwareDatetime) -> AwareDatetime:
        if created.utcoffset():
            raise ValueError("must be in UTC")
        return created

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for path in files:
            pure = PurePosixPath(path)
            if path != str(pure) or pure.is_absolute() or {"..", "."} & {*pure.parts, path}:
                raise ValueError(f"{path!r} is not a plain path inside the version's folder")
            if "\\" in path or ":" in path or "\0" in path:
                raise ValueError(f"{path!r} holds a character that is not portable in a path")
        return files


def network_input(L: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squeeze a whole photo to the network's input; the aspect ratio is not kept.

    Args:
        L: float32 [H, W] in [0, 100], any size from 1 × 1.

    Returns:
        float32 [224, 224, 1], clipped to [0, 100].

    Raises:
        ValueError: for another shape or dtype.
    """
    if L.ndim != 2 or not L.size or L.dtype != np.float32:
        raise ValueError(f"L must be float32 [H, W], not {L.dtype} {list(L.shape)}")
    squeezed = squeeze(L, NETWORK_SIZE, NETWORK_SIZE)
    return np.clip(squeezed, 0, 100)[:, :, np.newaxis]


def squeeze(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize float32 [H, W] or [H, W, C]: area means along an axis that shrinks, else linear."""
    rows, columns = plane.shape[:2]
    smaller = (min(width, columns), min(height, rows))
    if smaller != (columns, rows):
        plane = _resize(plane, smaller, cv2.INTER_AREA)
    if smaller != (width, height):
        plane = _resize(plane, (width, height), cv2.INTER_LINEAR)
    return plane


def _resize(
    plane: NDArray[np.float32], size: tuple[int, int], interpolation: int
) -> NDArray[np.float32]:
    resized = np.asarray(cv2.resize(plane, size, interpolation=interpolation), np.float32)
    return resized.reshape(size[1], size[0], *plane.shape[2:])


def check_signatures(signatures: Mapping[str, Any]) -> None:
    """Check that a loaded SavedModel speaks this contract.

    Args:
        signatures: ``tf.saved_model.load(path).signatures``. Signatures beyond the contract's are
            allowed: new ones may come, these never change meaning.

    Raises:
        ContractMismatch: naming every signature, tensor, dtype or shape that differs.
    """
    problems: list[str] = []
    for name, (inputs, outputs) in SIGNATURES.items():
        if name not in signatures:
            problems.append(f"signature {name!r} is missing")
            continue
        function = signatures[name]
        problems += _differences(f"{name} input", inputs, function.structured_input_signature[1])
        problems += _differences(f"{name} output", outputs, function.structured_outputs)
    if problems:
        raise ContractMismatch(
            f"The SavedModel differs from contract {CONTRACT_VERSION}: {'; '.join(problems)}."
        )


def _differences(where: str, expected: _Tensors, found: Mapping[str, Any]) -> list[str]:
    problems = [f"{where} {name!r} is missing" for name in expected.keys() - found.keys()]
    problems += [f"{where} {name!r} is not expected" for name in found.keys() - expected.keys()]
    for name in sorted(expected.keys() & found.keys()):
        spec = found[name]
        if spec.dtype.name != "float32":
            problems.append(f"{where} {name!r} is {spec.dtype.name}, not float32")
        shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
        if shape != expected[name]:
            problems.append(f"{where} {name!r} has shape {shape}, not {expected[name]}")
    return sorted(problems)
