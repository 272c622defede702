import importlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from pydantic import ValidationError

from chromaserve.client import Client, Result
from chromaserve.client.retries import Attempts
from tests.cluster.conftest import workers
from tests.conftest import free_port

ROOT = Path(__file__).parent.parent.parent
CONFIGURATION = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text())
PHOTOS = sorted((ROOT / "samples" / "grey").iterdir())[:5]
REPLICA = "ServeReplica:default:chromaserve"
CLIENTS, TIMES = 10, 8


@pytest.fixture(scope="module")
def url(cluster: str, small_root: Path) -> Iterator[str]:  # noqa: ARG001 - it has to run
    """The application of the configuration file, here with two replicas, small batches."""
    from ray import serve
    from ray.serve.schema import ServeDeploySchema

    application = ServeDeploySchema.model_validate(CONFIGURATION).applications[0]
    module, _, name = application.import_path.partition(":")
    arguments = {
        **application.args,
        "model_root": small_root,
        "engine": "ncnn",
        "num_cpus": 1,
        "min_replicas": 2,
        "max_replicas": 2,
        "settings": {"max_batch": 2},
    }
    builder = getattr(importlib.import_module(module), name)
    port = free_port()
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    serve.run(builder(builder.__annotations__["arguments"].model_validate(arguments)))
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The clients' pauses before they sent something again, one entry for each failure."""
    told: list[float | None] = []
    pause_s = Attempts.pause_s

    def watched(
        self: Attempts, asked_s: float | None = None, *, away: bool = False
    ) -> float | None:
        told.append(pause_s(self, asked_s, away=away))
        return told[-1]

    monkeypatch.setattr(Attempts, "pause_s", watched)
    return told


def test_what_ray_has_a_setting_of_its_own_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.ray_serve import Arguments

    for name, value in {"root_path": "/x", "workers": 2, "keep_alive_s": 60, "port": 80}.items():
        with pytest.raises(ValidationError, match=f"{name}: under Ray Serve"):
            Arguments(settings={name: value})
    monkeypatch.setenv("CHROMASERVE_ENGINE", "ncnn")
    assert Arguments().service_settings().engine == "ncnn"
    assert Arguments(engine="savedmodel").service_settings().engine == "savedmodel"


@pytest.mark.slow
def test_a_replica_killed_while_it_works_loses_no_request(
    url: str, small_http: httpx.Client, pauses: list[float | None]
) -> None:
    first = workers(REPLICA)
    assert len(first) == 2
    some_done = threading.Semaphore(0)

    def colorize(photo: Path) -> Result:
        with Client(url, retries=20) as client:
            result = client.colorize(photo)
        some_done.release()
        return result

    with ThreadPoolExecutor(CLIENTS) as pool:
        asked = [pool.submit(colorize, photo) for photo in PHOTOS * TIMES]
        for _ in range(CLIENTS):
            assert some_done.acquire(timeout=60)
        busiest = max(first, key=lambda process: sum(process.cpu_times()[:2]))
        busiest.send_signal(signal.SIGKILL)
        answers = [each.result(timeout=60) for each in asked]

    psutil.wait_procs([busiest], timeout=10)
    assert not busiest.is_running()
    assert pauses, "it had nothing to do when it was killed"
    print(f"{len(asked)} requests, {len(pauses)} of them sent again")
    alone = {
        photo: small_http.post("/colorize", files={"file": photo.read_bytes()}).content
        for photo in PHOTOS
    }
    for photo, answer in zip(PHOTOS * TIMES, answers, strict=True):
        assert answer.data == alone[photo], photo
