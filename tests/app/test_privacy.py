"""What one caller may do and is told: nothing of the server's files, nothing of other callers."""

import json
import re
import shutil
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from chromaserve import settings as settings_module
from chromaserve.engines.ncnn_engine import FOLDER, PARAM
from chromaserve.settings import usable_cores
from tests.conftest import Server, Start
from tests.sample_photos import encoded, small

ONE, OTHER, ADMIN, OF_FILE = "one-" * 5, "other-" * 4, "admin-" * 4, "of-a-file-" * 2
PHOTO = encoded(small("L"), "PNG")


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def guarded(start_small: Start, tmp_path: Path) -> Server:
    keys = tmp_path / "keys"
    keys.write_text(f"admin {OF_FILE}\n")
    server = start_small(
        api_keys=f"{ONE},{OTHER}", admin_keys=ADMIN, api_keys_file=keys, cache_mb=8, rate_limit=12
    )
    server.wait_ready()
    return server


@pytest.mark.slow
def test_keys_have_scopes_callers_of_their_own_and_so_many_requests(guarded: Server) -> None:
    with guarded.client() as http:
        # Both ways to the one function, by one rule.
        for path in ("/models/reload", "/v2/repository/models/colorizer/load"):
            for written in (path, f"{path}%0A"):
                refused = http.post(written, headers=bearer(ONE))
                assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")
            for key in (ADMIN, OF_FILE):
                assert http.post(path, headers=bearer(key)).status_code == 200
        document = http.get("/openapi.json").json()
        assert "403" in document["paths"]["/models/reload"]["post"]["responses"]

        def how(key: str) -> str:
            answer = http.post("/colorize", files={"file": PHOTO}, headers=bearer(key))
            assert answer.status_code == 200
            return str(answer.headers["server-timing"])

        assert "cached" not in how(ONE)
        assert "cached" in how(ONE)
        assert "cached" not in how(OTHER), "it tells that somebody sent this photo"

        for _ in range(20):
            answer = http.post("/colorize", content=b"", headers=bearer(ONE))
            if answer.status_code == 429:
                break
        assert answer.json()["type"] == "/problems/rate-limited"
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert answer.headers["ratelimit-policy"] == '"minute";q=12;w=60'
        assert answer.headers["ratelimit"].startswith('"minute";r=0;t=')
        assert http.get("/models", headers=bearer(ONE)).status_code == 200
        assert "cached" in how(OTHER), "one key's requests are not another's"


def test_a_day_has_its_limit_too_and_what_was_refused_counts_for_nothing(
    start_small: Start,
) -> None:
    server = start_small(rate_limit=6, daily_limit=4)
    server.wait_ready()
    with server.client() as http:
        answers = [http.post("/colorize", content=b"") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [*[422] * 4, 429, 429]
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=6;w=60, "day";q=4;w=86400'
        refused = answers[-1]
        assert "a day" in refused.json()["detail"]
        assert 60 < int(refused.headers["retry-after"]) <= 86_400 / 4
        told = [re.findall(r"r=(\d+);t=(\d+)", each.headers["ratelimit"]) for each in answers]
        assert told[-1][1][0] == told[3][1][0] == "0"
        assert int(told[-1][0][0]) >= int(told[3][0][0]) >= 2
        assert all(int(each[0][1]) <= 60 and int(each[1][1]) <= 86_400 for each in told)


@pytest.mark.slow
def test_no_answer_names_a_folder_of_the_server(
    start_small: Start, tmp_path: Path, small_root: Path
) -> None:
    root = tmp_path / "a store, of ours"
    shutil.copytree(small_root, root)
    server = start_small(model_root=root)
    server.wait_ready()
    versions = sorted(int(p.name) for p in (root / "colorizer").iterdir() if p.name.isdecimal())
    newer = root / "colorizer" / str(versions[-1] + 1)
    shutil.copytree(root / "colorizer" / str(versions[-1]), newer)
    told = json.loads((newer / "model.json").read_text())
    (newer / "model.json").write_text(json.dumps(told | {"version": versions[-1] + 1}))
    (newer / FOLDER / PARAM).write_text("changed")
    with server.client() as http:
        said = [
            http.get("/models"),
            http.post("/models/reload"),
            http.post("/v2/repository/index"),
            http.post("/colorize", params={"model": newer.name}, files={"file": PHOTO}),
        ]
        (newer / "model.json").write_text("{")
        said += [http.get("/models"), http.post("/models/reload"), http.get("/v2/repository/index")]
        shutil.rmtree(root)
        said += [
            http.get("/models"),
            http.post("/models/reload"),
            http.post("/colorize", params={"model": "latest"}, files={"file": PHOTO}),
        ]
        assert said[1].status_code == 500
        assert "changed" in server.log.read_text(), "the log says why"
    for answer in said:
        assert str(tmp_path) not in answer.text, answer.text


@pytest.mark.parametrize("digits", [30, 400, 5000])
def test_a_timeout_of_many_digits_is_refused(small_http: httpx.Client, digits: int) -> None:
    body = '{"parameters": {"timeout": ' + "9" * digits + '}, "inputs": [{"name": "photo", "shape":'
    body += ' [1], "datatype": "BYTES", "data": ["AAAA"]}]}'
    answer = small_http.post(
        "/v2/models/colorizer-photo/infer",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in (400, 422)
    assert httpx.URL(answer.json()["type"]).path.startswith("/problems/")


def test_every_setting_is_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in Settings.model_fields.items():
        if field.annotation is float:
            for value in ("inf", "nan", "1e12"):
                monkeypatch.setenv(f"CHROMASERVE_{name.upper()}", value)
                with pytest.raises(ValueError, match=name):
                    Settings()
            monkeypatch.delenv(f"CHROMASERVE_{name.upper()}")


def test_what_kubernetes_sets_is_ignored_and_misspelt_variables_are_told(
    start_small: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMASERVE_PORT", "tcp://10.0.0.1:8000")
    assert Settings().port == 8000
    server = start_small(max_pixel=7, port_8000_tcp_addr="10.0.0.1", service_host="10.0.0.1")
    server.wait_for("/healthz")
    log = server.log.read_text()
    assert "CHROMASERVE_MAX_PIXEL is no setting" in log
    assert "TCP_ADDR" not in log
    assert "SERVICE_HOST" not in log


def test_a_containers_limits_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings_module, "CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_cores() >= 1
    assert Settings().max_memory_mb == 3072
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2 * 2**30}\n")
    assert usable_cores() == 1
    assert Settings().max_memory_mb == 2048 - settings_module.MODEL_MB
    assert Settings(max_memory_mb=900).max_memory_mb == 900
