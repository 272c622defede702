"""`chromaserve colorize`: files, folders, streams, a running service, interruptions."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from watchfiles import watch

from chromaserve.command_line.main import command
from tests.app.test_album import results, send, views
from tests.command_line.command import SAMPLES, at_once, files, run, said, start
from tests.conftest import Server
from tests.sample_photos import decoded, encoded, small

CAT = SAMPLES / "cat.jpg"
DEADLINE_S = 60
IN_FOLDER = {
    "notes",
    *(".", "missing.jpg", "empty", "cat.jpg", "there.png", "other.jpg", "third.jpg", "folder"),
}


def colorized(http: httpx.Client, photo: Path, query: str = "") -> bytes:
    """What the service makes of a photo."""
    answer = http.post(f"/colorize{query}", files={"file": photo.read_bytes()})
    assert answer.status_code == 200
    return answer.content


Here = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def here(small_root: Path) -> Here:
    """The command with the network of the small service."""
    return partial(run, CHROMASERVE_MODEL_ROOT=str(small_root))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of small photos, one of them damaged, and of other things."""
    folder = tmp_path / "photos"
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    shutil.copy(CAT, folder / "same.jpg")
    shutil.copy(SAMPLES / "coffee.jpg", folder / "more" / "COFFEE.JPG")
    shutil.copy(SAMPLES / "rocket.jpg", folder / "more" / "deep" / "rocket.jpeg")
    shutil.copy(CAT, folder / ".hidden" / "cat.jpg")
    (folder / "same.png").write_bytes(CAT.read_bytes()[:5000])
    (folder / "notes.txt").write_text("not a photo")
    os.mkfifo(folder / "pipe.jpg")  # which nobody writes to
    ahead = time.time() + 86400  # as of a camera whose clock is
    os.utime(folder / "more" / "COFFEE.JPG", (ahead, ahead))
    return folder


def test_a_folder_keeps_its_tree_and_a_broken_photo_spoils_nothing(
    tree: Path, tmp_path: Path, small_http: httpx.Client, small_server: Server, here: Here
) -> None:
    out = tmp_path / "out"
    done = here("colorize", tree, "-o", out, "--json", "--format", "jpeg", "--vividness", "0.3")
    assert done.returncode == 1, done.stderr
    assert "same.png: The JPEG file is damaged" in said(done)
    results = {"same.jpg.jpg", "more/COFFEE.jpg", "more/deep/rocket.jpg"}
    assert files(out) == results
    query = "?format=jpeg&vividness=0.3"
    assert (out / "same.jpg.jpg").read_bytes() == colorized(small_http, CAT, query)
    *rows, last = map(json.loads, done.stdout.splitlines())
    assert {Path(row["output"] or "").name for row in rows if row["status"] == "colorized"} == {
        Path(name).name for name in results
    }
    (failed,) = (row for row in rows if row["status"] == "failed")
    assert failed["input"] == str(tree / "same.png")
    assert "damaged" in failed["problem"]
    assert last["summary"].items() >= {"colorized": 3, "failed": 1, "skipped": 0}.items()
    assert last["summary"]["left_out"] == {".txt": 1, "pipe or device": 1}

    # Again: only what is new or changed since.
    before = {name: (out / name).stat().st_mtime_ns for name in results}
    (tree / "same.png").write_bytes(CAT.read_bytes())
    again = here(
        "colorize", tree, "-o", out, "--json", "--format", "jpeg", "--url", small_server.url
    )
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout.splitlines()[-1])["summary"]
    assert summary.items() >= {"colorized": 1, "failed": 0, "skipped": 3}.items()
    assert {name: (out / name).stat().st_mtime_ns for name in results} == before
    assert files(out) == results | {"same.png.jpg"}


@pytest.mark.slow
def test_standard_input_becomes_the_service_s_answer_on_standard_output(
    small_http: httpx.Client, here: Here
) -> None:
    hints = '[{"x": 200, "y": 100, "color": "#3355aa"}]'
    done = here(*("colorize", "-", "--postprocess", "tv", "--hints", hints), stdin=CAT.read_bytes())
    assert done.returncode == 0, done.stderr
    answer = small_http.post(
        "/colorize", files={"file": CAT.read_bytes()}, data={"postprocess": "tv", "hints": hints}
    )
    assert done.stdout == answer.content
    assert said(done) == ""


