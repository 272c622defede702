"""An album by the command: each photo in its own format, those in colour left alone."""

import io
import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests.command_line.command import files, run, said
from tests.sample_photos import encoded, small


def test_an_album_keeps_its_formats_and_its_colours(tmp_path: Path) -> None:
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
    done = run("colorize", album, "-o", out, *options)
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


def test_all_pages_into_one_tiff(tmp_path: Path) -> None:
    scan, out = tmp_path / "scan.tif", tmp_path / "colour.tif"
    scan.write_bytes(encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")]))
    done = run("colorize", scan, "-o", out, "--pages", "all", "--quality", 80, "-q")
    assert (done.returncode, said(done)) == (0, "")
    with tifffile.TiffFile(io.BytesIO(out.read_bytes())) as file:
        assert [page.asarray().shape for page in file.pages] == [(80, 120, 3)] * 2
