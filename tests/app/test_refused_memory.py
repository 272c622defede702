"""Refused photos are out of memory at once: not when Python's collector happens to run."""

import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from PIL import Image

from tests.app.sockets import connect, load, post
from tests.app.test_readers import until
from tests.conftest import Server, serving
from tests.sample_photos import encoded
from tests.sample_photos import load as sample

pytestmark = pytest.mark.slow

BYTES = 40 << 20
TIMES = 6
RETURNED = 16 << 20
ROOM = 2 * BYTES
"""What the allocator may keep for the next one; six photos that stayed are three times as much."""


def bitmap(width: int, height: int) -> bytes:
    """A bitmap's header, for pixels that do not come."""
    size = 3 * width * height
    file = struct.pack("<2sIHHI", b"BM", 54 + size, 0, 0, 54)
    return file + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, size, 0, 0, 0, 0)


REFUSED = {
    "damaged header": b"\x89PNG\r\n\x1a\n" + bytes(BYTES),
    "cut off": bitmap(4_000, 4_000) + bytes(BYTES),
    "no photo": b"text! " * (BYTES // 6),
}


@pytest.fixture(scope="module")
def roomy(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("roomy"), **small_network) as server:
        yield server


def resident(server: Server) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


@pytest.mark.parametrize("photo", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("form", [False, True], ids=["bare", "form"])
def test_a_refused_photo_is_out_of_memory(roomy: Server, photo: bytes, form: bool) -> None:
    def ask() -> None:
        bare = {"content": photo, "headers": {"Content-Type": "image/*"}}
        sent = {"files": {"file": photo}} if form else bare
        answer = httpx.post(f"{roomy.url}/colorize", timeout=60, **sent)
        assert answer.status_code in (415, 422)

    ask()
    before = resident(roomy)
    for _ in range(TIMES):
        ask()
    until(lambda: resident(roomy) < before + ROOM, within_s=5)


def test_a_photo_whose_client_left_is_out_of_memory(roomy: Server) -> None:
    photo = bitmap(4_000, 3_000)
    raw = post("/colorize", photo + bytes(4_000 * 3_000 * 3), "Content-Type: image/bmp")

    def leave() -> None:
        with connect(roomy) as line:
            line.sendall(raw)
            until(lambda: load(roomy)["accepted"] > 0)
        until(lambda: load(roomy)["accepted"] == 0)

    leave()
    before = resident(roomy)
    for _ in range(TIMES):
        leave()
    until(lambda: resident(roomy) < before + ROOM, within_s=5)


def test_what_a_burst_took_is_the_systems_again(roomy: Server) -> None:
    """Freed memory goes back when nothing is under way for a while."""
    photo = encoded(Image.fromarray(sample("astronaut.png")).resize((3000, 2000)), "JPEG")

    def ask(_: int) -> int:
        headers = {"Content-Type": "image/jpeg"}
        answer = httpx.post(f"{roomy.url}/colorize", content=photo, headers=headers, timeout=60)
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) <= {200, 503}
    kept = resident(roomy)
    until(lambda: resident(roomy) < kept - RETURNED, within_s=30)