def test_a_service_does_it_by_url(
    tree: Path, tmp_path: Path, server: Server, http: httpx.Client
) -> None:
    done = run("colorize", "--url", server.url, tree, "-o", tmp_path / "out", "--postprocess", "tv")
    assert done.returncode == 1, done.stderr
    assert "damaged" in said(done)
    expected = colorized(http, SAMPLES / "rocket.jpg", "?postprocess=tv")
    assert (tmp_path / "out" / "more" / "deep" / "rocket.png").read_bytes() == expected
    hints = '[{"x": 200, "y": 100, "color": "#3355aa"}]'
    piped = run("colorize", "--url", server.url, "-", "--hints", hints, stdin=CAT.read_bytes())
    assert piped.stdout == colorized(http, CAT, f"?hints={quote(hints)}")
    within = (tree / "more", tree, "-o", tree / "results")
    assert run("colorize", "--url", server.url, *within).returncode == 1
    assert "5 skipped, 1 failed" in said(run("colorize", "--url", server.url, *within))


@pytest.mark.slow
def test_a_pipe_at_one_end_alone(tmp_path: Path, server: Server, http: httpx.Client) -> None:
    expected = colorized(http, CAT)
    out = run("colorize", CAT, "-o", "-", "--url", server.url)
    assert (out.stdout, said(out)) == (expected, "")
    into = run("colorize", "-", "-o", tmp_path / "cat.png", "--url", server.url,
               stdin=CAT.read_bytes())  # fmt: skip
    assert (into.stdout, said(into)) == (b"", "")
    assert (tmp_path / "cat.png").read_bytes() == expected
    refused = run("colorize", "-", "--url", server.url, stdin=b"no photo")
    assert (refused.returncode, refused.stdout) == (3, b"")
    assert "JPEG, PNG" in said(refused)


@pytest.mark.slow
def test_interrupted_runs_leave_whole_files_and_are_resumed(tmp_path: Path, server: Server) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    out.mkdir()
    for path in sorted(SAMPLES.iterdir())[:18]:
        shutil.copy(path, photos)
    assert run("colorize", photos, "-o", tmp_path / "whole", "--url", server.url).returncode == 0
    whole = {name: (tmp_path / "whole" / name).read_bytes() for name in files(tmp_path / "whole")}

    def finished() -> set[str]:
        return {name for name in files(out) if not name.startswith(".")}

    def end_in_the_middle(number: signal.Signals) -> "subprocess.CompletedProcess[bytes]":
        before = finished()
        running = start("colorize", photos, "-o", out, "--json")
        try:
            # As soon as a file is there, others coming or not.
            for _ in watch(
                out, debounce=10, step=5, rust_timeout=100, yield_on_timeout=True,
                watch_filter=None,
            ):  # fmt: skip
                if finished() > before:
                    break
                assert running.poll() is None, running.communicate()
            running.send_signal(number)
            told = running.communicate(timeout=DEADLINE_S)
        finally:
            running.kill()
        assert before < finished() < set(whole), "it was ended in the middle"
        assert all((out / name).read_bytes() == whole[name] for name in finished())
        return subprocess.CompletedProcess([], running.returncode, *told)

    interrupted = end_in_the_middle(signal.SIGINT)
    assert interrupted.returncode == 130
    assert "interrupted" in said(interrupted)
    *rows, summary = map(json.loads, interrupted.stdout.splitlines())
    assert {Path(row["output"]).name for row in rows} == finished()
    assert summary["summary"]["colorized"] == len(rows) == len(finished())
    end_in_the_middle(signal.SIGKILL)
    skipped = len(finished())
    again = run(
        "colorize", photos, "-o", out, "--url", server.url
    )  # quicker than to load the model
    assert again.returncode == 0, again.stderr
    assert f"{len(whole) - skipped} colorized, {skipped} skipped" in said(again)
    assert {name: (out / name).read_bytes() for name in files(out)} == whole


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["missing.jpg"], 3, "there is no missing.jpg"),
        (["empty"], 3, "no photo"),
        (["notes"], 3, "left out: 2 .txt"),
        (["cat.jpg", "-o", "there.png"], 2, "--overwrite"),
        (["-", "-o", "there.png"], 2, "--overwrite"),
        (["-", "there.png"], 2, "-o"),
        (["cat.jpg", "-o", "new.jpg", "--format", "png"], 2, "named as jpeg"),
        (["-", "-o", "new.png", "--format", "webp"], 2, "named as png"),
        (["cat.jpg", "-o", "result.bmp"], 2, "not .bmp"),
        (["cat.jpg", "-o", "new.png", "--format", "same"], 2, "name a folder by -o"),
        (["cat.jpg", "other.jpg"], 3, "there is no other.jpg; where results go is named by -o"),
        (["folder", "-o", "folder"], 2, "itself"),
        (["cat.jpg", "folder", "-o", "cat.jpg"], 2, "is a file"),
        (["there.png", "-o", "there.png", "--overwrite"], 2, "take the place of"),
        (["cat.jpg", "folder/cat.png", "-o", "empty"], 2, "would both become"),
        (["cat.jpg", "--watch"], 2, "folders"),
        (["folder", "--poll"], 2, "--watch"),
        (["-", "-o", "new.png", "--json"], 2, "for one photo and its result alone"),
        (["cat.jpg", "-o", "-", "--watch"], 2, "for one photo and its result alone"),
        (["cat.jpg", "--max-pixels", "9", "--url", "localhost:9"], 2, "a service has its own"),
        (["cat.jpg", "--vividness", "2"], 2, "vividness"),
        (["folder", "--hints", "[]"], 2, "one photo"),
        (["empty", "--hints", "[]", "--watch"], 2, "without --watch"),
        (["cat.jpg", "--hints", "@missing.json"], 2, "missing.json"),
    ],
)
def test_statuses_that_need_no_model(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    for name in ("empty", "folder", "notes"):
        (tmp_path / name).mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "notes" / name).touch()
    for name in ("cat.jpg", "there.png", "folder/one.jpg", "folder/cat.png"):
        shutil.copy(CAT, tmp_path / name)
    before = files(tmp_path)
    named = [str(tmp_path / a) if a.split("/")[0] in IN_FOLDER else a for a in arguments]
    done = run("colorize", *named)
    assert done.returncode == status, done.stderr
    assert words in said(done).replace(f"{tmp_path}/", "")
    assert files(tmp_path) == before


