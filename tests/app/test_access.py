"""Who may ask: API keys, origins, hosts; and the service behind a proxy, under a path."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Server, Start, serving
from tests.sample_photos import encoded, small

KEY, OTHER, OF_FILE = "k" * 16, "another-key-0123456789", "from-a-file-0123456789"
PAGE = "https://page.test"
PROXY = {"host": "photos.test", "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"\ufeff# of the team\n{OF_FILE}\n\n", "utf-8")  # marked, as Windows does
    return file


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, key_file: Path, small_network: dict[str, object]
) -> Iterator[Server]:
    """A service with all of it on, under /colour of photos.test."""
    with serving(
        tmp_path_factory.mktemp("guarded"),
        **small_network,
        api_keys=f"{KEY}, {OTHER}",
        api_keys_file=key_file,
        cors_origins=PAGE.replace("page", "Page"),
        trusted_hosts="127.0.0.1,photos.test,*.photos.test",
        root_path="/colour",
        forwarded_allow_ips="127.0.0.1",
        log_format="json",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(guarded: Server) -> Iterator[httpx.Client]:
    with guarded.client() as opened:
        yield opened


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition("/")[2]


@pytest.mark.parametrize(
    "headers",
    [
        bearer(KEY),
        {"authorization": f"bearer {OTHER}"},
        {"x-api-key": OF_FILE},
        {"authorization": "Basic cHJveHk6cGFzcw==", "x-api-key": KEY},
    ],
)
def test_a_known_key_is_let_in(client: httpx.Client, headers: dict[str, str]) -> None:
    photo = encoded(small("L"), "PNG")
    answer = client.post("/colorize", files={"file": photo}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(KEY[:-1]),
        bearer(KEY + "k"),
        bearer(f"{KEY},{OTHER}"),
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"x-api-key": "# of the team"},
        [(b"x-api-key", b"\xff\xfe" * 9)],
    ],
)
def test_any_other_is_told_how_to_send_one(client: httpx.Client, headers: Any) -> None:  # noqa: ANN401
    answer = client.get("/models", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert slug(answer) == "unauthorized"
    assert "X-API-Key" in answer.json()["detail"]
    assert answer.headers["x-request-id"]


def test_what_needs_no_key_and_what_does(client: httpx.Client) -> None:
    """The document says which is which, and it is so."""
    document = client.get("/openapi.json").json()
    assert {s["type"] for s in document["components"]["securitySchemes"].values()} == {
        "http",
        "apiKey",
    }
    opened = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answer = client.request(method, path.replace("{slug}", "busy"))
            if operation.get("security", document["security"]) == []:
                opened.add(path)
                assert answer.status_code == 200, path
            else:
                assert answer.status_code == 401, path
                assert "401" in operation["responses"]
    health = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
    assert opened == {*health, "/problems/{slug}"}
    assert client.get("/docs").status_code == 200
    assert client.get("/", follow_redirects=False).status_code in (200, 307)
    assert client.get("/metrics").status_code == client.get("/nothing").status_code == 401


@pytest.mark.parametrize("path", ["/page/../models", "/problems/../models", "//models", "/models/"])
def test_no_spelling_of_a_path_goes_around_the_key(guarded: Server, path: str) -> None:
    line = http.client.HTTPConnection(guarded.url.removeprefix("http://"), timeout=20)
    line.request("GET", path)  # as it is: httpx would make it plain
    assert line.getresponse().status in (401, 404)
    line.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/metrics%0A"), ("POST", "/models/reload%0a"), ("GET", "/models%0A")],
)
def test_what_a_proxy_hides_has_no_other_name(small_server: Server, method: str, path: str) -> None:
    """nginx's `location = /metrics` is not for a path with a line feed behind it."""
    line = http.client.HTTPConnection(small_server.url.removeprefix("http://"), timeout=20)
    line.request(method, path)
    answer = line.getresponse()
    assert (answer.status, json.load(answer)["type"]) == (404, "/problems/not-found")
    line.close()


