"""A reload reaches all workers."""

import shutil
from pathlib import Path

import httpx

from chromaserve.store.versions import ModelStore
from tests.workers.asking import by_both, post, processes, started, wait_for_all


def test_a_reload_reaches_all_and_who_comes_later_serves_what_is_served(
    tmp_path: Path, small_network: dict[str, object], small_root: Path
) -> None:
    root = tmp_path / "store"
    shutil.copytree(small_root, root)
    store = ModelStore(root)

    def publish() -> int:
        latest = store.resolve("latest")
        return store.publish(latest.path, latest.description).version

    with started(tmp_path, small_network, model_root=root, max_loaded_models=1) as server:

        def served() -> set[int]:
            answers = by_both(server)
            assert {answer.status_code for answer in answers} == {200}
            return {int(answer.headers["x-model-version"]) for answer in answers}

        old = store.versions()[-1]
        new = publish()
        assert served() == {old}
        answer = httpx.post(server.url + "/models/reload", timeout=120)
        assert answer.json() == {"version": new, "changed": True}
        assert served() == {new}
        many = post(server, 12, "/models/reload")  # each is answered, however many come at once
        assert {(answer.status_code, answer.json()["version"]) for answer in many} == {(200, new)}
        publish()
        processes(server)[0].kill()
        wait_for_all(server, times=2)
        assert served() == {new}, "nobody asked for a reload"

        aside = root.rename(tmp_path / "aside")
        processes(server)[0].kill()
        tries = 0
        while "ended with status 5; another takes its place" not in server.log.read_text():
            assert (tries := tries + 1) < 1000, "the one without a store does not end"
            assert [answer.status_code for answer in post(server, 4)] == [200] * 4
        aside.rename(root)
        wait_for_all(server, times=3)
        assert served() == {new}