@pytest.mark.parametrize("url", ["localhost:9", "http://127.0.0.1:9"])
def test_a_service_that_is_not_there_is_named(tmp_path: Path, url: str) -> None:
    shutil.copy(CAT, tmp_path)
    with at_once():
        done = CliRunner().invoke(command, ["colorize", str(tmp_path / "cat.jpg"), "--url", url])
    assert done.exit_code == 4, done.stderr
    assert url.removeprefix("http://") in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == {"cat.jpg"}


@pytest.mark.slow
def test_a_model_that_is_not_there_and_options_that_the_model_refuses(tmp_path: Path) -> None:
    shutil.copy(CAT, tmp_path)
    done = run("colorize", tmp_path / "cat.jpg", "--model", "999")
    assert done.returncode == 5
    assert "999" in said(done)
    done = run("colorize", tmp_path / "cat.jpg", "--max-pixels", "5000")
    assert done.returncode == 3
    assert "at most 5,000" in said(done)
    assert " send " not in said(done)
    done = run("colorize", tmp_path / "cat.jpg", CHROMASERVE_DEVICE="moon")
    assert done.returncode == 2
    assert "CHROMASERVE_DEVICE: " in said(done)


@pytest.mark.slow
def test_proposals_are_files_beside_each_other_and_replace_nothing(
    tmp_path: Path, small_http: httpx.Client, small_server: Server, here: Here
) -> None:
    photo = tmp_path / "cat.jpg"
    shutil.copy(CAT, photo)
    kept = tmp_path / "cat-colour-2.png"
    kept.write_bytes(b"mine")
    assert here("colorize", photo, "--proposals", "3").returncode == 0
    names = {"cat.jpg", "cat-colour.png", "cat-colour-2.png", "cat-colour-3.png"}
    assert files(tmp_path) == names
    assert kept.read_bytes() == b"mine"
    assert (tmp_path / "cat-colour.png").read_bytes() == colorized(small_http, CAT)
    assert (tmp_path / "cat-colour-3.png").read_bytes() == colorized(small_http, CAT, "?proposal=3")
    done = here("colorize", photo, "--proposals", "2", "--overwrite", "--url", small_server.url)
    assert done.returncode == 0, done.stderr
    assert kept.read_bytes() == colorized(small_http, CAT, "?proposal=2")
    again = here("colorize", *tmp_path.glob("cat*"), "--proposals", "3")
    assert again.returncode == 0
    assert files(tmp_path) == names, "results are no photos"
    assert here("colorize", photo, "-o", "-", "--proposals", "2").returncode == 2


