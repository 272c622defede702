"""An album by the command: each photo in its own format, those in colour left alone."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.command_line.command import files, run, said
from tests.conftest import Server
from tests.sample_photos import encoded, small
from tests.small_network import small_server_instead

pytestmark = pytest.mark.slow

# Nothing here is about colours.
server = small_server_instead


@pytest.mark.parametrize("by_service", [False, True], ids=["here", "by a service"])
def test_an_album_keeps_its_formats_and_its_colours(
    tmp_path: Path, server: Server, by_service: bool
) -> None:
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    holiday = small("RGB", (240, 160))
    (album / "holiday.bmp").write_bytes(encoded(holiday, "BMP"))
    exif = Image.Exif()
    exif[0x013B] = "Anna"
    data = encoded(small("L"), "JPEG", exif=exif)
    (album / "oma.jpg").write_bytes(data)
    (album / "torn.jpeg").write_bytes(data[: -len(data) // 4])
    (album / "scan.tif").write_bytes(
        encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")])
    )
    options = ("--format", "same", "--colour", "keep", "--damaged", "accept", "--json")
    where = ("--url", server.url) if by_service else ()
    done = run("colorize", album, "-o", out, *options, *where)
    words = said(done)
    assert done.returncode == 0
    assert files(out) == {"holiday.png", "oma.jpg", "torn.jpg", "scan.tif"}
    rows = {Path(row["input"]).stem: row for row in map(json.loads, done.stdout.splitlines()[:-1])}
    assert rows["holiday"]["colour"] == "colour"
    assert rows["holiday"]["kept"]
    assert np.array_equal(np.asarray(Image.open(out / "holiday.png")), np.asarray(holiday))
    assert "in colour already and left so" in words
    assert rows["oma"]["colour"] == "grey"
    assert Image.open(out / "oma.jpg").getexif()[0x013B] == "Anna"
    assert "pixels are missing" in rows["torn"]["warnings"][0]
    assert rows["scan"]["page"] == "1 of 2"


@pytest.mark.parametrize("by_service", [False, True], ids=["here", "by a service"])
def test_all_pages_each_into_a_file(tmp_path: Path, server: Server, by_service: bool) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    pages = [small("L"), small("L", (60, 40)), small("L", (70, 40))]
    book = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    (scans / "book.tif").write_bytes(book)
    (scans / "leaf.tif").write_bytes(encoded(small("L"), "TIFF"))
    (scans / "torn.tif").write_bytes(b"II*\0 torn")
    (scans / "book-colour-page-2.png").write_bytes(b"mine")
    where = ("--url", server.url) if by_service else ()
    done = run("colorize", scans / "book.tif", "--pages", "all", *where)
    assert done.returncode == 0, done.stderr
    assert (scans / "book-colour-page-2.png").read_bytes() == b"mine"
    assert Image.open(scans / "book-colour-page-3.png").size == (70, 40)
    out = tmp_path / "out"
    done = run("colorize", scans, "-o", out, "--pages", "all", "--json", *where)
    assert done.returncode == 1, done.stderr
    assert "torn.tif: The TIFF" in said(done)
    assert "left out: 3 named -colour" in said(done)
    names = {f"book-page-{n}.png" for n in (1, 2, 3)}
    assert files(out) == {*names, "leaf.png"}
    assert (out / "book-page-3.png").read_bytes() == (scans / "book-colour-page-3.png").read_bytes()
    rows = map(json.loads, done.stdout.splitlines()[:-1])
    told = {Path(row["output"]).name: row for row in rows if row["output"]}
    assert "warnings" not in told["book-page-2.png"]
    assert told["book-page-2.png"]["page"] == "2 of 3"
    (out / "book-page-2.png").unlink()
    again = run("colorize", scans, "-o", out, "--pages", "all", *where)
    assert "1 colorized, 3 skipped, 1 failed" in said(again)
    assert files(out) == {*names, "leaf.png"}


def test_a_page_that_fails_is_named_and_counts(tmp_path: Path, server: Server) -> None:
    book, out = tmp_path / "book.tif", tmp_path / "out"
    with tifffile.TiffWriter(book) as file:
        for kind in (np.uint8, np.int16, np.uint8):
            file.write(np.full((40, 60), 99, kind), photometric="minisblack")
    done = run("colorize", book, "-o", f"{out}/", "--pages", "all", "--url", server.url)
    assert done.returncode == 1
    assert "book.tif: page 2: " in said(done)
    assert "2 colorized, 1 failed" in said(done)
    assert files(out) == {"book-page-1.png", "book-page-3.png"}


def test_one_photo_in_its_own_format_into_a_folder(tmp_path: Path, server: Server) -> None:
    photo = tmp_path / "oma.jpg"
    photo.write_bytes(encoded(small("L"), "JPEG"))
    for folder in (f"{tmp_path}/new/", tmp_path / "new"):  # not there yet; there
        done = run(
            *("colorize", photo, "-o", folder, "--format", "same", "--overwrite"),
            *("--url", server.url),
        )
        assert done.returncode == 0, done.stderr
        assert files(tmp_path / "new") == {"oma.jpg"}
    done = run("colorize", photo, "-o", tmp_path / "a.jpg", "--format", "same")
    assert done.returncode == 2
    assert "names the result itself" in said(done)


def test_all_pages_into_one_tiff(tmp_path: Path) -> None:
    scan, out = tmp_path / "scan.tif", tmp_path / "colour.tif"
    scan.write_bytes(encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")]))
    done = run("colorize", scan, "-o", out, "--pages", "all", "--quality", 80, "-q")
    assert (done.returncode, said(done)) == (0, "")
    with tifffile.TiffFile(io.BytesIO(out.read_bytes())) as file:
        assert [page.asarray().shape for page in file.pages] == [(80, 120, 3)] * 2
