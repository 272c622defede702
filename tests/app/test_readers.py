"""Clients that read slowly, stall or leave: what they held is free, and others are served."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.app.sockets import connect, load, post
from tests.conftest import Server, Start, serving
from tests.sample_photos import decoded, encoded, small

PHOTO = encoded(small("L"), "PNG")
NOISE = np.random.default_rng(0).integers(0, 255, (1200, 1600), np.uint8)
LARGE = encoded(Image.fromarray(NOISE), "JPEG")
"""Its result, a PNG of noise, has megabytes."""


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    """A server that has patience for two seconds."""
    patience = {"send_timeout_s": 2, "max_queue": 8, "max_photos": 8}
    with serving(tmp_path_factory.mktemp("strict"), **small_network, **patience) as server:
        yield server


def form(photos: int, data: bytes) -> bytes:
    parts = [
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="%d.jpg"\r\n\r\n' % i
        + data
        + b"\r\n"
        for i in range(photos)
    ]
    return b"".join(parts) + b"--B--\r\n"


def several(accept: str, photos: int = 4) -> bytes:
    kind = "Content-Type: multipart/form-data; boundary=B"
    return post("/colorize", form(photos, LARGE), kind, f"Accept: {accept}")


def until(condition: Callable[[], bool], within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)  # leave the core to the service


def free(server: Server) -> bool:
    told = load(server)
    return (told["memory_mb"], told["uploads_mb"], told["accepted"]) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("accept", ["application/zip", "application/json"])
def test_what_a_reader_that_stalls_held_is_free_once_it_is_cut(strict: Server, accept: str) -> None:
    with connect(strict, receive_buffer=4096) as stalled:
        stalled.sendall(several(accept))
        until(lambda: load(strict)["memory_mb"] > 4)
        dropped = strict.log.read_text().count("was dropped")
        until(lambda: strict.log.read_text().count("was dropped") > dropped)
        until(lambda: free(strict), within_s=5)  # without a garbage collection
    log = strict.log.read_text()
    assert "without completing" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("accept", ["application/zip", "application/json", "image/png"])
def test_what_a_reader_that_leaves_held_is_free(strict: Server, accept: str) -> None:
    with connect(strict, receive_buffer=4096) as leaving:
        leaving.sendall(several(accept, photos=1 if accept == "image/png" else 4))
        until(lambda: load(strict)["memory_mb"] > 4)
    until(lambda: free(strict), within_s=5)


def test_photos_that_wait_for_their_reader_take_nobodys_place(strict: Server) -> None:
    with connect(strict, receive_buffer=4096) as slow:
        slow.sendall(several("application/zip", photos=8))  # as many as there are places
        until(lambda: load(strict)["accepted"] == 8)
        until(lambda: load(strict)["accepted"] == 0)
        answer = httpx.post(f"{strict.url}/colorize", files={"file": PHOTO}, timeout=60)
        assert answer.status_code == 200


@pytest.mark.slow
def test_a_steady_slow_reader_gets_all_of_it(strict: Server) -> None:
    """For longer than one may stall, at several times the rate that is a stall."""
    got, began = b"", time.monotonic()
    with connect(strict, receive_buffer=4096) as slow:
        slow.sendall(post("/colorize", LARGE, "Content-Type: image/jpeg", "Connection: close"))
        while piece := slow.recv(4096):
            got += piece
            ahead_s = began + len(got) / 150_000 - time.monotonic()
            if len(got) < 900_000 and ahead_s > 0:
                time.sleep(ahead_s)  # it is the client that is slow: nothing is waited for
    head, _, image = got.partition(b"\r\n\r\n")
    assert f"content-length: {len(image)}\r\n".encode() in head
    assert decoded(image).shape == (1200, 1600, 3)


def test_the_client_does_not_choose_what_decodes_its_form(strict: Server) -> None:
    fields = b"".join(
        b'--B\r\nContent-Disposition: form-data; name="vividness"\r\n\r\n' + b"a" * 65_000 + b"\r\n"
        for _ in range(15)
    )
    kind = "multipart/form-data; boundary=B; charset=punycode"
    began = time.monotonic()
    answer = httpx.post(
        f"{strict.url}/colorize",
        content=fields + form(1, PHOTO),
        headers={"content-type": kind},
        timeout=60,
    )
    assert answer.status_code == 422
    assert time.monotonic() - began < 4  # 15 fields took 5 s and more
    name = "naïve.png".encode()
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
    body = part + PHOTO + b"\r\n--B--\r\n"
    for charset in ("utf-16", "no-such-thing", "utf-8"):
        answer = httpx.post(
            f"{strict.url}/colorize",
            content=body,
            headers={"content-type": f'multipart/form-data; charset={charset}; boundary="B"'},
            timeout=60,
        )
        assert answer.status_code == 200, charset
        assert "na%C3%AFve" in answer.headers["content-disposition"]


@pytest.mark.slow
def test_where_photos_wait_for_memory_the_slowest_reader_gives_way(start_small: Start) -> None:
    """More results than there is memory for, taken so slowly that nobody else would get in."""
    server = start_small(max_memory_mb=48, max_upload_mb=4, photo_timeout_s=40, max_wait_s=60)
    server.wait_ready()
    kind = "Content-Type: multipart/form-data; boundary=B"
    with ExitStack() as lines:
        for accept in ("application/zip", "image/png") * 2:
            reader = lines.enter_context(connect(server, 4096))
            reader.sendall(post("/colorize", form(1, LARGE), kind, f"Accept: {accept}"))
        answer = httpx.post(
            f"{server.url}/colorize",
            content=LARGE,
            headers={"Content-Type": "image/jpeg"},
            timeout=60,
        )
        assert answer.status_code == 200
        assert load(server)["memory_mb"] > 0
    until(lambda: free(server), within_s=5)
    log = server.log.read_text()
    assert "too slowly for a full service" in log
    assert "without completing" not in log
    assert "Traceback" not in log
