"""What must not harm the service: each gets a 4xx that says what to do, and life goes on."""

import gzip
import io
import re
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.conftest import SHARED, Server
from tests.sample_photos import encoded, raw, small
from tests.small_network import small_http_instead, small_server_instead

Send = Callable[[httpx.Client], httpx.Response]


def body(data: bytes | Callable[[], bytes], **query: str) -> Send:
    """A request with a photo; one that takes long to make is made when it is sent."""

    def send(http: httpx.Client) -> httpx.Response:
        photo = data if isinstance(data, bytes) else data()
        return http.post("/colorize", files={"file": ("x", photo)}, params=query)

    return send


def good(**query: Any) -> Send:  # noqa: ANN401
    return body(photo(), **query)


def photo() -> bytes:
    return encoded(small("L"), "PNG")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, pixels: bytes, *before: bytes) -> bytes:
    """An 8-bit grey PNG with whatever the arguments say."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    ending = chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + ending


def one_colour_png(side: int) -> bytes:
    """400 million pixels in 400 kB, for a side of 20,000."""
    squeeze, row = zlib.compressobj(9), bytes(side + 1)
    data = b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush()
    return png(side, side, data)


def tiff(**options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, **options)
    return buffer.getvalue()


def zero_size_tiff() -> bytes:
    entries = [(256, 3, 1, 0), (257, 3, 1, 0), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8)]
    fields = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + fields + bytes(4)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def webp_that_says(width: int, height: int) -> bytes:
    data = bytearray(encoded(small("RGBA"), "WEBP", exif=Image.Exif().tobytes()))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def text_bomb() -> bytes:
    bomb = zlib.compress(bytes(100_000_000), 9)
    return png(1, 1, zlib.compress(b"\0\0"), *[chunk(b"zTXt", b"Comment\0\0" + bomb)] * 3)


def chunked(http: httpx.Client) -> httpx.Response:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(1024 * 1024)

    return http.post("/colorize", content=endless(), headers={"content-type": "image/png"})


def multipart(boundary: str, content: bytes) -> Send:
    kind = f"multipart/form-data{boundary}"
    return lambda http: http.post("/colorize", content=content, headers={"content-type": kind})


COFFEE = encoded(Image.fromarray(np.asarray(small("RGB", (512, 400)))), "JPEG", quality=90)
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'

CASES: dict[str, tuple[int, Send]] = {
    "empty photo": (422, body(b"")),
    "empty body": (422, lambda http: http.post("/colorize", headers={"content-type": "image/png"})),
    "no file chosen in a browser": (422, multipart("; boundary=b", PART.replace(b"x", b"", 1)
        .replace(b'filename="x"', b'filename=""') + b"\r\n--b--\r\n")),
    "only options": (422, lambda http: http.post("/colorize", files={"vividness": (None, "1")})),
    "another field": (422, lambda http: http.post("/colorize", files={"image": photo()})),
    "file as text": (415, lambda http: http.post("/colorize", files={"file": (None, "x")})),
    "truncated JPEG": (422, body(COFFEE[: len(COFFEE) // 2])),
    "JPEG header alone": (422, body(COFFEE[:20])),
    "truncated PNG": (422, body(raw("chelsea.png")[:100_000])),
    "PNG without its last rows": (422, body(raw("camera.png")[:-2000])),
    "truncated WebP": (422, body(encoded(small(), "WEBP")[:-500])),
    "truncated BMP": (422, body(encoded(small(), "BMP")[:-500])),
    "truncated TIFF": (422, body(encoded(small(), "TIFF")[:-500])),
    "truncated 16-bit TIFF": (422, body(tiff(data=np.ones((50, 50, 3), np.uint16),
        photometric="rgb")[:-50])),
    "16-bit PNG with a wrong checksum": (422, body(flipped(encoded(
        Image.fromarray(np.arange(40_000, dtype=np.uint16).reshape(200, 200)), "PNG"), 900))),
    "PNG with a wrong checksum": (422, body(flipped(raw("chelsea.png"), 60_000))),
    "PNG of noise": (422, body(raw("chelsea.png")[:64] + bytes(range(256)) * 40)),
    "text": (415, body(b"This is not a photo, whatever its name may be. " * 20)),
    "text that begins as a bitmap does": (415, body(b"BMW is a maker of cars, not of photos.")),
    "JPEG XL": (415, body(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60))),
    "truncated AVIF": (422, body(encoded(small(), "AVIF")[:-500])),
    "raw file": (415, body(b"FUJIFILMCCD-RAW 0201" + bytes(200))),
    "SVG": (415, body(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')),
    "PDF": (415, body(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n")),
    "ZIP": (415, body(b"PK\3\4" + bytes(60))),
    "float TIFF beyond 1": (415, body(tiff(data=np.full((9, 9), 300, np.float32)))),
    "32-bit TIFF": (415, body(tiff(data=np.zeros((9, 9), np.uint32)))),
    "zero-size TIFF": (422, body(zero_size_tiff())),
    "TIFF that points past its end": (422, body(b"II*\0\xff\xff\xff\x7f")),
    "zero-size PNG": (422, body(png(0, 10, zlib.compress(b"")))),
    "huge header": (413, body(png(2**31 - 1, 2**31 - 1, zlib.compress(b"\0")))),
    "huge WebP canvas": (413, body(webp_that_says(16_000, 16_000))),
    "one colour, 20,000 a side": (413, body(lambda: one_colour_png(20_000))),
    "very tall": (413, body(encoded(Image.new("L", (1, 60_000)), "PNG"))),
    "too many photos": (413, lambda http: http.post("/colorize",
        files=[("file", (f"{i}", photo())) for i in range(9)])),
    "far too many photos": (413, lambda http: http.post("/colorize",
        files=[("file", (f"{i}", photo())) for i in range(40)])),
    "too many bytes, announced": (413, body(bytes(9 * 1024 * 1024))),
    "too many bytes, not announced": (413, chunked),
    "vividness out of range": (422, good(vividness="1.01")),
    "vividness not a number": (422, good(vividness="nan")),
    "vividness a word": (422, good(vividness="lots")),
    "vividness in the form": (422, lambda http: http.post("/colorize", files={"file": photo()},
        data={"vividness": "-1"})),
    "query against form": (422, lambda http: http.post("/colorize?vividness=0",
        files={"file": photo()}, data={"vividness": "1"})),
    "unknown format": (422, good(format="gif")),
    "unknown option": (422, good(vividnes="1")),
    "model that is none": (422, good(model="best")),
    "model that is not there": (404, good(model="4711")),
    "form without type": (415, lambda http: http.post("/colorize", data={"a": "b"})),
    "JSON with a name": (422, lambda http: http.post("/colorize", json={"file": "photo.png"})),
    "JSON with a page": (422, lambda http: http.post("/colorize",
        json={"file": "data:text/html,<p>photo</p>"})),
    "JSON without a photo": (422, lambda http: http.post("/colorize", json={"photo": "aGk="})),
    "JSON with an empty text": (422, lambda http: http.post("/colorize", json={"file": ""})),
    "JSON with a number": (422, lambda http: http.post("/colorize", json={"file": [3]})),
    "JSON list": (400, lambda http: http.post("/colorize", json=["aGk="])),
    "JSON cut off": (400, lambda http: http.post("/colorize", content=b'{"file": "aGk=',
        headers={"content-type": "application/json"})),
    "deep JSON": (400, lambda http: http.post("/colorize", content=b'{"file":' + b"[" * 99_999,
        headers={"content-type": "application/json"})),
    "gzip": (415, lambda http: http.post("/colorize", content=gzip.compress(photo()),
        headers={"content-type": "image/png", "content-encoding": "gzip"})),
    "JSON of very many values": (400, lambda http: http.post("/colorize",
        content=b'{"file": [' + b"[]," * 100_000 + b"[]]}",
        headers={"content-type": "application/json"})),
    "JSON of too many photos": (413, lambda http: http.post("/colorize",
        json={"file": ["aGk="] * 9})),
    "JSON length of very many digits": (400, lambda http: http.post("/v2/models/colorizer/infer",
        content=b"{}", headers={"inference-header-content-length": "9" * 5000})),
    "two lists of hints": (422, lambda http: http.post("/colorize?hints=[]&hints=[1]",
        files={"file": photo()})),
    "very many unknown options": (422, good(**{f"o{i}": "1" for i in range(500)})),
    "a photo of a very large number": (422, good(hints='[{"x": 1, "y": 1, "color": "#123456",'
        f' "photo": {"9" * 4000}}}]')),
    "a part that is none": (400, lambda http: http.get("/", headers={"range": "bytes=2-1"})),
    "a part beyond the end": (416, lambda http: http.get("/",
        headers={"range": "bytes=99999999-"})),
    "multipart without boundary": (400, multipart("", PART)),
    "multipart of another boundary": (400, multipart("; boundary=c", PART + photo())),
    "multipart cut off": (400, multipart("; boundary=b", PART + photo()[:500])),
    "multipart cut off in its second photo": (400, multipart("; boundary=b",
        PART + photo() + b"\r\n" + PART + photo()[:500])),
    "a part in base64": (400, multipart("; boundary=b", PART.replace(b"\r\n\r\n",
        b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"aGk=\r\n--b--\r\n")),
    "gzip beside nothing": (415, lambda http: http.post("/colorize",
        content=gzip.compress(photo()), headers=[("content-type", "image/png"),
            ("content-encoding", "identity"), ("content-encoding", "gzip")])),
    "JSON in UTF-16": (400, lambda http: http.post("/colorize",
        content='{"file": "aGk="}'.encode("utf-16"), headers={"content-type": "application/json"})),
    "multipart with a very long field": (400, multipart("; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"1" * 199_999)),
    "wrong method": (405, lambda http: http.get("/colorize")),
    "wrong path": (404, lambda http: http.post("/colourise")),
}  # fmt: skip


# Nothing here is about colours.
server = small_server_instead
http = small_http_instead


def test_texts_that_unpack_to_300_mb_are_left_out_and_told(http: httpx.Client) -> None:
    answer = body(text_bomb)(http)
    assert answer.status_code == 200
    assert "texts" in answer.headers["x-photo-warning"]
    assert len(answer.content) < 1000


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_what_to_do(http: httpx.Client, case: str) -> None:
    status, send = CASES[case]
    response = send(http)
    assert response.status_code == status, response.content[:400]
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["title"]
    assert len(told["detail"].split()) > 4
    assert len(response.content) < 2_000
    assert not {"Traceback", "pattern"} & set(re.findall(r"\w+", response.text))
    explained = http.get(told["type"]).json()
    assert explained["status"] == status
    assert explained["meaning"].endswith(".")
    assert good()(http).status_code == 200


def test_a_body_of_too_many_bytes_is_told_how_many_it_may_have(http: httpx.Client) -> None:
    for case in ("too many bytes, announced", "too many bytes, not announced"):
        told = CASES[case][1](http).json()
        assert told["limit"] == SHARED["max_upload_mb"] << 20
        assert "8,388,608" in told["detail"]


def test_a_refused_upload_leaves_no_trace_in_the_accounts(http: httpx.Client) -> None:
    for case in ("too many bytes, not announced", "multipart cut off", "truncated JPEG", "JPEG XL"):
        CASES[case][1](http)
    load = http.get("/models").json()["load"]
    assert (load["accepted"], load["memory_mb"], load["uploads_mb"]) == (0, 0, 0)


def test_garbage_on_the_line_harms_nobody(server: Server, http: httpx.Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for garbage in (b"\x16\x03\x01\x02\x00\x01", b"POST /colorize HTTP/1.1\r\nHost: x\r\n", b""):
        with socket.create_connection((host, int(port)), timeout=30) as line:
            line.sendall(garbage)
    assert good()(http).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_upload(
    server: Server, http: httpx.Client
) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(b"POST /colorize HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
                     b"Content-Length: 1000000\r\n\r\n" + bytes(1000))  # fmt: skip
    while http.get("/models").json()["load"]["uploads_mb"]:
        pass
    assert good()(http).status_code == 200
