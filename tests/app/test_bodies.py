"""Bodies as programs make them: names in many spellings, JSON, a page of a listed origin."""

import base64
import io
import json
import unicodedata
import zipfile
from urllib.parse import quote, unquote

import httpx
import pytest

from tests.conftest import Start
from tests.sample_photos import decoded, raw
from tests.small_network import small_http_instead

PHOTO = raw("camera.png")
NAME = "家族 1.png"
ENCODED = f"=?utf-8?B?{base64.b64encode(NAME.encode()).decode()}?="


# Nothing here is about colours.
http = small_http_instead


def multipart(http: httpx.Client, *parts: bytes, **more: str) -> httpx.Response:
    """A request whose parts say so of themselves."""
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n\r\n" + PHOTO + b"\r\n"
        for part in parts
    )
    headers = {"content-type": "multipart/form-data; boundary=b", **more}
    return http.post("/colorize", content=body + b"--b--\r\n", headers=headers)


def name_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return unquote(answer.headers["content-disposition"].rpartition("filename*=UTF-8''")[2])


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (b'name="file"', "photo.png"),
        (b'name=file; filename=""', "photo.png"),
        (f'name="file"; filename="{NAME}"'.encode(), NAME),
        (f"name=\"file\"; filename*=UTF-8''{quote(NAME)}".encode(), NAME),
        (f"name=file; filename={ENCODED}; filename*=utf-8''{quote(NAME)}".encode(), NAME),
        (f'name="file"; filename="{ENCODED}"'.encode(), NAME),
        ('name="file"; filename="Öl.png"'.encode("latin-1"), "Öl.png"),
        (b"name=\"file\"; filename*=iso-8859-1'en'%D6l.png", "Öl.png"),
        (b'name="file"; filename="=?punycode?B?YQ==?=.png"', "=_punycode_B_YQ==_=.png"),
        (b"name=\"file\"; filename*=punycode''a.png", "photo.png"),
    ],
)
def test_a_photo_has_its_name_however_a_program_writes_it(
    http: httpx.Client, part: bytes, name: str
) -> None:
    assert name_of(multipart(http, part)) == name


def test_long_and_composed_names_in_a_zip_fit_every_disk(http: httpx.Client) -> None:
    composed = unicodedata.normalize("NFC", "é.png")
    names = ["家" * 100 + ".png"] * 2 + [composed, unicodedata.normalize("NFD", composed)]
    parts = [f'name="file"; filename="{name}"'.encode() for name in names]
    answer = multipart(http, *parts, accept="application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        photos = archive.namelist()[:-1]
    assert len({unicodedata.normalize("NFC", name) for name in photos}) == 4
    assert all(len(name.encode()) <= 255 for name in photos)
    assert photos[0].startswith("家家")


@pytest.mark.slow
def test_photos_come_as_json(http: httpx.Client) -> None:
    text = base64.b64encode(PHOTO).decode()
    plain = http.post("/colorize?vividness=0.9", content=PHOTO).content
    safe = text.translate(str.maketrans("+/", "-_")).rstrip("=")
    lines = "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    url = f"data:image/png;base64,{text}"
    for sent in (url, quote(url, safe=":;,/"), text, safe, lines):
        answer = http.post("/colorize", json={"file": sent, "vividness": 0.9, "model": None})
        assert answer.status_code == 200, answer.text
        assert answer.content == plain
    marked = json.dumps({"file": text, "vividness": 0.9}).encode("utf-8-sig")  # as Windows does
    answer = http.post("/colorize", content=marked, headers={"content-type": "application/json"})
    assert answer.content == plain
    hints = [{"x": 5, "y": 5, "color": "#2e6b3a"}]
    hinted = http.post("/colorize", json={"file": url, "vividness": 0.9, "hints": hints})
    assert decoded(hinted.content).size == decoded(plain).size
    assert hinted.content != plain
    many = http.post("/colorize", json={"file": [url, text]}, headers={"accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(many.content)) as archive:
        assert len(archive.namelist()) == 3


def test_a_form_may_have_every_option(http: httpx.Client) -> None:
    options = {
        name: str(told["schema"].get("default", example))
        for told in http.get("/openapi.json").json()["paths"]["/colorize"]["post"]["parameters"]
        for name, example in [(told["name"], told["schema"].get("examples", ["png"])[0])]
        if name not in ("confidence", "hints", "model")
    }
    assert len(options) > 13
    options |= {"hints": "[]", "model": "latest", "confidence": "figure"}
    answer = http.post("/colorize", files={"file": PHOTO}, data={**options, "page": "2"})
    assert answer.json()["detail"].startswith("page is for TIFF"), answer.text


def test_an_option_given_twice_is_one_where_its_values_are(http: httpx.Client) -> None:
    for query, status in (
        ("0.5&vividness=0.50", 200),
        ("0.5&vividness=5e-1", 200),
        ("0.5&vividness=0.51", 422),
    ):
        assert http.post(f"/colorize?vividness={query}", content=PHOTO).status_code == status


@pytest.mark.slow
def test_a_listed_origin_may_ask_a_service_in_a_private_network(start_small: Start) -> None:
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-private-network": "true",
    }
    for origins, status in (("https://album.example", 200), ("*", 400)):
        server = start_small(cors_origins=origins)
        server.wait_for("/healthz")
        with server.client() as http_:
            answer = http_.options("/colorize", headers={"origin": "https://album.example", **asks})
        assert (answer.headers.get("access-control-allow-private-network") == "true") == (
            status == 200
        )
        server.stop()
