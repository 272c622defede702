"""Jobs as clients see them."""

import io
import json
import time
import zipfile
from typing import Any

import httpx
from PIL import Image

from tests.sample_photos import encoded, small

Files = list[tuple[str, tuple[str, bytes]]]


def photo(number: int = 0) -> bytes:
    """A small photo, another one for every number."""
    return encoded(small("L", (90 + number % 40, 60 + number // 40)), "PNG")


def files(count: int) -> Files:
    return [("file", (f"{n}.png", photo(n))) for n in range(count)]


def submitted(client: httpx.Client, given: Files, **more: Any) -> str:  # noqa: ANN401 - httpx's
    answer = client.post("/jobs", files=given, **more)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == job["self"] == f"/jobs/{job['id']}"
    return str(job["id"])


def ended(client: httpx.Client, job: str, timeout: float = 120) -> dict[str, Any]:
    """The job, once it has ended."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = client.get(f"/jobs/{job}")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        if "ended" in told:
            return told
        time.sleep(0.05)
    raise AssertionError(f"not in time: {told}")


def events(client: httpx.Client, job: str, last: str | None = None) -> list[tuple[str, str, Any]]:
    """Kind, id and data of each event, to the end of the stream."""
    found = []
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"/jobs/{job}/events", headers=headers, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = answer.read().decode()
    for block in text.split("\n\n"):
        told = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if told:
            found.append((told["event"], told.get("id", ""), json.loads(told["data"])))
    return found


def unzipped(answer: httpx.Response) -> tuple[dict[str, bytes], dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    return found, json.loads(found.pop("manifest.json"))


def slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition("/")[2]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
