"""Jobs by the client and by the command."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from chromaserve import Address, AsyncClient, Client, ProblemError, Result, Unreachable
from chromaserve.command_line.main import command
from tests.app.test_album import views
from tests.command_line.command import at_once, run
from tests.conftest import Server, Start
from tests.hurried import HURRIED
from tests.jobs.asking import photo
from tests.jobs.conftest import KEY
from tests.jobs.elsewhere import Elsewhere
from tests.sample_photos import raw

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes(photo(1))
    (tmp_path / "in" / "deep" / "b.jpg").write_bytes(raw("rocket.jpg"))
    (tmp_path / "in" / "notes.txt").write_text("Dear all,")
    return tmp_path


@pytest.mark.slow
def test_a_client_hands_in_waits_and_fetches(service: Server, folder: Path) -> None:
    photos: list[bytes | Path] = [
        folder / "in" / "a.png",
        b"Dear all,",
        folder / "in" / "deep" / "b.jpg",
    ]
    with Client(service.url, api_key=KEY) as client:
        options: dict[str, Any] = {"vividness": 0.2, "format": "webp", "confidence": "figure"}
        job = client.submit(photos, **options)
        assert job.wait(120).ended
        outcomes = {each.position: each for each in client.job(job.id).results()}
        assert sorted(outcomes) == [0, 1, 2]
        assert [outcomes[n].name for n in range(3)] == ["a.png", "photo", "b.jpg"]
        bad = outcomes[1].outcome
        assert isinstance(bad, ProblemError)
        assert bad.slug == "unsupported-format"
        for place in (0, 2):
            made = outcomes[place].outcome
            assert isinstance(made, Result)
            plain = client.colorize(photos[place], **options)
            assert (made.data, made.name, made.told) == (plain.data, plain.name, plain.told)
            assert made.model_version == plain.model_version
        status = job.status
        assert (status.state, status.done, status.failed) == ("done", 2, 1)
        assert status.expires
        assert status.expires > status.created
        with pytest.raises(ProblemError, match="No such job"):
            client.job("none")
        with pytest.raises(ValueError, match="one at least"):
            client.submit([])
        for key in ("", "line\n", "schlüssel"):
            with pytest.raises(ValueError, match="idempotency key"):
                client.submit(photos, idempotency_key=key)


def test_an_asynchronous_client_cancels_and_repeats(service: Server) -> None:
    async def scenario() -> None:
        async with AsyncClient(service.url, api_key=KEY) as client:
            many = [raw("rocket.jpg")] * 20
            job = await client.submit(many, idempotency_key="of-the-async-test")
            again = await client.submit(many, idempotency_key="of-the-async-test")
            assert again.id == job.id
            assert (await again.cancel()).state == "cancelled"
            found = [each async for each in job.results()]
            assert len(found) == job.status.done < 20
            with pytest.raises(TimeoutError):
                await (await client.submit(many)).wait(0.01)

    asyncio.run(scenario())


def test_a_client_names_addresses(service: Server, others: Elsewhere) -> None:
    others.files["/open/c.png"] = photo(3)
    at = f"{others.url}/open"
    with Client(service.url, api_key=KEY) as client:
        job = client.submit([Address(f"{at}/c.png"), Address(f"{at}/c.png", f"{at}/out.png")])
        here, sent = sorted(job.results())
        assert isinstance(here.outcome, Result)
        assert isinstance(sent.outcome, Result)
        assert here.outcome.data == others.files["/open/out.png"]
        assert sent.outcome.data == b""


@pytest.mark.slow
def test_results_come_through_a_service_that_is_killed(
    start_server: Start, start_small: Start, tmp_path: Path
) -> None:
    """The client goes on from where it was, with another process at the same address."""
    server = start_server(HURRIED, jobs=tmp_path / "queue")
    server.wait_ready()
    with Client(server.url, retries=20) as client:
        job = client.submit([photo(n) for n in range(12)])
        coming = job.results()
        seen = [next(coming).position]
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(60)
        start_small(HURRIED, jobs=tmp_path / "queue", port=server.url.rpartition(":")[2])
        seen += [each.position for each in coming]
    assert sorted(seen) == list(range(12))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("jobs", "list"),
        ("jobs", "show", "an-id"),
        ("jobs", "submit", "a.png"),
        ("colorize", "a.png"),
    ],
)
@pytest.mark.parametrize("key", [(), ("--api-key", "a-key-that-nobody-knows")])
def test_a_key_that_is_missing_or_wrong_is_one_status(
    service: Server, folder: Path, words: tuple[str, ...], key: tuple[str, ...]
) -> None:
    given = [folder / "in" / word if word == "a.png" else word for word in words]
    done = run(*given, "--url", service.url, *key)
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"Give --api-key" in done.stderr


@pytest.mark.slow
def test_an_album_with_a_reference_by_client_and_command(service: Server, folder: Path) -> None:
    photos = {f"{n}.png": data for n, data in enumerate(views())}
    reference = raw("coffee.png")
    for name, data in {**photos, "print.png": reference}.items():
        (folder / name).write_bytes(data)
    paths = [folder / name for name in photos]
    hint = {"x": 440, "y": 230, "color": "#b03030", "photo": "0.png"}
    with Client(service.url, api_key=KEY) as client:
        job = client.submit(paths, album=True, hints=[hint], reference=folder / "print.png")
        made = {each.position: each.outcome for each in job.results()}
        at_once = client.colorize_many(paths, album=True, hints=[hint], reference=reference)
        for position, _, outcome in at_once:
            found = made[position]
            assert isinstance(found, Result)
            assert isinstance(outcome, Result)
            assert found.data == outcome.data
    given = ("--hints", json.dumps([hint]), "--reference", folder / "print.png", "--album")
    at = ("--url", service.url, "--api-key", KEY)
    done = run("jobs", "submit", *paths, *given, *at)
    assert done.returncode == 0, done.stderr
    out = folder / "album"
    assert run("jobs", "fetch", done.stdout.decode().strip(), "-o", out, *at).returncode == 0
    results = [made[n] for n in range(3)]
    assert [(out / name).read_bytes() for name in photos] == [
        each.data for each in results if isinstance(each, Result)
    ]


def test_the_command_hands_in_waits_and_fetches(service: Server, folder: Path) -> None:
    at = ("--url", service.url, "--api-key", KEY)
    (folder / "in" / "deep-colour").mkdir()
    for name in ("a-colour.png", "a-colour-2.png", "deep-colour/b.png"):  # earlier results
        (folder / "in" / name).write_bytes(photo(1))
    done = run("jobs", "submit", folder / "in", "--format", "jpg", *at)
    assert done.returncode == 0, done.stderr
    assert b"2 named -colour" in done.stderr
    [job] = done.stdout.decode().split()
    out = folder / "out"
    done = run("jobs", "fetch", job, "-o", out, *at)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "b.jpg"]
    assert sorted(done.stdout.decode().split()) == [str(out / "a.jpg"), str(out / "b.jpg")]
    again = run("jobs", "fetch", job, "-o", out, *at)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b""), "all is there"
    (out / "a.jpg").write_bytes(b"mine")
    again = run("jobs", "fetch", job, "-o", out, *at)
    assert (again.returncode, again.stdout) == (1, b"")
    assert b"a.jpg is there already: name another folder" in again.stderr
    file = run("jobs", "fetch", job, "-o", out / "a.jpg", "--overwrite", *at)
    assert file.returncode == 2
    assert b"a.jpg is no folder" in file.stderr
    assert (out / "a.jpg").read_bytes() == b"mine"
    assert b"done: 2 of 2 photos done; kept until" in run("jobs", "show", job, *at).stdout
    told = json.loads(run("jobs", "wait", job, "--json", *at).stdout)
    assert (told["state"], told["done"]) == ("done", 2)
    cancelled = run("jobs", "cancel", job, *at)
    assert cancelled.stdout.startswith(b"done: ")


def test_the_command_says_what_is_wrong(
    service: Server, folder: Path, small_http: httpx.Client
) -> None:
    at = ("--url", service.url, "--api-key", KEY)
    elsewhere = str(small_http.base_url)
    for arguments, status, words in (
        (("show", "none", *at), 4, "no such job"),
        (("submit", folder / "none.jpg", *at), 3, "No such file"),
        (("submit", folder / "in" / "notes.txt", *at), 3, "not a photo"),
        (("submit", "s3://bucket/a.png", *at), 2, "presign"),
        (("submit", folder, "--idempotency-key=", *at), 2, "idempotency key is empty"),
        (("submit", folder, "http://photos.test/a.png", *at), 2, "photos, or addresses"),
        (("submit", folder, "--url", elsewhere), 4, f"{elsewhere}: This service keeps no jobs"),
        (("show", "any", "--url", NOBODY), 4, "no service at"),
    ):
        with at_once():
            done = CliRunner().invoke(command, ["jobs", *map(str, arguments)])
        assert (done.exit_code, done.stdout) == (status, "")
        assert words in done.stderr
    with at_once():
        done = CliRunner().invoke(command, ["jobs", "submit", str(folder), "--url", NOBODY])
    assert done.exit_code == 4
    assert "may have the job" not in done.stderr, "no connection came about"


def test_the_environment_names_the_service_of_jobs(small_http: httpx.Client) -> None:
    environment = {"CHROMASERVE_URL": str(small_http.base_url)}
    done = CliRunner().invoke(command, ["jobs", "show", "any"], env=environment)
    assert done.exit_code == 4
    assert "keeps no jobs" in done.stderr


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (Unreachable("It fell silent."), 4)]
)
def test_a_job_that_may_be_there_is_told_of_by_its_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    asked: list[str] = []

    def submit(*_: object, idempotency_key: str, **__: object) -> None:
        asked.append(idempotency_key)
        raise error

    monkeypatch.setattr(Client, "submit", submit)
    for more in ((), ("--idempotency-key", "mine")):
        done = CliRunner().invoke(command, ["jobs", "submit", str(folder / "in"), *more])
        assert (done.exit_code, done.stdout) == (status, "")
        assert f"--idempotency-key {asked[-1]} " in done.stderr
        assert "running it again goes on" not in done.stderr
    assert asked[0] != asked[1] == "mine"
