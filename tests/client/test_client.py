"""One photo by the client: results, kinds of input, errors in types, keys and root paths."""

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from chromaserve import (
    AsyncClient,
    BadOptions,
    BadPhoto,
    Client,
    Hint,
    ProblemError,
    Result,
    TooBusy,
    Unauthorized,
    Unreachable,
)
from tests.client.faulty import proxy_to
from tests.conftest import Server, running
from tests.hostile.files import chunk
from tests.sample_photos import decoded, encoded, raw, small

KEY = "key-of-the-tests-0123"


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as opened:
        yield opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "grandmother – 1931.jpg"
    path.write_bytes(raw("rocket.jpg"))
    return path


def plain(http: httpx.Client, photo: Path, **options: str) -> bytes:
    """The service's own answer."""
    answer = http.post("/colorize", files={"file": photo.read_bytes()}, params=options)
    assert answer.status_code == 200
    return answer.content


def test_a_result_says_what_was_found_in_the_photo(client: Client) -> None:
    album = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")])
    assert client.colorize(album).told == {
        "colour": "grey",
        "page": "1 of 2",
        "warnings": ["This is page 1 of 2; pages=all gives all of them."],
    }
    picture = encoded(small(), "PNG")
    assert client.colorize(picture, colour="keep").told == {"colour": "colour", "kept": True}
    told = client.colorize(picture, confidence="figure").told
    assert 0 < told["confidence"] < 1
    assert [set(place) for place in told["hint_places"]] == [{"x", "y"}] * 3
    broken = picture[:33] + chunk(b"zTXt", b"Title\0\0no deflate") + picture[33:]
    (warning,) = client.colorize(broken).told["warnings"]
    assert warning == "Too large or broken to go along: texts."
    exif = Image.Exif()
    exif[0x010E] = "Harvest " * 9_000
    long = encoded(small("L"), "PNG", exif=exif)
    assert "warnings" not in client.colorize(long).told
    (warning,) = client.colorize(long, format="jpeg").told["warnings"]
    assert warning == "Too large or broken to go along: EXIF."


def test_photos_come_out_of_pipes_and_other_things_are_none(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, pipe = encoded(small(), "JPEG"), tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_bytes, args=[photo], daemon=True).start()
    result = client.colorize(pipe)
    assert (result.name, result.data) == ("pipe.png", client.colorize(photo).data)
    with pytest.raises(IsADirectoryError):
        client.colorize(tmp_path)
    with pytest.raises(TypeError, match="not int"):
        client.colorize(7)  # type: ignore[arg-type]
    monkeypatch.setattr("chromaserve.client.photos._MOST_BYTES", len(photo) - 1)
    threading.Thread(target=pipe.write_bytes, args=[photo], daemon=True).start()
    with pytest.raises(OSError, match="too large for a photo"):
        client.colorize(pipe)
    threading.Thread(target=pipe.write_bytes, args=[photo], daemon=True).start()
    with pipe.open("rb") as opened, pytest.raises(OSError, match="too large for a photo"):
        client.colorize(opened)


def test_importing_the_client_brings_nothing_that_colorizes() -> None:
    code = (
        "import sys; from chromaserve import AsyncClient, Client; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "httpx" in loaded
    assert not loaded & {"cv2", "numpy", "PIL", "scipy", "ncnn", "tensorflow", "fastapi"}


def test_the_client_alone_says_what_the_command_takes() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; "
        "from chromaserve.__main__ import main; import chromaserve.client; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "chromaserve: this is the client alone; the command takes the whole package\n"
    )


