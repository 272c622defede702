"""Whatever comes as options, hints, Accept and JSON: read as it was meant, or refused in words."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.negotiation import negotiate
from app.open_inference.message import parse
from app.options import check_photos, merge
from chromaserve.errors import InvalidOptions, ServiceError
from chromaserve.photos.formats import MEDIA_TYPES, written_as
from chromaserve.pipeline.hints import Hint, parse_hints
from chromaserve.pipeline.options import Options

COLORS = st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True)
PLACES = st.floats(0, 1e6, allow_nan=False)
HINTS = st.lists(
    st.builds(Hint, x=PLACES, y=PLACES, radius=st.none() | st.floats(0.01, 1e5), color=COLORS),
    max_size=4,
).map(tuple)
OPTIONS = st.builds(
    Options,
    vividness=st.none() | st.floats(0, 1),
    postprocess=st.none() | st.sampled_from(["none", "guided", "tv", "crf"]),
    hints=HINTS,
    model=st.none() | st.just("latest") | st.integers(1, 999_999_999).map(str),
    deadline_s=st.none() | st.floats(1e-6, 3600),
    format=st.none() | st.sampled_from(["png", "jpeg", "webp"]),
)
NAMES = st.sampled_from(list(Options.model_fields)) | st.text(max_size=8)
VALUES = st.text(max_size=12) | st.sampled_from(
    ["nan", "inf", "-0", "1e-400", "٣", "1_0", " 1", "null", "[]", "[[]]", '"', "{}", "latest"]
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
            ["x", "y", "color", "radius", "inputs", "name", "shape", "datatype", "data", "id",
             "parameters", "outputs", "binary_data_size"]
        ) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)  # fmt: skip


def as_text(options: Options) -> list[tuple[str, str]]:
    """The options as a client writes them."""
    given = options.model_dump(exclude_none=True)
    hints = given.pop("hints")
    return [(name, str(value)) for name, value in given.items()] + [("hints", json.dumps(hints))]


@given(OPTIONS, st.data())
def test_options_come_as_they_were_sent(options: Options, data: st.DataObject) -> None:
    pairs = as_text(options)
    split = data.draw(st.integers(0, len(pairs)))
    assert merge(pairs[:split], pairs[split:], Options) == options
    assert merge(pairs, pairs, Options) == options  # the same twice is no contradiction


@given(PAIRS, PAIRS)
def test_any_text_is_options_or_is_refused_in_a_sentence(
    query: list[tuple[str, str]], form: list[tuple[str, str]]
) -> None:
    try:
        options = merge(query, form, Options)
    except InvalidOptions as error:
        refusal = str(error)
    else:
        assert merge(as_text(options), [], Options) == options
        with suppress(InvalidOptions):
            check_photos(options, 2)
        return
    assert refusal.endswith(".")
    assert len(refusal) < 1_000


@given(st.text(max_size=30) | JSON.map(json.dumps) | st.lists(JSON, max_size=3).map(json.dumps))
@example('[{"x": 1e999, "y": 0, "color": "#000000"}]')
@example("[" * 10_000)
def test_any_text_is_hints_or_is_refused_in_a_sentence(text: str) -> None:
    try:
        hints = parse_hints(text)
    except ValueError as error:
        refusal = str(error)
    else:
        again = json.dumps([hint.model_dump(exclude_none=True) for hint in hints])
        assert parse_hints(again) == hints
        return
    assert refusal.isprintable()
    assert len(refusal) < 500


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*MEDIA_TYPES.values(), "image/*", "*/*", "application/zip", "a/b", ""])
            | st.text(max_size=6),
            st.sampled_from(["", ";q=0", ";q=0.5", ";q=1", ";q=nan", ";q=-1", ";q=9", ";;", ";q"]),
        ),
        max_size=4,
    ),
    st.integers(1, 3),
    st.sampled_from([None, "png", "jpeg", "webp"]),
)
def test_what_is_sent_is_accepted(
    ranges: list[tuple[str, str]], photos: int, asked: str | None
) -> None:
    accept = ",".join(name + quality for name, quality in ranges)
    try:
        chosen = negotiate(accept, photos=photos, asked=asked)  # type: ignore[arg-type]
    except ServiceError:
        assert not any(name == "*/*" and quality in ("", ";q=1") for name, quality in ranges[:1])
        return
    assert asked in (None, chosen.format)
    assert photos == 1 or chosen.container != "image"
    sent = (
        MEDIA_TYPES[written_as(chosen.format, None)]
        if chosen.container == "image"
        else chosen.container
    )
    assert (sent, ";q=0") not in ranges or ranges.count((sent, ";q=0")) < len(ranges)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40), st.data())
def test_any_body_is_an_inference_request_or_is_refused(body: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(body)) | st.just(len(body)))
    with suppress(ServiceError):
        message = parse(body, length)
        assert message.inputs


@pytest.mark.parametrize("deep", [b"[" * 200_000, b'{"inputs":' * 100_000])
def test_deep_json_is_refused(deep: bytes) -> None:
    with pytest.raises(ServiceError):
        parse(deep, len(deep))
