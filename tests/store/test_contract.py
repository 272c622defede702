"""The contract that a SavedModel must keep, and its description."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from skimage import data

from chromaserve.store.contract import ModelDescription, check_signatures, network_input
from chromaserve.store.errors import ContractMismatch

DESCRIPTION: dict[str, Any] = {
    "name": "colorizer",
    "contract_version": 1,
    "version": 3,
    "created": "2025-01-31T12:00:00Z",
    "licence": "Apache-2.0",
    "attribution": "VGG16 weights: Visual Geometry Group, CC BY 4.0",
    "default_vividness": 0.3,
    "guided_filter": {"radius": 8, "eps": 0.001},
    "postprocess": "tv",
    "training": {"rate": 0.001},
    "data": {"photos": 10},
    "metrics": {"psnr": 24.0, "psnr_grey": 22.5},
    "blend": {"asked": [0.0, 0.2], "contrast": [0.0, 0.3], "scale": [1.0, 2.0]},
    "cpu_engine": {"difference_ab": 0.07, "savedmodel_ms": [99.0, 80.0], "ncnn_ms": [50.0, 40.0]},
    "files": {"saved_model.pb": "0" * 64, "variables/variables.index": "f" * 64},
}


def signatures(
    folder: Path,
    *,
    size: int = 224,
    name: str = "L",
    output: str = "ab",
    dtype: tf.DType = tf.float32,
) -> Mapping[str, Callable[..., object]]:
    """Signatures of a SavedModel written to disk and loaded again."""

    def safe(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {output: tf.concat([inputs[name]] * 2, axis=-1)}

    def vivid(vividness: tf.Tensor, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scale = tf.cast(vividness, dtype)[:, None, None, None]
        return {output: tf.concat([inputs[name]] * 2, axis=-1) * scale}

    photo = {name: tf.TensorSpec([None, size, size, 1], dtype, name)}
    vividness = tf.TensorSpec([None], tf.float32, "vividness")
    concrete = {
        "serving_default": tf.function(safe).get_concrete_function(**photo),
        "vivid": tf.function(vivid).get_concrete_function(vividness=vividness, **photo),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=concrete)
    loaded: Mapping[str, Callable[..., object]] = tf.saved_model.load(str(folder)).signatures
    return loaded


def test_a_model_to_the_contract_is_accepted(tmp_path: Path) -> None:
    found = dict(signatures(tmp_path))
    check_signatures(found)
    found["palette"] = found["vivid"]
    check_signatures(found)


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda p: signatures(p, size=128), r"'L' has shape \(None, 128, 128, 1\), not"),
        (lambda p: signatures(p, output="colour"), r"output 'ab' is missing.*'colour' is not"),
        (lambda p: signatures(p, dtype=tf.float64), "'L' is float64, not float32"),
        (lambda p: signatures(p, name="x"), "vivid input 'L' is missing; vivid input 'x' is not"),
    ],
)
def test_what_differs_is_named(
    tmp_path: Path, build: Callable[[Path], Any], complaint: str
) -> None:
    with pytest.raises(ContractMismatch, match=complaint):
        check_signatures(build(tmp_path))


def test_missing_signatures_are_named() -> None:
    with pytest.raises(ContractMismatch, match=r"'serving_default' is missing.*'vivid' is missing"):
        check_signatures({})


def test_importing_the_store_does_not_load_tensorflow() -> None:
    code = "import chromaserve.store.versions, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_network_input_is_the_mean_of_what_a_pixel_covers() -> None:
    L = np.random.default_rng(0).uniform(0, 100, (672, 448)).astype(np.float32)
    squeezed = network_input(L)
    assert squeezed.shape == (224, 224, 1)
    assert squeezed.dtype == np.float32
    blocks = L.reshape(224, 3, 224, 2)
    np.testing.assert_allclose(squeezed[..., 0], blocks.mean(axis=(1, 3)), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (3000, 1), (100, 900), (224, 224), (7, 5)])
def test_network_input_takes_any_size_and_keeps_range_and_level(shape: tuple[int, int]) -> None:
    L = np.full(shape, 63.5, np.float32)
    np.testing.assert_allclose(network_input(L), np.full((224, 224, 1), 63.5), atol=1e-4)
    L[::2] = 100
    assert 63 <= network_input(L).min() <= network_input(L).max() <= 100


def test_network_input_shrinks_one_axis_and_enlarges_the_other() -> None:
    L = np.tile(np.array([0, 100] * 224, np.float32), (10, 1))
    np.testing.assert_allclose(network_input(L), np.full((224, 224, 1), 50), atol=1e-3)


def test_network_input_leaves_the_photo_alone() -> None:
    L = getattr(data, "camera")().astype(np.float32)  # noqa: B009 - it is untyped
    before = L.copy()
    assert network_input(L).max() == 100
    np.testing.assert_array_equal(L, before)


def test_network_input_refuses_other_arrays() -> None:
    with pytest.raises(ValueError, match=r"\[H, W\]"):
        network_input(np.zeros((4, 4, 1), np.float32))
    with pytest.raises(ValueError, match="float32"):
        network_input(np.zeros((4, 4), np.float64))


def test_a_description_survives_json() -> None:
    description = ModelDescription.model_validate_json(json.dumps(DESCRIPTION))
    assert ModelDescription.model_validate_json(description.model_dump_json()) == description
    assert json.loads(description.model_dump_json()) == DESCRIPTION


@pytest.mark.parametrize(
    "change",
    [
        {"default_vividness": 1.5},
        {"default_vividness": "0.5"},
        {"created": "2025-01-31T12:00:00"},
        {"created": "2025-01-31T12:00:00+02:00"},
        {"created": "yesterday"},
        {"guided_filter": {"radius": 8.5, "eps": 0.001}},
        {"guided_filter": {"radius": 8, "eps": 0.0}},
        {"postprocess": "blur"},
        {"version": "3"},
        {"surprise": 1},
        {"files": {"../outside": "0" * 64}},
        {"files": {"/etc/passwd": "0" * 64}},
        {"files": {"a/../../b": "0" * 64}},
        {"files": {"C:\\b": "0" * 64}},
        {"files": {".": "0" * 64}},
        {"files": {"": "0" * 64}},
        {"files": {"saved_model.pb": "short"}},
    ],
)
def test_a_wrong_description_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        ModelDescription.model_validate_json(json.dumps(DESCRIPTION | change))


def test_a_description_from_before_post_processing_could_be_chosen() -> None:
    fields = {key: value for key, value in DESCRIPTION.items() if key != "postprocess"}
    assert ModelDescription.model_validate_json(json.dumps(fields)).postprocess == "guided"


@pytest.mark.parametrize("field", ["name", "licence", "default_vividness", "guided_filter"])
def test_a_description_without_a_field_is_refused(field: str) -> None:
    fields = {key: value for key, value in DESCRIPTION.items() if key != field}
    with pytest.raises(ValidationError, match=field):
        ModelDescription.model_validate_json(json.dumps(fields))
