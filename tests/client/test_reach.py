"""A service that is started anew, is not there, or cannot be had: waited for, or told at once."""

import io
import itertools
import json
import socket
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from chromaserve import Client, ProblemError, Result, Retries, TooBusy, Unreachable
from chromaserve.client import retries
from chromaserve.client.retries import Attempts
from chromaserve.command_line.main import command
from tests.client.faulty import Fault, Proxy
from tests.command_line.command import at_once, files
from tests.conftest import Server
from tests.sample_photos import encoded, small
from tests.tls import certificate, served_with

QUICK = Retries(attempts=3, budget_s=30, base_s=0.01, cap_s=0.02)
GONE = Fault(502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>")
PROBLEM = {"Content-Type": "application/problem+json"}
STARTING = Fault(503, PROBLEM, b'{"type": "/problems/not-ready", "status": 503}')
BUSY = Fault(503, PROBLEM, b'{"type": "/problems/busy", "status": 503, "detail": "Full."}')
STALLED = Fault(408, PROBLEM, b'{"type": "/problems/upload-stalled", "status": 408}')
GARBLED = Fault(200, {"Content-Type": "image/png", "Content-Encoding": "gzip"}, b"no gzip")
PHOTO = encoded(small("L"), "PNG")
AWAY = 30
"""Requests that find nobody, many more than `attempts` are."""


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    with Client(proxy.url, retries=QUICK) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos for three requests."""
    place = tmp_path / "photos"
    place.mkdir()
    for n in range(40):
        (place / f"{n}.png").write_bytes(encoded(small("L", (50 + n, 40)), "PNG"))
    return place


@pytest.mark.slow
@pytest.mark.parametrize("away", [GONE, STARTING, Fault(503)])
def test_a_service_that_has_answered_is_waited_for(
    client: Client, proxy: Proxy, away: Fault
) -> None:
    assert client.models()
    proxy.faults.extend([away] * AWAY)
    assert client.colorize(PHOTO).size == (120, 80)
    proxy.faults.extend([away] * AWAY)
    assert all(isinstance(each.outcome, Result) for each in client.colorize_many([PHOTO] * 3))
    proxy.faults.extend([away] * AWAY)
    assert client.info().engine
    assert not proxy.faults


def test_one_that_has_not_or_is_there_and_busy_has_its_attempts(
    client: Client, proxy: Proxy
) -> None:
    proxy.faults.extend([GONE] * AWAY)
    with pytest.raises(ProblemError, match="502"):
        client.colorize(PHOTO)
    assert len(proxy.seen) == QUICK.attempts
    proxy.faults.clear()
    assert client.models()
    for fault, error in ((BUSY, TooBusy), (Fault(cut_after=0), Unreachable)):
        proxy.seen.clear()
        proxy.faults.extend([fault] * AWAY)
        with pytest.raises(error):
            client.colorize(PHOTO)
        assert len(proxy.seen) == QUICK.attempts
        proxy.faults.clear()
    with Client(proxy.url, retries=1) as once:
        assert once.models()
        proxy.faults.append(GONE)
        with pytest.raises(ProblemError, match="502"):
            once.colorize(PHOTO)


def test_nobody_there_any_more_is_waited_for_as_long_as_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(retries, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for budget_s in (30, 600):
        attempts = Attempts(Retries(budget_s=budget_s))
        now[0] += 1000  # the request itself took long before it broke off
        begun = now[0]
        while (pause_s := attempts.pause_s(away=True)) is not None:
            now[0] += pause_s
        assert now[0] - begun == pytest.approx(budget_s)


@pytest.mark.slow
def test_a_folder_is_done_through_a_restart_each_photo_once(
    proxy: Proxy, folder: Path, tmp_path: Path
) -> None:
    """Both first requests are answered, then nobody is there, and an answer is cut short."""
    proxy.faults.extend([Fault(), Fault(), *[GONE] * AWAY, Fault(cut_after=5000), *[GONE] * AWAY])
    arguments = ["colorize", str(folder), "-o", str(tmp_path / "out"), "--url", proxy.url]
    with at_once():
        done = CliRunner().invoke(command, [*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    assert files(tmp_path / "out") == {f"{n}.png" for n in range(40)}
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["summary"]["colorized"] == len(told) - 1 == 40
    assert not proxy.faults


def test_patience_is_the_commands_bound(proxy: Proxy, folder: Path, tmp_path: Path) -> None:
    proxy.faults.extend([Fault(), Fault(), *[GONE] * AWAY])
    arguments = ["colorize", str(folder), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(command, [*arguments, "--url", proxy.url, "--patience", "0"])
    assert done.exit_code == 4
    assert "502" in done.stderr
    done = CliRunner().invoke(command, [*arguments, "--patience", "9"])
    assert (done.exit_code, "--url" in done.stderr) == (2, True)


def test_an_answer_that_is_garbled_or_an_upload_that_stalled_is_tried_again(
    client: Client, proxy: Proxy
) -> None:
    for fault in (GARBLED, STALLED):
        proxy.faults.append(fault)
        assert client.colorize(PHOTO).size == (120, 80)
        proxy.faults.append(fault)
        [one] = client.colorize_many([PHOTO])
        assert isinstance(one.outcome, Result)


def test_an_answer_that_leaves_photos_out_is_no_answer(client: Client, proxy: Proxy) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("0-photo.png", PHOTO)
        archive.writestr("manifest.json", json.dumps({"photos": [{"input": "0-photo"}]}))
    proxy.faults.extend([Fault(200, {"Content-Type": "application/zip"}, file.getvalue())] * AWAY)
    coming = client.colorize_many([PHOTO] * 2)
    assert next(coming).position == 0
    with pytest.raises(Unreachable, match="says nothing of"):
        next(coming)


@pytest.mark.parametrize("name", ["../over.png", "{out}/../over.png", "..\\over.png", "over.png"])
def test_a_service_says_nothing_of_where_results_go(
    client: Client, proxy: Proxy, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    told = f"inline; filename*=UTF-8''{quote(name.format(out=out), safe='')}"
    proxy.faults.append(
        Fault(200, {"Content-Type": "image/png", "Content-Disposition": told}, PHOTO)
    )
    assert client.colorize(PHOTO).save(out) == out / "over.png"
    assert files(tmp_path) == {"out/over.png"}


class Failing(io.BytesIO):
    """A file on a disk that fails in the middle of it."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 100:
            raise OSError(5, "Input/output error")
        return super().read(min(100, size or 0))


def test_a_photo_that_cannot_be_read_to_its_end_spoils_no_other(client: Client) -> None:
    done = list(client.colorize_many([PHOTO, Failing(PHOTO), PHOTO]))
    assert [type(each.outcome) for each in done] == [Result, OSError, Result]
    with pytest.raises(OSError, match="Input/output"):
        client.colorize(Failing(PHOTO))


class Growing(io.BytesIO):
    """A file that is still being written when it is sent for the first time."""

    times = 0

    def read(self, size: int | None = -1, /) -> bytes:
        begins = self.tell() == 0
        self.times += begins
        more = b"more" if begins and self.times == 1 else b""
        return super().read(size) + more


def test_a_photo_that_changes_while_it_is_sent_is_sent_again(server: Server) -> None:
    with Client(server.url, retries=QUICK) as client:
        growing = Growing(PHOTO)
        assert client.colorize(growing).size == (120, 80)
        assert growing.times == 2


@contextmanager
def door(context: ssl.SSLContext | None) -> Iterator[tuple[int, list[str]]]:
    """A port behind which somebody speaks TLS, or HTTP alone; who came."""
    came: list[str] = []

    def open_to_all() -> None:
        with suppress(OSError):  # it is closed
            for number in itertools.count():
                line, _ = listener.accept()
                came.append(str(number))
                with line, suppress(OSError):
                    if context:
                        context.wrap_socket(line, server_side=True)
                    else:
                        line.recv(2**16)
                        line.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=open_to_all, daemon=True).start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)


