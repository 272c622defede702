"""`chromaserve colorize`: where results go, and that nothing of a user's is lost."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from chromaserve.command_line import colorize as colorize_command
from chromaserve.command_line.colorists import Outcome
from chromaserve.command_line.main import command
from chromaserve.command_line.tasks import Task
from chromaserve.library.files import write_whole
from tests.command_line.command import PROGRAM, SAMPLES, environment, files, run, said
from tests.conftest import Server
from tests.small_network import small_http_instead, small_server_instead

CAT = SAMPLES / "cat.jpg"
Colorize = Callable[..., Result]


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


class Bytes:
    """Writes in place of each result a few bytes that name its photo."""

    def __init__(self) -> None:
        self.taken: list[Task] = []

    def files(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for task in tasks:
            self.taken.append(task)
            try:
                write_whole(task.output, bytes(task.photo), replace=task.replace)
            except OSError as error:
                yield Outcome(task, error=error)
            else:
                yield Outcome(task)


@pytest.fixture
def bytes_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bytes:
    """What the command colorizes with, in an empty folder."""
    made = Bytes()
    monkeypatch.setattr(colorize_command, "colorist", lambda *_: nullcontext(made))
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def colorize(bytes_made: Bytes) -> Colorize:
    """The command, in this process and without a model."""
    assert not bytes_made.taken
    return lambda *words: CliRunner().invoke(command, ["colorize", *map(str, words)])


def touch(*names: str) -> None:
    """Photos by their names, each of its own bytes."""
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(path))


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_photos_are_taken_in_the_order_in_which_they_are_named(
    colorize: Colorize, bytes_made: Bytes
) -> None:
    """`--hints` of an album name them by number."""
    touch("x/1.jpg", "x/3.jpg", "y/2.jpg", "one.jpg", "fold/z.jpg", "fold/a.jpg")
    for words in (("x/1.jpg", "y/2.jpg", "x/3.jpg"), ("one.jpg", "fold", "y/2.jpg")):
        bytes_made.taken.clear()
        done = colorize(*words, "-o", "out", "--overwrite")
        assert done.exit_code == 0, done.output
        folder = ("fold/a.jpg", "fold/z.jpg")
        wanted = [name for word in words for name in (folder if word == "fold" else (word,))]
        assert [str(task.photo) for task in bytes_made.taken] == wanted


@pytest.mark.parametrize("where", [(), ("-o", "out/"), ("-o", "s")], ids=" ".join)
def test_photos_of_one_stem_in_a_folder_have_two_results_by_two_calls(
    colorize: Colorize, where: tuple[str, ...]
) -> None:
    touch("s/a.jpg", "s/a.tif", "s/a-colour.jpg", "s/.a.png", "s/b.jpg")
    Path("s/b.png").mkdir()
    ending = "" if "out/" in where else "-colour"
    folder = Path(where[-1] if where else "s")
    for name, result in (("a.jpg", "a.jpg"), ("a.tif", "a.tif"), ("b.jpg", "b")):
        assert colorize(f"s/{name}", *where).exit_code == 0
        assert (folder / f"{result}{ending}.png").read_bytes() == f"s/{name}".encode()
    if where == ("-o", "out/"):
        names = files(folder)
        assert "3 skipped" in colorize("s", *where).stderr, "as of the folder as a whole"
        assert files(folder) == names


def test_an_empty_name_is_no_folder(colorize: Colorize, tmp_path: Path) -> None:
    touch("a.jpg")
    for words in (("",), ("a.jpg", "-o", ""), ("a.jpg", ""), ("-", "-o", "")):
        done = colorize(*words)
        assert (done.exit_code, "a name is empty" in done.stderr) == (2, True)
    submitted = CliRunner().invoke(command, ["jobs", "submit", "", "--url", "127.0.0.1:9"])
    assert (submitted.exit_code, "a name is empty" in submitted.stderr) == (2, True)
    assert files(tmp_path) == {"a.jpg"}


def test_what_another_run_did_meanwhile_is_skipped(colorize: Colorize, bytes_made: Bytes) -> None:
    names = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    touch(*(f"in/{name}" for name in names))
    made = bytes_made.files

    def beside_another(tasks: Iterable[Task]) -> Iterator[Outcome]:
        touch("out/b.png")  # before its turn
        for task in tasks:
            if task.output.name == "c.png":
                touch("out/c.png")  # while it is coloured
            yield from made([task])

    bytes_made.files = beside_another  # type: ignore[method-assign]
    done = colorize("in", "-o", "out/", "--json")
    assert done.exit_code == 0, done.output
    assert "2 colorized, 2 skipped" in done.stderr
    assert [task.photo.name for task in bytes_made.taken] == ["a.jpg", "c.jpg", "d.jpg"]
    assert Path("out/b.png").read_bytes() == b"out/b.png"
    assert Path("out/c.png").read_bytes() == b"out/c.png"
    *rows, _ = map(json.loads, done.stdout.splitlines())
    assert sorted(row["status"] for row in rows) == ["colorized"] * 2 + ["skipped"] * 2


def test_a_place_that_cannot_be_written_to_is_told_of_before_anything_is_coloured(
    colorize: Colorize, bytes_made: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("scans/a.jpg", "scans/b.jpg", "other/c.jpg")
    Path("share").mkdir()
    locked = ("share", "scans")
    # The tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, _: str(path) not in locked)
    refused = colorize("scans", "-o", "share/new/colour", "--quiet")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert refused.stderr == ("chromaserve: share cannot be written to; name another place by -o\n")
    assert not bytes_made.taken
    done = colorize("scans/a.jpg", "other/c.jpg", "scans/b.jpg")
    assert done.exit_code == 1
    assert done.stderr.startswith("scans/a.jpg: scans cannot be written to")
    assert "1 colorized, 2 failed" in done.stderr
    assert [str(task.photo) for task in bytes_made.taken] == ["other/c.jpg"]
    bytes_made.taken.clear()
    album = colorize("scans/a.jpg", "other/c.jpg", "--album", "--overwrite")
    assert (album.exit_code, bytes_made.taken) == (3, [])
    assert colorize("scans/a.jpg", "-o", "/dev/null").exit_code == 0, "which no folder is asked for"


def test_a_reference_among_results_is_not_replaced(colorize: Colorize, bytes_made: Bytes) -> None:
    touch("scans/a.jpg", "scans/best.jpg", "colour/best.png")
    with_best = ("scans", "-o", "colour", "--reference", "colour/best.png")
    Path("link.png").symlink_to("colour/best.png")
    for more in ((), ("--url", "127.0.0.1:9"), ("--reference", "link.png")):
        done = colorize(*with_best, *more, "--overwrite")
        assert done.exit_code == 2
        assert "scans/best.jpg would take the place of the reference" in done.stderr
    piped = colorize("-", *with_best[1:2], "colour/best.png", *with_best[3:], "--overwrite")
    assert (piped.exit_code, "place of the reference" in piped.stderr) == (2, True)
    assert not bytes_made.taken
    done = colorize(*with_best)
    assert done.exit_code == 0, "it is left alone as a result that is there"
    assert Path("colour/best.png").read_bytes() == b"colour/best.png"


def test_a_linked_folder_counts_by_its_own_name_and_place(
    colorize: Colorize, tmp_path: Path
) -> None:
    touch("share/a/scans/1.jpg", "share/b/scans/1.jpg", "here/2.jpg")
    for link, to in (("1931", "a"), ("1932", "b")):
        Path("here", link).symlink_to(Path("..", "share", to, "scans"))
    assert colorize("here/1931/").exit_code == 0
    assert files(Path("here/1931-colour")) == {"1.png"}
    assert colorize("here/1931", "here/1932", "-o", "out").exit_code == 0
    assert Path("out/1931/1.png").read_bytes() == b"here/1931/1.jpg"
    assert Path("out/1932/1.png").read_bytes() == b"here/1932/1.jpg"
    before = files(tmp_path)
    done = colorize("here", "-o", "all")
    assert done.exit_code == 0
    assert "2 linked folder" in done.stderr
    assert files(tmp_path) - before == {"all/2.png"}
    for words in (("/",), ("/", "here", "-o", "out")):
        done = colorize(*words)
        assert (done.exit_code, "/ has no name for its results" in done.stderr) == (2, True)


def test_results_that_are_one_file_by_links_are_in_nobody_s_way(colorize: Colorize) -> None:
    touch("in/a.jpg", "in/b.jpg", "in/c.jpg", "out/a.png")
    Path("out/b.png").hardlink_to("out/a.png")  # as by a tool that saves room
    done = colorize("in", "-o", "out")
    assert (done.exit_code, "1 colorized, 2 skipped" in done.stderr) == (0, True)


def test_odd_names(colorize: Colorize, tmp_path: Path) -> None:
    touch("a\nb.png")
    for _ in range(2):  # a pattern means the result too, the second time
        done = colorize(*sorted(str(path) for path in Path().iterdir()))
        assert done.exit_code == 0, done.stderr
    assert files(tmp_path) == {"a\nb.png", "a\nb-colour.png"}
    own = colorize("a\nb.png", "-o", "a\nb.png")
    assert (own.exit_code, "--overwrite" in own.stderr) == (2, False)
    assert "would take the place of" in own.stderr
    nameless = colorize("-", "-o", "new/")
    assert (nameless.exit_code, "- has no name for a result in new/" in nameless.stderr) == (
        2,
        True,
    )
