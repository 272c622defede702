"""The models in the protocol's sense, and what metadata says of them."""

from dataclasses import dataclass
from typing import Any

from chromaserve.store.contract import MODEL_NAME, NETWORK_SIZE
from chromaserve.store.errors import ModelNotFound

EXTENSIONS = ("binary_tensor_data", "parameters")


@dataclass(frozen=True)
class TensorSpec:
    """A tensor's name, datatype and shape; -1 stands for the number of photos."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def metadata(self) -> dict[str, Any]:
        """The protocol's `metadata_tensor`."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class ProtocolModel:
    """A model that clients ask for by name; both run the same versions of the same network."""

    name: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    """The first is required, others are optional."""
    output: TensorSpec
    parameters: frozenset[str]
    """Options that a request's `parameters` may hold."""

    def metadata(self, versions: list[int]) -> dict[str, Any]:
        """The protocol's `metadata_model_response`."""
        return {
            "name": self.name,
            "versions": [str(version) for version in versions],
            "platform": self.platform,
            "inputs": [spec.metadata() for spec in self.inputs],
            "outputs": [self.output.metadata()],
        }


_PLANE = (-1, NETWORK_SIZE, NETWORK_SIZE)
_COMMON = frozenset({"vividness", "deadline_s"})

LIGHTNESS = TensorSpec("L", "FP32", (*_PLANE, 1))
VIVIDNESS = TensorSpec("vividness", "FP32", (-1,))
NETWORK = ProtocolModel(
    MODEL_NAME,
    "tensorflow_savedmodel",
    (LIGHTNESS, VIVIDNESS),
    TensorSpec("ab", "FP32", (*_PLANE, 2)),
    _COMMON,
)
"""The bare network: L to ab at its own size."""

PHOTOS = ProtocolModel(
    f"{MODEL_NAME}-photo",
    "chromaserve",
    (TensorSpec("photo", "BYTES", (-1,)),),
    TensorSpec("image", "BYTES", (-1,)),
    _COMMON | {"postprocess", "format"},
)
"""Encoded photos to encoded photos, as POST /colorize."""

MODELS = {model.name: model for model in (NETWORK, PHOTOS)}


def find(name: str) -> ProtocolModel:
    """The model of that name; ModelNotFound if there is none."""
    try:
        return MODELS[name]
    except KeyError:
        known = " and ".join(MODELS)
        raise ModelNotFound(f"There is no model {name[:50]!r}. There are {known}.") from None