def test_what_is_wrong_with_tls_is_told_in_words_and_at_once(tmp_path: Path) -> None:
    for context, words in (
        (served_with(certificate(tmp_path)), r"certificate is not accepted \(self-signed"),
        (None, "http:// is meant"),
    ):
        with (
            door(context) as (port, came),
            Client(f"https://127.0.0.1:{port}", retries=QUICK) as client,
            pytest.raises(Unreachable, match=words),
        ):
            client.colorize(PHOTO)
        assert len(came) == 1


def test_a_name_that_nobody_knows_is_told() -> None:
    with (
        Client("http://no-such-host.invalid", retries=QUICK) as client,
        pytest.raises(Unreachable, match="its name is not known"),
    ):
        client.colorize(PHOTO)


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with door(None) as (port, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with (
            Client("https://photos.test", retries=QUICK) as client,
            pytest.raises(Unreachable, match=r"the proxy that the environment names .* 400"),
        ):
            client.colorize(PHOTO)


@pytest.mark.parametrize(
    "url", ["", "http://", "ftp://photos.test", "http://photos.test:99999", "http://[::1", "a b\n"]
)
def test_an_address_that_is_none_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no address of a service"):
        Client(url)
    (tmp_path / "a.png").write_bytes(PHOTO)
    for words in (["colorize", str(tmp_path / "a.png")], ["jobs", "list"], ["models"]):
        done = CliRunner().invoke(command, [*words, "--url", url])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "is no address of a service" in done.stderr
    assert files(tmp_path) == {"a.png"}


@pytest.mark.parametrize("key", ["", "secret\n", " secret", "sécret"])
def test_a_key_that_no_header_carries_is_told_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the API key is empty, or") as refused:
        Client("http://photos.test", api_key=key)
    assert "cret" not in str(refused.value)
    done = CliRunner().invoke(command, ["jobs", "list", "--api-key", key])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "cret" not in done.stderr
