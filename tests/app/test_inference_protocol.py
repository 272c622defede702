"""The Open Inference Protocol as Triton's own client speaks it, against a running server."""

import asyncio
import base64
import gzip
import json
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from app.open_inference.message import JSON_MEMORY, MAX_JSON, json_length
from chromaserve.errors import BodyTooLarge
from chromaserve.store.contract import NETWORK_SIZE
from chromaserve.store.versions import ModelStore
from tests.conftest import Server
from tests.sample_photos import decoded, encoded, lightness, load, raw, small

INFER = "/v2/models/colorizer/infer"
PHOTO_INFER = "/v2/models/colorizer-photo/infer"
SHAPE = [NETWORK_SIZE, NETWORK_SIZE, 1]
TWO, VIVIDNESS = ("camera.png", "coffee.png"), np.array([0.0, 0.9], np.float32)


@contextmanager
def client_of(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://"), concurrency=8) as made:
        yield made


@pytest.fixture(scope="module")
def client(small_server: Server) -> Iterator[triton.InferenceServerClient]:
    """Of a small network: what it answers is looked at in one test."""
    with client_of(small_server) as made:
        yield made


@pytest.fixture(scope="module")
def http(small_http: httpx.Client) -> httpx.Client:
    """Of the same."""
    return small_http


def planes(*names: str) -> NDArray[np.float32]:
    """L of photos at the network's size, [N, 224, 224, 1]."""
    size = (NETWORK_SIZE, NETWORK_SIZE)
    resized = [cv2.resize(lightness(load(name)), size) for name in names]
    return np.stack(resized)[..., None].astype(np.float32)


def tensor(name: str, value: NDArray[Any], *, binary: bool = True) -> Any:  # noqa: ANN401
    datatype = "BYTES" if value.dtype == object else "FP32"
    given = triton.InferInput(name, list(value.shape), datatype)
    return given.set_data_from_numpy(value, binary_data=binary)


def photos(*data: bytes) -> NDArray[np.object_]:
    return np.array(data, dtype=object)


def request(**more: object) -> dict[str, Any]:
    """A plain request to `colorizer`: one grey plane in JSON."""
    data = [50.0] * NETWORK_SIZE**2
    plane = {"name": "L", "datatype": "FP32", "shape": [1, *SHAPE], "data": data}
    return {"inputs": [plane | more]}


@cache
def own_answer(model_root: Path) -> NDArray[np.float32]:
    """The SavedModel's to `planes` of two photos, at the vividness of each."""
    import tensorflow as tf

    model = tf.saved_model.load(str(ModelStore(model_root).resolve("latest").path))
    L, vividness = map(tf.constant, (planes(*TWO), VIVIDNESS))
    return np.asarray(model.signatures["vivid"](L=L, vividness=vividness)["ab"])


def test_health_and_metadata(client: triton.InferenceServerClient, http: httpx.Client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    server = client.get_server_metadata()
    assert server["name"] == "chromaserve"
    assert "binary_tensor_data" in server["extensions"]
    default = next(m for m in http.get("/models").json()["models"] if m["default"])["version"]
    assert client.is_model_ready("colorizer")
    assert client.is_model_ready("colorizer-photo", str(default))
    assert not client.is_model_ready("colorizer", "999")
    model = client.get_model_metadata("colorizer")
    assert str(default) in model["versions"]
    assert model["inputs"][0] == {"name": "L", "datatype": "FP32", "shape": [-1, *SHAPE]}
    assert model["outputs"] == [{"name": "ab", "datatype": "FP32", "shape": [-1, 224, 224, 2]}]
    photo = client.get_model_metadata("colorizer-photo", str(default))
    assert [t["datatype"] for t in photo["inputs"] + photo["outputs"]] == ["BYTES", "BYTES"]
    index = client.get_model_repository_index()
    ready = {"name": "colorizer", "version": str(default), "state": "READY", "reason": ""}
    assert ready in index
    assert {entry["name"] for entry in index} == {"colorizer", "colorizer-photo"}


@pytest.mark.slow
@pytest.mark.parametrize("binary", [True, False])
def test_ab_is_the_networks_own(server: Server, model_root: Path, binary: bool) -> None:
    L, vividness = planes(*TWO), VIVIDNESS
    with client_of(server) as client:
        answer = client.infer(
            "colorizer",
            [tensor("L", L, binary=binary), tensor("vividness", vividness, binary=binary)],
            request_id="order-66",
            outputs=[triton.InferRequestedOutput("ab", binary_data=binary)],
        )
    told = answer.get_response()
    assert (told["model_name"], told["id"]) == ("colorizer", "order-66")
    expected = own_answer(model_root)
    ab = answer.as_numpy("ab")
    assert ab.shape == expected.shape
    # Batches of other sizes sum in another order, and a converted engine may differ a little.
    assert np.abs(ab - expected).max() < 0.5


def test_vividness_as_a_parameter_is_that_of_every_row(
    client: triton.InferenceServerClient,
) -> None:
    L = planes("coffee.png")
    as_tensor = client.infer(
        "colorizer", [tensor("L", L), tensor("vividness", np.array([0.2], np.float32))]
    )
    as_parameter = client.infer("colorizer", [tensor("L", L)], parameters={"vividness": 0.2})
    other = client.infer("colorizer", [tensor("L", L)], parameters={"vividness": 1.0})
    ab = as_parameter.as_numpy("ab")
    np.testing.assert_allclose(ab, as_tensor.as_numpy("ab"), atol=1e-3)
    assert np.abs(ab - other.as_numpy("ab")).max() > 1


def test_photos_come_back_as_from_colorize(
    client: triton.InferenceServerClient, http: httpx.Client
) -> None:
    given = [raw("camera.png"), encoded(small("LA"), "PNG")]
    options: dict[str, str | float] = {"vividness": 0.3, "postprocess": "tv"}
    answer = client.infer(
        "colorizer-photo",
        [tensor("photo", photos(*given))],
        parameters={**options, "postprocess": "tv"},
    )
    images = answer.as_numpy("image")
    assert images.shape == (2,)
    for image, photo in zip(images, given, strict=True):
        expected = http.post(
            "/colorize", files={"file": photo}, params={**options, "postprocess": "tv"}
        )
        difference = decoded(image).astype(int) - decoded(expected.content)
        assert np.abs(difference).max() <= 1  # a batch's size moves a rounding
    alone = [client.infer("colorizer-photo", [tensor("photo", photos(given[0]))]) for _ in "ab"]
    plain = http.post("/colorize", files={"file": given[0]}).content
    assert [one.as_numpy("image")[0] for one in alone] == [plain, plain]


def test_photos_in_json_are_base64(http: httpx.Client) -> None:
    given = raw("camera.png")
    photo = {
        "name": "photo",
        "datatype": "BYTES",
        "shape": [1],
        "data": [base64.b64encode(given).decode()],
    }
    answer = http.post(PHOTO_INFER, json={"inputs": [photo], "parameters": {"format": "jpeg"}})
    output = answer.json()["outputs"][0]
    assert (output["shape"], output["parameters"]) == ([1], {"content_type": "base64"})
    expected = http.post("/colorize?format=jpeg", files={"file": given}).content
    assert base64.b64decode(output["data"][0]) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"data": ["no base64!"]}, (400, "malformed-body")),
        ({"data": [7]}, (400, "malformed-body")),
        ({"data": ["AAAA", "AAAA"]}, (400, "malformed-body")),
        ({"data": ["AAAA"], "parameters": {"content_type": "hex"}}, (422, "invalid-tensor")),
    ],
)
def test_photos_in_json_are_nothing_else(
    http: httpx.Client, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    photo = {"name": "photo", "datatype": "BYTES", "shape": [1]}
    assert problem(http.post(PHOTO_INFER, json={"inputs": [photo | change]})) == expected


def test_a_version_can_be_named(client: triton.InferenceServerClient, http: httpx.Client) -> None:
    default = next(m for m in http.get("/models").json()["models"] if m["default"])["version"]
    L = planes("camera.png")
    answer = client.infer("colorizer", [tensor("L", L)], model_version=str(default))
    assert answer.get_response()["model_version"] == str(default)
    with pytest.raises(InferenceServerException, match="no version '999'") as refused:
        client.infer("colorizer", [tensor("L", L)], model_version="999")
    assert refused.value.status() == "404"
    with pytest.raises(InferenceServerException, match="no model 'resnet'"):
        client.infer("resnet", [tensor("L", L)])


def test_rows_of_several_clients_take_turns(
    client: triton.InferenceServerClient, http: httpx.Client
) -> None:
    L = planes("camera.png", "coffee.png", "moon.png")
    before = http.get("/models").json()
    waiting = [client.async_infer("colorizer", [tensor("L", L)]) for _ in range(8)]
    together = [each.get_result().as_numpy("ab") for each in waiting]
    after = http.get("/models").json()
    assert after["load"]["photos"] - before["load"]["photos"] == 24
    assert after["load"]["largest_batch"] <= after["max_batch"]
    for ab in together[1:]:
        np.testing.assert_allclose(ab, together[0], atol=0.05)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_bodies(client: triton.InferenceServerClient, encoding: str) -> None:
    L = planes("camera.png")
    plain = client.infer("colorizer", [tensor("L", L)])
    packed = client.infer("colorizer", [tensor("L", L)], request_compression_algorithm=encoding)
    np.testing.assert_allclose(packed.as_numpy("ab"), plain.as_numpy("ab"), atol=1e-3)


def problem(answer: httpx.Response) -> tuple[int, str]:
    told = answer.json()
    assert told["error"] == told["detail"]
    assert told["status"] == answer.status_code
    return answer.status_code, told["type"].removeprefix("/problems/")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"datatype": "FP64"}, (422, "invalid-tensor")),
        ({"shape": [1, 224, 224]}, (422, "invalid-tensor")),
        ({"shape": [1, 224, 223, 1]}, (422, "invalid-tensor")),
        ({"shape": [0, *SHAPE], "data": []}, (422, "invalid-tensor")),
        ({"name": "M"}, (422, "invalid-tensor")),
        ({"shape": [9, *SHAPE]}, (413, "too-many-photos")),
        ({"shape": [2, *SHAPE]}, (400, "malformed-body")),
        ({"shape": [-1, *SHAPE]}, (400, "malformed-body")),
        ({"shape": [2**62] * 4}, (400, "malformed-body")),
        ({"data": [101.0] * 224 * 224}, (422, "invalid-tensor")),
        ({"data": [50.0] * (224 * 224 - 1) + [1e999]}, (422, "invalid-tensor")),
        ({"data": [50.0] * (224 * 224 - 1) + [10**400]}, (422, "invalid-tensor")),
        ({"data": ["50"] * 224 * 224}, (400, "malformed-body")),
        ({"data": [True] * 224 * 224}, (400, "malformed-body")),
        ({"data": [[50.0] * 224] * 224}, (200, "")),
        ({"data": [[50.0] * 224] * 223 + [[50.0] * 112] * 2}, (400, "malformed-body")),
        ({"data": None}, (400, "malformed-body")),
        ({"parameters": {"shared_memory_region": "x"}}, (400, "malformed-body")),
        ({"parameters": {"binary_data_size": 4}}, (400, "malformed-body")),
    ],
)
def test_tensors_that_do_not_fit(
    http: httpx.Client, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    body = json.dumps(request(**change)).replace("Infinity", "1e999")
    answer = http.post(INFER, content=body, headers={"content-type": "application/json"})
    found = (answer.status_code, "") if answer.is_success else problem(answer)
    assert found == expected, answer.text[:500]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"inputs": [{"name": "M"}]}, (422, "no tensor 'M'. Its inputs are L, vividness")),
        ({"outputs": [{"name": "rgb"}]}, (422, "no tensor 'rgb'")),
        (
            {"inputs": [{"name": "vividness", "shape": [2], "data": [0.1, 0.2]}]},
            (422, "different numbers of photos: {'L': 1, 'vividness': 2}"),
        ),
        ({"inputs": [{"name": "L"}]}, (400, "Two inputs have the same name")),
        ({"parameters": {"binary_data_output": "yes"}}, (400, "is true or false")),
        ({"parameters": {"timeout": 0}}, (422, "whole number of microseconds")),
    ],
)
def test_requests_that_contradict_the_model(
    http: httpx.Client, more: dict[str, Any], expected: tuple[int, str]
) -> None:
    plain = {"datatype": "FP32", "shape": [1], "data": [0.5]}
    inputs = request()["inputs"] + [plain | each for each in more.get("inputs", [])]
    answer = http.post(INFER, json=more | {"inputs": inputs})
    assert answer.status_code == expected[0], answer.text
    assert expected[1] in answer.json()["detail"]


