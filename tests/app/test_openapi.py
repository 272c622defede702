"""Requests, and a client, made from the service's own OpenAPI document."""

import importlib
import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.main import create_app
from tests.conftest import Server
from tests.sample_photos import encoded, small
from tests.small_network import small_server_instead

PHOTOS = [encoded(small("L"), "PNG"), encoded(small("RGB"), "JPEG"), encoded(small("LA"), "WEBP")]
REFUSALS = (503, 504)
"""Of what a service under load cannot do in the time that a request allows."""
CONTENT = ("/colorize", "/infer")
"""Take photos, hints and tensors: that they are such, no schema says."""

schemathesis.openapi.format("binary", st.sampled_from(PHOTOS) | st.binary(max_size=100))
DOCUMENT = schemathesis.openapi.from_dict(create_app().openapi())
FOUND: list[Any] = [each.ok() for each in DOCUMENT.get_all_operations()]
OPERATIONS = {operation.label: operation for operation in FOUND}


# Nothing here is about colours.
server = small_server_instead


def test_no_answer_is_documented_that_never_comes() -> None:
    assert "HTTPValidationError" not in json.dumps(create_app().openapi())


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_the_document_says(server: Server, name: str) -> None:
    operation = OPERATIONS[name]
    wrong = operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)

    @settings(max_examples=settings().max_examples // 8)
    @given(operation.as_strategy() | wrong)
    def check(case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=server.url, timeout=60)
        excluded: list[CheckFunction] = []
        if answer.status_code in REFUSALS:
            excluded.append(not_a_server_error)
        if operation.path.endswith(CONTENT):
            excluded.append(positive_data_acceptance)
        case.validate_response(answer, excluded_checks=excluded)

    check()


GENERATOR = Path(__file__).parents[2] / "build" / "clients" / "bin" / "openapi-python-client"
OVERRIDES = """
content_type_overrides:
  image/png: application/octet-stream
  application/zip: application/octet-stream
post_hooks: []
"""


@pytest.mark.skipif(not GENERATOR.exists(), reason="`make test` installs the generator")
def test_a_generated_client_colorizes_one_photo_and_many(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By openapi-python-client, which takes images for bytes where its settings say so."""
    (tmp_path / "document.json").write_text(json.dumps(create_app().openapi()))
    (tmp_path / "settings.yml").write_text(OVERRIDES)
    done = subprocess.run(
        [
            *(str(GENERATOR), "generate", "--meta", "none"),
            *("--path", "document.json", "--config", "settings.yml", "--output-path", "generated"),
        ],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "will not be generated" not in done.stdout
    assert "response will be omitted" not in done.stdout
    monkeypatch.syspath_prepend(str(tmp_path))
    made = importlib.import_module("generated.client").Client(base_url=server.url, timeout=60)
    models = importlib.import_module("generated.models")
    file = importlib.import_module("generated.types").File
    colorize = importlib.import_module("generated.api.colorize.colorize").sync

    def body(*photos: bytes) -> object:
        return models.ColorizeFilesBody(
            [file(io.BytesIO(p), f"{i}.png") for i, p in enumerate(photos)]
        )

    one = colorize(
        client=made, body=body(PHOTOS[0]), vividness=0.8, format_=models.ColorizeFormat.PNG
    )
    assert one.payload.read().startswith(b"\x89PNG")
    many = colorize(client=made, body=body(*PHOTOS[:2]))
    with zipfile.ZipFile(many.payload) as archive:
        assert archive.namelist() == ["0.png", "1.png", "manifest.json"]
    refused = colorize(client=made, body=body(b"no photo"))
    assert isinstance(refused, models.Problem)
    assert refused.status == 415