def test_a_photo_comes_back_as_the_service_answers_it(
    client: Client, http: httpx.Client, photo: Path, tmp_path: Path
) -> None:
    result = client.colorize(photo, vividness=0.3, postprocess="none", format="jpeg")
    assert result.data == plain(http, photo, vividness="0.3", postprocess="none", format="jpeg")
    assert (result.media_type, result.name) == ("image/jpeg", "grandmother – 1931.jpg")
    assert result.size == result.image().size == (640, 427)
    assert result.model_version == client.info().model_version
    assert {"decode", "inference", "encode", "total"} <= set(result.timings)
    assert result.timings["total"] >= result.timings["decode"] > 0
    assert result.request_id
    saved = result.save(tmp_path / "out.jpg")
    assert saved.read_bytes() == result.data
    (tmp_path / "folder").mkdir()
    assert result.save(tmp_path / "folder") == tmp_path / "folder" / result.name
    # Many that are saved as the documentation says are as many files, whatever is there.
    assert result.save(tmp_path / "new" / "colour") == tmp_path / "new" / "colour" / result.name
    (tmp_path / "temporary").touch()
    assert result.save(tmp_path / "temporary") == tmp_path / "temporary"


def test_a_folder_that_is_not_there_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    box = tmp_path / "Box 3.2"
    for name in ("a.png", "b.png"):
        saved = Result(name.encode(), "image/png", name, 1).save(box)
        assert saved == box / name
    assert {each.name: each.read_bytes() for each in box.iterdir()} == {
        "a.png": b"a.png", "b.png": b"b.png"
    }  # fmt: skip
    for name in ("one.PNG", "one.jpeg", "1.2.tif"):  # names of files
        assert Result(b"one", "image/png", "c.png", 1).save(tmp_path / name).name == name