def test_a_service_without_keys_asks_for_none(small_http: httpx.Client) -> None:
    document = small_http.get("/openapi.json").json()
    assert "security" not in document
    assert "securitySchemes" not in document["components"]
    assert (
        small_http.get("/models", headers={"origin": PAGE, "host": "any.test"}).status_code == 200
    )


def test_a_body_without_a_key_is_not_asked_for(guarded: Server) -> None:
    """With Expect: 100-continue, a server that wants the body says 100 first."""
    host, port = guarded.url.removeprefix("http://").split(":")
    head = (
        f"POST /colorize HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\n"
        "Content-Length: 50000000\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(head.encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_changed_file_of_keys_is_read_again(client: httpx.Client, key_file: Path) -> None:
    before = key_file.read_text()
    new = "a-newer-key-9876543210"

    def status(key: str) -> int:
        return client.get("/models", headers=bearer(key)).status_code

    try:
        key_file.write_text(f"{new}\n")
        assert [status(new), status(OF_FILE), status(KEY)] == [200, 401, 200]
        key_file.write_text("too short\n")  # kept as they are
        assert [status(new), status(KEY)] == [200, 200]
        key_file.write_text("")  # all taken back
        assert [status(new), status(KEY)] == [401, 200]
    finally:
        key_file.write_text(before)
    assert status(OF_FILE) == 200


def test_logs_know_keys_by_a_name_that_gives_nothing_away(
    client: httpx.Client, guarded: Server
) -> None:
    wrong = "w" * 20
    for identity, key in (("first", KEY), ("second", OTHER), ("wrong", wrong)):
        client.get("/models", headers={"x-request-id": identity, **bearer(key)})
    deadline = time.monotonic() + 10
    while '"wrong"' not in (log := guarded.log.read_text()):
        assert time.monotonic() < deadline, log
    records = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    named = {r["request_id"]: r.get("key") for r in records if r["logger"] == "chromaserve.access"}
    assert len({named["first"], named["second"]} - {None}) == 2
    assert named["wrong"] is None
    for key in (KEY, OTHER, OF_FILE, wrong):
        assert key not in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"api_keys": f"{KEY},2short"}, "CHROMASERVE_API_KEYS: .* 16 to 256 visible ASCII"),
        ({"root_path": "colour/"}, "CHROMASERVE_ROOT_PATH: .* begins with /"),
        ({"cors_origins": "app.example.org"}, "CHROMASERVE_CORS_ORIGINS: .* https://app.example"),
        ({"trusted_hosts": "https://a.test"}, "CHROMASERVE_TRUSTED_HOSTS: .* without https://"),
        (
            {"jobs": "/tmp/jobs", "jobs_addresses": "bucket.example.org"},
            "CHROMASERVE_JOBS_ADDRESSES: .* https://bucket.example.org",
        ),
        ({"model_version": "newest"}, 'CHROMASERVE_MODEL_VERSION: .* a number or "latest"'),
        ({"forwarded_allow_ips": "nginx"}, "CHROMASERVE_FORWARDED_ALLOW_IPS: .* IPv4 or IPv6"),
        ({"forwarded_allow_ips": "10.0.0.5/8"}, "CHROMASERVE_FORWARDED_ALLOW_IPS: .* host bits"),
        ({"api_keys_file": "/no/such/file"}, "CHROMASERVE_API_KEYS_FILE: .* cannot be read"),
    ],
)
def test_settings_that_would_let_nobody_in_end_the_start(
    start_server: Start, settings: dict[str, str], said: str
) -> None:
    server = start_server(**settings)
    assert server.process.wait(60) == 2
    log = server.log.read_text()
    assert re.search(said, log)
    assert "2short" not in log
    assert "pattern" not in log


def test_a_page_of_an_allowed_origin_may_ask_and_read_refusals(client: httpx.Client) -> None:
    asks = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    allowed = client.options("/colorize", headers=asks)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert allowed.headers["x-request-id"]
    refused = client.get("/models", headers={"origin": PAGE})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == PAGE
    exposed = refused.headers["access-control-expose-headers"].lower().split(", ")
    assert {"server-timing", "x-model-version", "x-request-id", "retry-after"} <= set(exposed)
    assert {"www-authenticate", "inference-header-content-length"} <= set(exposed)
    assert {"etag", "content-range", "accept-ranges"} <= set(exposed)


