"""Requests made from the service's own OpenAPI document: it answers as the document says."""

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

PHOTOS = [encoded(small("L"), "PNG"), encoded(small("RGB"), "JPEG"), encoded(small("LA"), "WEBP")]
REFUSALS = (503, 504)
"""Of what a service under load cannot do in the time that a request allows."""
CONTENT = ("/colorize", "/infer")
"""Take photos, hints and tensors: that they are such, no schema says."""

schemathesis.openapi.format("binary", st.sampled_from(PHOTOS) | st.binary(max_size=100))
DOCUMENT = schemathesis.openapi.from_dict(create_app().openapi())
FOUND: list[Any] = [each.ok() for each in DOCUMENT.get_all_operations()]  # type: ignore[union-attr]
OPERATIONS = {operation.label: operation for operation in FOUND}


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
