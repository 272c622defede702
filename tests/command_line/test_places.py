"""`chromaserve colorize`: where results go, and that nothing of a user's is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from chromaserve.command_line.main import command
from tests.command_line.command import PROGRAM, SAMPLES, environment, files, run, said
from tests.conftest import Server
from tests.small_network import small_http_instead, small_server_instead

CAT = SAMPLES / "cat.jpg"


# Nothing here is about colours.
server = small_server_instead
http = small_http_instead


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Photos of a user's, under all the names that a file can have."""
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "sub/c.png", "sub/d.jpg"):
        shutil.copy(CAT, folder / name)
    (folder / "self").symlink_to(".")
    (folder / "link.png").symlink_to("a.jpg")
    (folder / "hard.png").hardlink_to(folder / "b.jpg")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.jpg", "b.jpg"],  # what *.jpg becomes
        ["a.jpg", "sub/../a.jpg"],
        ["a.jpg", "self/"],
        ["a.jpg", "-o", "self/../a.jpg"],
        ["a.jpg", "-o", "self/a.jpg"],
        ["link.png", "-o", "a.jpg"],
        ["a.jpg", "-o", "link.png"],
        ["b.jpg", "-o", "hard.png"],
        ["a.jpg", "link.png", "-o", "self"],
        [".", "-o", "self"],
        [".", "-o", "sub"],
        ["sub", "a.jpg", "-o", "."],
        ["sub/c.png", "-o", "sub"],
        ["sub/c.png", "-o", "self/sub/"],
        ["sub", "self/sub", "-o", "sub"],
        ["sub/c.png", "sub/d.jpg"],
        ["-", "-o", "a.jpg"],
        ["sub/c.png", "sub/d.jpg", "-o", "one.png"],  # which is no folder's name
    ],
    ids=" ".join,
)
def test_no_photo_is_replaced(album: Path, server: Server, arguments: list[str]) -> None:
    photos = {
        path: (path.read_bytes(), path.stat().st_ino, path.is_symlink())
        for path in (album / name for name in files(album))
    }
    paths = [f"{album}/{each}" if each[0] not in "-" else each for each in arguments]
    with (album / "a.jpg").open("rb") as stdin:
        done = run("colorize", *paths, "--overwrite", "--url", server.url, stdin=stdin)
    said(done)
    for path, before in photos.items():
        assert (path.read_bytes(), path.stat().st_ino, path.is_symlink()) == before, path