def test_tritons_timeout_is_a_deadline(client: triton.InferenceServerClient) -> None:
    L = tensor("L", planes("camera.png"))
    assert client.infer("colorizer", [L], timeout=60_000_000).as_numpy("ab").shape[0] == 1
    with pytest.raises(InferenceServerException, match="1e-06 s") as late:
        client.infer("colorizer", [L], timeout=1)
    assert late.value.status() == "503"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"inputs": []}', 400),
        (b'{"inputs": [{"name": "L", "shape": [NaN], "datatype": "FP32", "data": []}]}', 400),
        (b"[" * 100_000, 400),
        (b'{"inputs": [' + b"[]," * 3_000_000 + b"1]}", 413),
        (b"\xff\xfe", 400),
    ],
)
def test_bodies_that_are_no_request(http: httpx.Client, body: bytes, expected: int) -> None:
    answer = http.post(INFER, content=body, headers={"content-type": "application/json"})
    assert problem(answer)[0] == expected


@pytest.mark.parametrize("unit", ["[]", "[0]", "{}", '{"a":0}', "0.5", "0", '""'])
def test_json_takes_no_more_memory_than_it_is_charged(unit: str) -> None:
    text = ("[" + ",".join([unit] * (2**18 // (len(unit) + 1))) + "]").encode()
    tracemalloc.start()
    try:
        json.loads(text)
        assert tracemalloc.get_traced_memory()[1] <= JSON_MEMORY * len(text)
    finally:
        tracemalloc.stop()


def test_json_is_bounded_whatever_the_upload_may_be() -> None:
    body = b" " * (MAX_JSON + 1)
    assert json_length(str(MAX_JSON), body) == MAX_JSON
    with pytest.raises(BodyTooLarge):
        json_length(None, body)


def binary_request(values: NDArray[np.float32], size: int, extra: bytes = b"") -> tuple[bytes, int]:
    plane = {"name": "L", "datatype": "FP32", "shape": [1, *SHAPE]}
    told = json.dumps({"inputs": [plane | {"parameters": {"binary_data_size": size}}]}).encode()
    return told + values.tobytes() + extra, len(told)


def test_binary_tensors_that_do_not_fit(http: httpx.Client) -> None:
    good = np.full((1, *SHAPE), 50, np.float32)
    bad = good.copy()
    bad[0, 3, 4] = np.nan

    def status(
        values: NDArray[np.float32], size: int, extra: bytes = b"", length: str | None = None
    ) -> int:
        body, header = binary_request(values, size, extra)
        headers = {"inference-header-content-length": length or str(header)}
        answer = http.post(INFER, content=body, headers=headers)
        return 200 if answer.is_success else problem(answer)[0]

    assert status(good, good.nbytes) == 200
    assert status(bad, good.nbytes) == 422
    assert status(good, good.nbytes - 4) == 400  # bytes left over
    assert status(good, good.nbytes + 4) == 400  # more than there are
    assert status(good, good.nbytes, b"more") == 400
    short = good[:, :-1]
    assert status(short, short.nbytes) == 400  # fewer than the shape says
    for length in ("0", "-1", "x", "1", str(10**12)):
        assert status(good, good.nbytes, length=length) == 400


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<I", 100) + b"short",
        struct.pack("<I", 2**32 - 1),
        b"\x01",
        struct.pack("<I", 0) * 3,
        b"",
    ],
)
def test_byte_tensors_that_are_cut_off(http: httpx.Client, data: bytes) -> None:
    photo = {
        "name": "photo",
        "datatype": "BYTES",
        "shape": [2],
        "parameters": {"binary_data_size": len(data)},
    }
    told = json.dumps({"inputs": [photo]}).encode()
    headers = {"inference-header-content-length": str(len(told))}
    assert problem(http.post(PHOTO_INFER, content=told + data, headers=headers))[0] == 400


def test_one_bad_photo_is_the_requests_problem_and_says_which(
    client: triton.InferenceServerClient,
) -> None:
    given = photos(raw("camera.png"), raw("coffee.png")[:2000])
    with pytest.raises(InferenceServerException, match="damaged") as refused:
        client.infer("colorizer-photo", [tensor("photo", given)])
    assert refused.value.status() == "422"


def test_parameters_are_checked(client: triton.InferenceServerClient) -> None:
    L = tensor("L", planes("camera.png"))
    for wrong in ({"vividness": 2}, {"format": "png"}, {"model": "1"}):
        with pytest.raises(InferenceServerException) as refused:
            client.infer("colorizer", [L], parameters=wrong)
        assert refused.value.status() == "422", wrong


def test_bodies_that_are_too_large_or_of_another_kind(http: httpx.Client) -> None:
    nine_mb = b" " * 9 * 2**20  # the server of these tests takes eight
    assert problem(http.post(INFER, content=nine_mb))[0] == 413
    for pack in (gzip.compress, zlib.compress):
        encoding = "gzip" if pack is gzip.compress else "deflate"
        headers = {"content-encoding": encoding}
        assert problem(http.post(INFER, content=pack(nine_mb), headers=headers))[0] == 413
        cut = pack(json.dumps(request()).encode())[:-5]
        assert problem(http.post(INFER, content=cut, headers=headers))[0] == 400
        noise = http.post(INFER, content=b"not packed", headers=headers)
        assert problem(noise)[0] == 400
        assert f"not {encoding}" in noise.json()["detail"]
    assert problem(http.post(INFER, content=b"x", headers={"content-encoding": "br"}))[0] == 415
    assert problem(http.post(INFER, content=b"x", headers={"content-type": "text/csv"}))[0] == 415
    assert problem(http.get("/v2/nothing"))[0] == 404
    assert problem(http.get(INFER))[0] == 405


def test_a_client_that_leaves_leaves_nothing_behind(
    small_server: Server, http: httpx.Client
) -> None:
    body = json.dumps(request()).encode()

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=small_server.url, timeout=60) as client:
            leaving = [asyncio.create_task(client.post(INFER, content=body)) for _ in range(12)]
            await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)

    asyncio.run(scenario())
    # Forever, were something to stay.
    while any(
        http.get("/models").json()["load"][name]
        for name in ("accepted", "memory_mb", "uploads_mb", "waiting")
    ):
        pass
