"""One worker that is killed, a disk that is full: the others go on."""

import re
import shutil
from pathlib import Path

import psutil
import pytest

from tests.conftest import STOP_S, Server
from tests.workers.asking import WORKERS, by_both, metric, post, processes, started, wait_for_all

pytestmark = pytest.mark.slow


def test_a_worker_that_is_killed_comes_back_and_the_others_go_on(server: Server) -> None:
    labels = {"route": "/colorize", "method": "POST", "status": "200"}
    by_both(server)
    for victim in processes(server):
        before = metric(server, "chromaserve_requests_total", **labels)
        count = len(re.findall("Application startup complete", server.log.read_text()))
        victim.kill()
        victim.wait(STOP_S)
        done = 0
        while count == len(re.findall("Application startup complete", server.log.read_text())):
            answers = post(server, 4)
            assert [answer.status_code for answer in answers] == [200] * 4
            done += 4
        assert done
        assert "was ended by signal 9; another takes its place" in server.log.read_text()
        assert metric(server, "chromaserve_requests_total", **labels) == before + done
    assert len(processes(server)) == WORKERS
    assert {answer.status_code for answer in by_both(server)} == {200}


def test_a_full_disk_or_a_folder_that_is_gone_ends_nobody(
    tmp_path: Path, small_network: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with started(tmp_path, small_network, daily_limit=1000) as server:
        [shared] = tmp_path.glob("chromaserve-*")
        assert [answer.status_code for answer in post(server, 4)] == [200] * 4
        mapped = [*shared.glob("*.db"), shared / "loads"]
        assert len(mapped) > WORKERS
        for file in mapped:  # there is no SIGBUS where every byte has its place
            assert file.stat().st_blocks * 512 >= file.stat().st_size, file
        workers = processes(server)
        _, most = workers[0].rlimit(psutil.RLIMIT_FSIZE)
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (0, most))
        answers = post(server, 8)
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (most, most))  # for the log
        assert [answer.status_code for answer in answers] == [200] * 8
        assert "ratelimit" not in answers[0].headers, "it could be counted"

        shutil.rmtree(shared)
        processes(server)[0].kill()
        wait_for_all(server, times=2)
        assert {answer.status_code for answer in by_both(server)} == {200}