def test_several_photos_go_beside_each_or_into_a_folder(album: Path, server: Server) -> None:
    shutil.copy(CAT, album / "sub" / "D.tif")  # some disk takes d.png and D.png for one
    names = ("a.jpg", "b.jpg", "sub/../a.jpg", "sub/d.jpg", "sub/D.tif")
    before = files(album)
    done = run("colorize", *(album / name for name in names), "--url", server.url)
    assert done.returncode == 0, done.stderr
    made = {"a-colour.png", "b-colour.png", "sub/d.jpg-colour.png", "sub/D.tif-colour.png"}
    assert files(album) - before == made
    out = album.parent / "out"
    done = run("colorize", *(album / name for name in names), "-o", out, "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert files(out) == {"a.png", "b.png", "d.jpg.png", "D.tif.png"}


def test_results_in_the_photos_own_folder_are_told_from_photos(album: Path, server: Server) -> None:
    before = files(album)
    done = run("colorize", *album.glob("*.jpg"), "-o", album / "self", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert files(album) - before == {"a-colour.png", "b-colour.png"}


def test_results_are_no_photos_and_what_is_left_out_is_counted(album: Path, server: Server) -> None:
    folder = album / "sub"
    for name in ("e.JXL", "f.jxl", "notes.txt", "README", ".hidden.txt"):
        (folder / name).write_bytes(b"no photo")
    for place in ("2020", "2020-colour"):
        (folder / place).mkdir()
        shutil.copy(CAT, folder / place / "x.jpg")
    patterns = ("c.png", "d.jpg")
    done = run("colorize", *(folder / name for name in patterns), "--url", server.url)
    assert done.returncode == 0, done.stderr
    results = ("c-colour.png", "d-colour.png")
    assert all((folder / name).exists() for name in results)
    done = run(
        *("colorize", *(folder / name for name in (*patterns, *results)), "--overwrite"),
        *("--format", "jpg", "--url", server.url),
    )
    assert "2 colorized" in said(done)
    assert "left out: 2 named -colour" in said(done)
    assert (folder / "c-colour.jpg").read_bytes().startswith(b"\xff\xd8")
    out = album.parent / "out"
    done = run("colorize", folder, "-o", out, "--json", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert files(out) == {"c.png", "d.png", "2020/x.png"}
    assert "4 named -colour, 2 .jxl" in said(done)
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["left_out"] == {
        ".jxl": 2, ".txt": 1, "without suffix": 1, "named -colour": 4, "folder named -colour": 1,
    }  # fmt: skip


def test_what_is_there_is_replaced_by_overwrite_alone(album: Path, server: Server) -> None:
    out = album.parent / "colour"
    (out / "sub").mkdir(parents=True)
    own = {name: out / name for name in ("a.png", "sub/c.png", ".mine.part", ".1.part")}
    for path in own.values():
        path.write_bytes(b"a painting of the user's own")
        os.utime(path, (0, 0))  # older than the photo
    done = run("colorize", album, "-o", out, "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert "2 older than the photo" in said(done)
    assert "other options" not in said(done)
    again = run("colorize", album, "-o", out, "--vividness", 0.9, "--url", server.url)
    made = len(files(out)) - len(own)
    assert f"2 older than the photo, {made} made with other options" in said(again)
    assert "--overwrite" in said(done)
    assert all(path.read_bytes() == b"a painting of the user's own" for path in own.values())
    assert (out / "sub" / "d.png").exists()
    done = run("colorize", album, "-o", out, "--overwrite", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert (out / "sub" / "c.png").read_bytes().startswith(b"\x89PNG")
    assert own[".mine.part"].exists()


def test_a_link_that_leads_nowhere_is_in_the_way_as_a_file_is(tmp_path: Path) -> None:
    link = tmp_path / "out.png"
    link.symlink_to(tmp_path / "not" / "there.png")
    film = ("video", CAT, link)  # looked at before the film is
    for words in (("colorize", CAT, "-o", link), film):
        done = run(*words)
        assert (done.returncode, link.is_symlink()) == (2, True)
        assert f"{link} is there already; --overwrite replaces it" in said(done)


def test_what_never_ends_is_not_read(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(CAT, folder)
    (folder / "zero.jpg").symlink_to("/dev/zero")
    with (folder / "large.jpg").open("wb") as file:
        file.truncate(12 * 10**9)  # of which the disk holds nothing
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2)"
    for where in (("--url", server.url), ()):
        done = subprocess.run(
            [
                *(sys.executable, "-c", limited + PROGRAM),
                *("colorize", str(folder), str(folder / "zero.jpg"), "-o", str(tmp_path / "out")),
                *("--overwrite", *where),
            ],
            capture_output=True,
            env=environment(),
            timeout=120,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "large.jpg: " in said(done)
        assert "zero.jpg: neither a file nor a pipe" in said(done)
        assert files(tmp_path / "out") == {"photos/cat.png"}


def test_a_photo_that_is_named_twice_is_done_once(album: Path, server: Server) -> None:
    twice = (album / "sub", album / "self" / "sub")
    done = run("colorize", *twice, "-o", album.parent / "out", "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert "2 colorized" in said(done)
    assert files(album.parent / "out") == {"sub/c.png", "sub/d.png"}


def test_results_by_other_options_are_told_of_before_a_model_is_loaded(
    album: Path, server: Server, small_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = ("colorize", album / "sub", "-o", out)
    assert run(*made, "--vividness", 0.9, "--url", server.url).returncode == 0
    store = {"CHROMASERVE_MODEL_ROOT": str(small_root)}

    def again(*options: object, **environment: str) -> str:
        done = CliRunner().invoke(command, [*map(str, (*made, *options))], env=environment)
        assert done.exit_code == 0, done.output
        assert "2 skipped" in done.stderr
        return done.stderr

    otherwise = "2 made with other options or another model"
    assert otherwise not in again("--vividness", 0.9, **store)
    assert otherwise in again("--vividness", 0.4, **store)
    assert otherwise in again("--vividness", 0.9, "--postprocess", "tv", **store)
    assert otherwise in again(**store), "the model's own vividness is another"
    assert otherwise not in again(CHROMASERVE_MODEL_ROOT=str(tmp_path)), "there is no model to ask"
    shutil.copy(SAMPLES / "cat.jpg", out / "c.png")  # says nothing of its making
    assert "1 made with other options" in again("--vividness", 0.4, **store)


def test_what_cannot_be_read_or_written_spoils_nothing(album: Path, server: Server) -> None:
    folder, out = album / "sub", album.parent / "out"
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (out / "c.png").mkdir(parents=True)
    place = os.open(folder, os.O_RDONLY)
    for _ in range(20):  # longer together than a path may be
        os.mkdir("deep" * 60, dir_fd=place)
        below = os.open("deep" * 60, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    done = run("colorize", folder, "-o", out, "--json", "--url", server.url)
    assert done.returncode == 1
    assert "deep: File name too long" in said(done)
    assert "c.png: Is a directory" in said(done)
    assert "gone.jpg: No such file" in said(done)
    assert said(done).count("gone.jpg") == 1
    assert "1 colorized, 3 failed" in said(done)
    assert files(out) == {"d.png"}
    rows = [json.loads(line) for line in done.stdout.splitlines()[:-1]]
    failed = [row for row in rows if row["status"] == "failed"]
    assert {Path(row["input"]).name for row in failed} == {"gone.jpg", "c.png", "deep" * 60}


def test_one_photo_with_hints_by_a_service(
    server: Server, http: httpx.Client, tmp_path: Path
) -> None:
    hints = '[{"x": 200, "y": 100, "color": "#3355aa"}]'
    out = tmp_path / "hinted.png"
    done = run("colorize", CAT, "-o", out, "--hints", hints, "--url", server.url)
    assert done.returncode == 0, done.stderr
    answer = http.post("/colorize", files={"file": CAT.read_bytes()}, data={"hints": hints})
    assert out.read_bytes() == answer.content
