"""New versions take over while requests run."""

import asyncio
import json
import shutil
import time
from pathlib import Path

import httpx
import pytest

from app.service import Service
from app.settings import Settings
from chromaserve.engines.ncnn_engine import FOLDER, PARAM
from chromaserve.pipeline.models import LoadedModel, Models
from chromaserve.store.errors import ModelCorrupt
from chromaserve.store.versions import ModelStore, ModelVersion
from tests.conftest import Server, Start
from tests.sample_photos import encoded, raw, small

PHOTO = {"file": encoded(small("L"), "PNG")}


@pytest.fixture
def store(tmp_path: Path, small_root: Path) -> ModelStore:
    """A copy of a store, to publish in."""
    root = tmp_path / "store"
    shutil.copytree(small_root, root)
    return ModelStore(root)


def publish(store: ModelStore) -> int:
    """The same model again, as the next version."""
    latest = store.resolve("latest")
    return store.publish(latest.path, latest.description).version


def version_of(answer: httpx.Response) -> int:
    return int(answer.headers["x-model-version"])


def test_a_new_version_takes_over_and_no_request_is_dropped(
    start_server: Start, tmp_path: Path, model_root: Path
) -> None:
    store = ModelStore(tmp_path / "store")
    shutil.copytree(model_root, store.root)  # one that takes a while to load
    server = start_server(model_root=store.root, max_loaded_models=1, max_wait_s=300)
    server.wait_ready()
    before = store.versions()[-1]
    new = publish(store)

    async def scenario() -> tuple[list[httpx.Response], httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            switch = asyncio.create_task(client.post("/models/reload"))
            answers: list[httpx.Response] = []
            while not switch.done():
                answers += await asyncio.gather(
                    *(client.post("/colorize", files=PHOTO) for _ in range(4))
                )
            return answers, await switch

    answers, switched = asyncio.run(scenario())
    assert switched.json() == {"version": new, "changed": True}
    assert {answer.status_code for answer in answers} == {200}
    assert before in map(version_of, answers)
    with server.client() as http:
        assert version_of(http.post("/colorize", files=PHOTO)) == new
        loaded = [m["version"] for m in http.get("/models").json()["models"] if m["loaded"]]
        assert loaded == [new]
        again = http.post("/models/reload")
        assert again.json() == {"version": new, "changed": False}


def test_a_reload_while_a_broken_model_is_loaded_anew_stays(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models(Settings(model_root=store.root, max_loaded_models=1))
    old, load = models.load_default().version, models._fresh
    new = publish(store)

    def loaded(found: ModelVersion) -> LoadedModel:
        fresh = load(found)
        if found.version == old:
            assert models.reload().version == new
        return fresh

    monkeypatch.setattr(models, "_fresh", loaded)
    assert models.renew().version == new
    assert models.get(None).version == new
    assert [model.version for model in models.loaded] == [new]


@pytest.mark.slow
def test_a_damaged_version_changes_nothing(start_small: Start, store: ModelStore) -> None:
    server = start_small(model_root=store.root)
    server.wait_ready()
    before = store.versions()[-1]
    broken = store.folder / str(publish(store))
    with (broken / FOLDER / PARAM).open("r+b") as file:
        file.write(b"not a graph")
    (broken / "notes").symlink_to("nowhere")
    with server.client() as http:
        refused = http.post("/models/reload")
        assert refused.status_code == 500
        assert refused.json()["type"] == "/problems/model-unusable"
        assert f"{FOLDER}/{PARAM} has changed" in refused.json()["detail"]
        assert version_of(http.post("/colorize", files=PHOTO)) == before
        assert http.get("/readyz").json()["model_version"] == before


def wait_for_version(server: Server, version: int) -> None:
    with server.client() as http:
        for _ in range(3000):
            if http.get("/readyz").json()["model_version"] == version:
                return
            time.sleep(0.02)  # leave the core to the service
    raise AssertionError(server.log.read_text())


@pytest.mark.slow
def test_the_service_follows_the_store_by_itself(start_small: Start, store: ModelStore) -> None:
    server = start_small(model_root=store.root, reload_s=0.2)
    server.wait_ready()
    wait_for_version(server, publish(store))
    with server.client() as http:
        assert http.post("/colorize", files={"file": raw("camera.png")}).status_code == 200
    assert server.stop() == 0


@pytest.mark.slow
def test_a_pinned_version_stays(start_small: Start, store: ModelStore) -> None:
    pinned = store.versions()[-1]
    server = start_small(model_root=store.root, model_version=pinned)
    server.wait_ready()
    publish(store)
    with server.client() as http:
        assert http.post("/models/reload").json() == {"version": pinned, "changed": False}
        card = json.loads((store.folder / str(pinned) / "model.json").read_text())
        assert http.get("/models").json()["models"][0]["created"][:19] == card["created"][:19]


def test_trouble_with_the_disk_does_not_end_the_service(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(Settings(reload_s=0.001))
    looked = 0

    async def fails(*, again: bool) -> LoadedModel:
        nonlocal looked
        looked += not again
        raise OSError("the disk is gone")

    async def scenario() -> None:
        following = asyncio.create_task(service.follow_store())
        while looked < 3:
            assert not following.done()
            await asyncio.sleep(0)
        following.cancel()

    monkeypatch.setattr(service, "reload", fails)
    asyncio.run(scenario())
    service.pipeline.close()
    assert caplog.text.count("the disk is gone") == 1


def test_a_refused_version_is_looked_at_again_only_when_it_changes(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    verify = ModelStore.verify

    def noted(self: ModelStore, model: ModelVersion) -> None:
        looked.append(model.version)
        verify(self, model)

    monkeypatch.setattr(ModelStore, "verify", noted)
    models = Models(Settings(model_root=store.root, engine="ncnn"))
    serving = models.load_default()
    graph = store.folder / str(publish(store)) / FOLDER / PARAM
    good = graph.read_bytes()
    graph.write_bytes(good[:-1])
    for _ in range(2):
        with pytest.raises(ModelCorrupt, match="has changed"):
            models.reload(again=False)
        assert models.get(None) is serving
    assert looked == [serving.version, serving.version + 1]
    graph.write_bytes(good)
    assert models.reload(again=False).version == serving.version + 1


@pytest.mark.slow
def test_versions_that_many_ask_for_at_once_are_loaded_one_at_a_time(
    start_small: Start, store: ModelStore
) -> None:
    """Over more versions than there is room for, loading is not all that the service does."""
    asked = [
        str(version) for version in (store.versions()[-1], *(publish(store) for _ in range(3)))
    ]
    server = start_small(model_root=store.root, model_version=asked[0], max_loaded_models=2)
    server.wait_ready()

    async def scenario() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            return await asyncio.gather(
                *(
                    client.post("/colorize", files=PHOTO, params={"model": asked[i % 4]})
                    for i in range(24)
                )
            )

    answers = asyncio.run(scenario())
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
    default = [answer for i, answer in enumerate(answers) if i % 4 == 0]
    assert {answer.status_code for answer in default} == {200}, "who has its version is served"
    assert server.log.read_text().count("loaded model") - 1 <= 2