def test_a_result_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from chromaserve.client.results import Result
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # as a full disk
Result(b"a" * 100, "image/png", "a.png", 1, {}, "id").save(sys.argv[1])
"""
    target = tmp_path / "result.png"
    target.write_bytes(b"of before")
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=False
    )
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        ("result.png", b"of before")
    ]


def test_bytes_paths_open_files_and_pipes_are_one_photo(
    client: Client, http: httpx.Client, photo: Path
) -> None:
    wanted = plain(http, photo)
    data = photo.read_bytes()
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as end:
            end.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    odd = photo.with_name(os.fsdecode(b'\xff "\n.jpg'))
    odd.write_bytes(data)
    with photo.open("rb") as file, os.fdopen(reading, "rb") as pipe:
        for kind in (data, str(photo), photo, file, io.BytesIO(data), pipe, odd):
            assert client.colorize(kind).data == wanted
    thread.join()


def test_threads_may_share_a_client(client: Client, http: httpx.Client, photo: Path) -> None:
    wanted = plain(http, photo)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(client.colorize, [photo] * 4))
    assert [result.data == wanted for result in results] == [True] * 4


def test_hints_colour_what_they_are_put_on(client: Client, photo: Path) -> None:
    hint = Hint(x=320, y=40, color="#c03070")
    with_hint = client.colorize(photo, hints=[hint])
    for same in ([hint.model_dump()], '[{"x": 320, "y": 40, "color": "#c03070"}]'):
        assert client.colorize(photo, hints=same).data == with_hint.data
    red, green, _ = decoded(with_hint.data)[40, 320].astype(int)
    red_before, green_before, _ = decoded(client.colorize(photo).data)[40, 320].astype(int)
    assert red - green > red_before - green_before + 20


def test_problems_have_types_and_all_of_their_members(client: Client, photo: Path) -> None:
    with pytest.raises(BadPhoto) as damaged:
        client.colorize(photo.read_bytes()[:2000])
    assert (damaged.value.status, damaged.value.slug) == (422, "damaged-photo")
    assert damaged.value.detail
    assert damaged.value.request_id
    with pytest.raises(BadOptions) as wrong:
        client.colorize(photo, vividness=7)
    assert wrong.value.type.endswith("/problems/invalid-options")
    assert wrong.value.extensions["errors"][0]["option"] == "vividness"
    with pytest.raises(BadOptions, match="version"):
        client.colorize(photo, model=999)
    with pytest.raises(FileNotFoundError):
        client.colorize(photo.parent / "none.jpg")
    with pytest.raises(ValueError, match="attempts"):
        Client("http://127.0.0.1", retries=0)


def test_what_would_be_several_results_is_told_how_to_be_had(client: Client, photo: Path) -> None:
    with pytest.raises(ValueError, match="proposal=2"):
        client.colorize(photo, proposals=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="proposal=2"):
        next(client.colorize_many([photo], per_request=1, proposals=3))  # type: ignore[call-arg]
    book = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")])
    with pytest.raises(ValueError, match="colorize_many gives them"):
        client.colorize(book, pages="all")
    assert client.colorize(book, pages="all", format="tiff").told["page"] == "1-2 of 2"
    assert client.colorize(photo, pages="all").size == (640, 427)


def test_a_deadline_is_sent_as_it_was_given(client: Client, photo: Path) -> None:
    for wrong in (0, -3):
        with pytest.raises(BadOptions, match="deadline_s"):
            client.colorize(photo, deadline_s=wrong)
    client.colorize(photo)  # what it takes is known now
    with pytest.raises(TooBusy, match=r"about (?!0\.0 )\S+ s now, more than the 0\.0005 s that"):
        client.colorize(photo, deadline_s=0.0005)


def test_nobody_there(photo: Path) -> None:
    with Client("http://127.0.0.1:9", retries=2) as client:
        assert not client.ready()
        with pytest.raises(Unreachable):
            client.colorize(photo)
        with pytest.raises(TimeoutError, match=r"did not become ready in 0\.3 s: .*connection"):
            client.wait_ready(0.3)


@pytest.mark.slow
def test_a_key_and_a_root_path_behind_a_proxy(
    tmp_path_factory: pytest.TempPathFactory, photo: Path, small_network: dict[str, object]
) -> None:
    with running(tmp_path_factory.mktemp("guarded"), **small_network) as start:
        guarded = start(api_keys=KEY, root_path="/colour")
        with (
            proxy_to(guarded.url, "/colour") as proxy,
            Client(proxy.url, api_key=KEY) as client,
            Client(proxy.url) as stranger,
        ):
            client.wait_ready(120)
            assert client.colorize(photo).size == (640, 427)
            assert client.models()["models"]
            assert stranger.ready()
            with pytest.raises(Unauthorized) as refused:
                stranger.colorize(photo)
        assert refused.value.slug == "unauthorized"


def test_the_asynchronous_client_runs_requests_side_by_side(server: Server, photo: Path) -> None:
    async def several() -> list[bytes]:
        async with AsyncClient(server.url) as client:
            await client.wait_ready()
            assert (await client.info()).engine in ("ncnn", "savedmodel")
            results = await asyncio.gather(*(client.colorize(photo) for _ in range(3)))
            with pytest.raises(ProblemError):
                await client.colorize(b"junk")
            return [result.data for result in results]

    one, *others = asyncio.run(several())
    assert decoded(one).shape == (427, 640, 3)
    assert others == [one, one]


@pytest.mark.slow
def test_a_reference_is_sent_beside_the_photo_and_again_with_every_request(
    client: Client, http: httpx.Client, photo: Path, tmp_path: Path
) -> None:
    reference = tmp_path / "print.png"
    reference.write_bytes(raw("astronaut.png"))
    sent = {"file": photo.read_bytes(), "reference": reference.read_bytes()}
    wanted = http.post("/colorize", files=sent).content
    for given in (reference, str(reference), raw("astronaut.png")):
        assert client.colorize(photo, reference=given).data == wanted
    with reference.open("rb") as file:
        many = client.colorize_many([photo] * 3, reference=file, per_request=1)
        results = [each.outcome for each in many]
    assert [isinstance(each, Result) and each.data for each in results] == [wanted] * 3
    grey = encoded(small("L"), "PNG")

    def lost() -> Iterator[Path]:
        reference.write_bytes(b"no photo any more")
        yield from [photo] * 3

    many = client.colorize_many(lost(), reference=reference, per_request=1)
    assert [getattr(each.outcome, "data", each.outcome) for each in many] == [wanted] * 3
    with pytest.raises(BadOptions, match="reference: this photo is grey"):
        client.colorize(photo, reference=grey)