def test_a_page_of_another_origin_may_not(client: httpx.Client) -> None:
    asks = {"origin": "https://other.test", "access-control-request-method": "POST"}
    refused = client.options("/colorize", headers=asks)
    assert (refused.status_code, slug(refused)) == (400, "origin-refused")
    assert "access-control-allow-origin" not in refused.headers
    answer = client.get("/models", headers={"origin": "https://other.test", **bearer(KEY)})
    assert "access-control-allow-origin" not in answer.headers


def test_only_its_own_names_are_answered_but_probes_come_by_address(client: httpx.Client) -> None:
    def ask(path: str, host: str) -> httpx.Response:
        return client.get(path, headers={"host": host, **bearer(KEY)})

    for host in ("photos.test", "PHOTOS.test:443", "eu.photos.test"):
        assert ask("/models", host).status_code == 200, host
    for host in ("evil.test", "photos.test.evil.test", "evilphotos.test", "10.1.2.3"):
        refused = ask("/models", host)
        assert (refused.status_code, slug(refused)) == (400, "untrusted-host"), host
    for path in ("/healthz", "/readyz", "/v2/health/ready", "/metrics"):
        assert ask(path, "10.1.2.3:8000").status_code == 200, path
    metrics = client.get("/metrics", headers=bearer(KEY)).text
    assert 'chromaserve_refusals_total{problem="untrusted-host"}' in metrics
    assert 'chromaserve_refusals_total{problem="unauthorized"}' in metrics
    assert 'chromaserve_requests_total{method="GET",route="unmatched",status="401"}' in metrics


def test_references_lead_back_through_the_proxy(client: httpx.Client) -> None:
    """The proxy serves /colour/ of https://photos.test, and strips the path."""

    def through(reference: str) -> str:
        path = reference.removeprefix("https://photos.test").removeprefix("/colour")
        assert path != reference, reference
        return path

    keyed = {**PROXY, **bearer(KEY)}
    refused = client.get("/models", headers=PROXY).json()
    assert refused["type"] == "/colour/problems/unauthorized"
    assert refused["instance"] == "/colour/models"
    explained = client.get(through(refused["type"]), headers=PROXY).json()
    assert explained["type"] == refused["type"]
    missing = client.get("/nothing", headers=keyed).json()
    assert "/colour/docs" in missing["detail"]
    assert client.get("/openapi.json", headers=PROXY).json()["servers"] == [{"url": "/colour"}]
    moved = client.get("/models/", headers=keyed)
    assert moved.headers["location"] == "/colour/models"
    photos = [("file", encoded(small("L"), "PNG")), ("file", b"no photo")]
    answer = client.post(
        "/colorize", files=photos, headers={**keyed, "accept": "application/json"}
    ).json()
    assert answer["photos"][1]["problem"]["type"] == "/colour/problems/unsupported-format"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("believed", "second"),
    [("", 429), ("127.0.0.1", 422), ("10.0.0.1, 127.0.0.0/8,", 422), ("10.0.0.1", 429), ("*", 422)],
)
def test_forwarded_headers_of_strangers_are_not_believed(
    start_small: Start, believed: str, second: int
) -> None:
    server = start_small(rate_limit=1, forwarded_allow_ips=believed)
    server.wait_ready()
    with server.client() as http_:
        answers = [
            http_.post("/colorize", headers={"x-forwarded-for": f"192.0.2.{n}"}) for n in (1, 2)
        ]
    assert [answer.status_code for answer in answers] == [422, second]  # 422: no photo in it


def test_a_slash_too_many_leads_to_a_path_whatever_the_scheme(client: httpx.Client) -> None:
    for method, path, place in (
        ("POST", "/colorize/?vividness=1", "/colour/colorize?vividness=1"),
        ("GET", "/models/", "/colour/models"),
    ):
        answer = client.request(method, path, headers=bearer(KEY))
        assert (answer.status_code, answer.headers["location"]) == (307, place)