@pytest.mark.slow
def test_a_map_of_confidence_lies_beside_the_result(
    tmp_path: Path, small_http: httpx.Client, small_server: Server, here: Here
) -> None:
    photo = tmp_path / "cat.jpg"
    shutil.copy(CAT, photo)
    done = here("colorize", photo, "--confidence", "--format", "jpeg", "--json")
    assert done.returncode == 0, done.stderr
    drawn = tmp_path / "cat-colour-confidence.png"
    assert files(tmp_path) == {"cat.jpg", "cat-colour.jpg", drawn.name}
    assert drawn.read_bytes() == colorized(small_http, CAT, "?confidence=png")
    told = next(row for row in map(json.loads, done.stdout.splitlines()) if "confidence" in row)
    assert 0 < told["confidence"] < 1
    assert len(told["hint_places"]) == 3
    assert f"confidence {told['confidence']:.2f}" in said(done)
    drawn.unlink()
    by_service = ("--url", small_server.url, "--format", "jpeg")
    again = here("colorize", *tmp_path.glob("cat*"), "--confidence", *by_service)
    assert again.returncode == 0, again.stderr
    assert drawn.read_bytes() == colorized(small_http, CAT, "?confidence=png")
    assert f"confidence {told['confidence']:.2f}" in said(again)
    assert here("colorize", photo, "-o", "-", "--confidence").returncode == 2


@pytest.mark.slow
def test_a_reference_gives_its_colours_here_and_by_a_service(
    tmp_path: Path, small_http: httpx.Client, small_server: Server, here: Here
) -> None:
    photo, reference = tmp_path / "cat.jpg", tmp_path / "print.jpg"
    shutil.copy(CAT, photo)
    shutil.copy(CAT.parents[1] / "colour" / "cat.jpg", reference)
    sent = {"file": photo.read_bytes(), "reference": reference.read_bytes()}
    wanted = small_http.post("/colorize", files=sent).content
    assert wanted != colorized(small_http, CAT)
    for where in ((), ("--url", small_server.url)):
        result = tmp_path / f"{len(where)}.png"
        done = here("colorize", photo, "--reference", reference, "-o", result, *where)
        assert done.returncode == 0, done.stderr
        assert result.read_bytes() == wanted
        refused = here("colorize", photo, "--reference", CAT, "-o", tmp_path / "no.png", *where)
        assert refused.returncode != 0
        assert "reference: this photo is grey" in said(refused)
    assert "no.png" not in files(tmp_path)


@pytest.mark.slow
def test_an_album_agrees_as_by_the_service_here_and_there(
    tmp_path: Path, small_http: httpx.Client, small_server: Server, here: Here
) -> None:
    folder = tmp_path / "album"
    folder.mkdir()
    photos = views()
    for i, photo in enumerate(photos):
        (folder / f"{i}.png").write_bytes(photo)
    hints = json.dumps([{"x": 440, "y": 230, "color": "#b03030", "photo": "0.png"}])
    wanted = results(send(small_http, photos, album="true", hints=hints))
    by_number = hints.replace('"0.png"', "0")
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    (mixed / "1.tif").write_bytes(encoded(Image.open(mixed / "1.png"), "TIFF"))
    (mixed / "1.png").unlink()
    for more in ([], ["--url", small_server.url]):
        out = tmp_path / f"out-{len(more)}"
        done = here("colorize", folder, "-o", out, "--album", "--hints", hints, *more)
        assert done.returncode == 0, done.stderr
        for name in ("0.png", "1.png", "2.png"):
            assert (out / name).read_bytes() == wanted[name]
        out, same = tmp_path / f"same-{len(more)}", ("--format", "same", "--pages", "all")
        done = here("colorize", mixed, "-o", out, "--album", *same, "--hints", by_number, *more)
        assert done.returncode == 0, done.stderr
        for name in ("0.png", "1.tif", "2.png"):
            pixels = decoded((out / name).read_bytes())
            assert np.array_equal(pixels, decoded(wanted[f"{name[0]}.png"])), name
    (out / "1.tif").unlink()
    refused = here("colorize", mixed, "-o", out, "--album", *same, "--hints", by_number)
    assert refused.returncode == 2
    assert "2 are done already" in said(refused), "0 would be another photo"
    refused = here("colorize", folder, "-o", tmp_path / "no", "--album", "--proposals", "3")
    assert refused.returncode == 2
    assert "--album" in said(refused)
    pages = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")])
    (mixed / "1.tif").write_bytes(pages)
    refused = here("colorize", mixed, "-o", tmp_path / "no", "--album", "--pages", "all")
    assert refused.returncode == 2
    assert "--album" in said(refused)
    one = ("--hints", '[{"x": 9, "y": 9, "color": "#335577"}]')
    refused = here("colorize", mixed / "1.tif", "-o", tmp_path / "no", "--pages", "all", *one)
    assert refused.returncode == 2
    assert "one page" in said(refused)
