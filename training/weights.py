"""A model's weights as .npz: from one backend to another, and to a later step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from .errors import WeightsError
from .model import ColorizationModel
from .network import read_npz

Float = NDArray[np.float32]


def named_weights(model: ColorizationModel) -> dict[str, keras.Variable]:
    """Every weight by "part:layer/weight", but for random generators' states."""
    named = {
        f"{part.name}:{weight.path}": weight
        for part in model.parts
        for weight in part.weights
        if "seed_generator" not in weight.path
    }
    return named | {"bin_weights": model.bin_weights}


def save_npz(path: Path, model: ColorizationModel) -> None:
    """Write all weights as float32 in one .npz, whole or not at all."""
    arrays = {
        name: ops.convert_to_numpy(weight.value).astype(np.float32)
        for name, weight in named_weights(model).items()
    }
    _write(path, arrays)


def halve(source: Path, out: Path) -> None:
    """Copy a .npz with its kernels in float16, vectors (biases, normalisation) as they are."""
    values = read_npz(source).items()
    _write(out, {n: v.astype(np.float16) if v.ndim > 1 else v for n, v in values})


def average_npz(sources: Sequence[Path], out: Path) -> None:
    """Write the mean of several weights of one network (Wortsman et al. 2022, "Model soups").

    Of a version and of what went on from it on other photos, the mean keeps most of what either
    knows (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    sources: runs' .npz, or published versions' folders, which lack what training alone needs.
    Raises WeightsError when they aren't of the same network.
    """
    loaded = [read_weights(source) for source in sources]
    whole = max(loaded, key=len)
    for source, arrays in zip(sources, loaded, strict=True):
        names = arrays.keys() & whole.keys() if source.is_dir() else whole.keys()
        if arrays.keys() != names or any(arrays[n].shape != whole[n].shape for n in names):
            raise WeightsError(f"{source} is of another network than {sources[0]}")
    of = {name: [arrays[name] for arrays in loaded if name in arrays] for name in whole}
    _write(out, {name: np.asarray(np.mean(each, 0, np.float32)) for name, each in of.items()})


def read_weights(source: Path) -> Mapping[str, NDArray[Any]]:
    """Weights by the names of `named_weights`, of a run's .npz or a published version's folder.

    Raises WeightsError where there is neither, or a part of one.
    """
    if source.is_file():
        return read_npz(source)
    if not (source / "model.json").is_file():
        raise WeightsError(f"no weights at {source}")
    from .export import published_weights  # needs TensorFlow

    return published_weights(source)


def _write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    partial = path.with_suffix(".part.npz")
    try:
        np.savez(partial, allow_pickle=False, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def assign(
    model: ColorizationModel, arrays: Mapping[str, NDArray[Any]], grow: bool = False
) -> list[str]:
    """Set the weights that `arrays` names; returns the names of the others.

    grow: a weight that is larger here takes what is there as its first part and keeps its own start
    in the rest; of any other shape it is left as it is. Else another shape raises WeightsError.
    """
    left = []
    for name, weight in named_weights(model).items():
        value = np.asarray(arrays[name], np.float32) if name in arrays else None
        shape = tuple(weight.shape)
        if value is not None and value.shape != shape:
            if not grow:
                raise WeightsError(f"{name} is {list(value.shape)}, not {list(shape)}")
            value = _grown(name, value, np.array(ops.convert_to_numpy(weight.value)))
        if value is None:
            left.append(name)
        else:
            weight.assign(value)
    return left


def _grown(name: str, value: Float, own: Float) -> Float | None:
    if value.ndim != own.ndim or any(a > b for a, b in zip(value.shape, own.shape, strict=True)):
        return None
    if own.ndim == 4:
        # Old outputs don't see new inputs at first: the function stays what it was. Of a transposed
        # convolution's kernel the inputs are the last axis.
        inputs = 3 if "/up_" in name or ":up_" in name else 2
        own = np.moveaxis(own, inputs, 0)
        own[value.shape[inputs] :] = 0
        own = np.moveaxis(own, 0, inputs)
    own[tuple(slice(n) for n in value.shape)] = value
    return own


def load_npz(path: Path, model: ColorizationModel) -> list[str]:
    """Read what `save_npz` wrote, as `assign` does."""
    return assign(model, read_weights(path))
