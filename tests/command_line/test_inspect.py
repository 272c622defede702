"""`chromaserve inspect`: what photos are is told without a model."""

import json
import os
import threading
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from chromaserve.command_line.main import command
from chromaserve.photos.icc import srgb_profile
from tests.photos.heif_files import heic
from tests.sample_photos import encoded, small


@pytest.fixture
def shoebox(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Anna"
    exif.get_ifd(0x8825)[1] = "N"
    jpeg = encoded(small("L"), "JPEG", exif=exif, dpi=(300, 300))
    pages = {"save_all": True, "append_images": [small("L", (60, 40))]}
    (tmp_path / "deep").mkdir()
    for name, data in {
        "anna.jpg": jpeg,
        "book.tif": encoded(small("L"), "TIFF", **pages),
        "deep/cut.jpg": encoded(small("L", (400, 300)), "JPEG")[:-4000],
        "holiday.png": encoded(small("RGB", (240, 160)), "PNG", icc_profile=srgb_profile()),
        "phone.jpg": heic(small("L").convert("RGB")),
        "notes.txt": b"no photo",
        "torn.gif": b"GIF89a",
    }.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def told(*arguments: object) -> tuple[int, list[dict[str, object]], str]:
    done = CliRunner().invoke(command, ["inspect", "--json", *map(str, arguments)])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_each_photo_of_each_file_is_described(shoebox: Path) -> None:
    status, rows, said = told(shoebox)
    assert status == 1
    assert "torn.gif" in said
    found = {(Path(str(row["input"])).name, row.get("page")): row for row in rows}
    assert list(found) == [
        *(("anna.jpg", 1), ("book.tif", 1), ("book.tif", 2), ("cut.jpg", 1)),
        *(("holiday.png", 1), ("phone.jpg", 1), ("torn.gif", None)),
    ]
    anna = found["anna.jpg", 1]
    assert (anna["width"], anna["height"], anna["orientation"]) == (80, 120, 6), "upright"
    assert (anna["dpi"], anna["kept"], anna["places"]) == ([300, 300], ["EXIF"], True)
    assert (anna["colour"], anna["problem"]) == ("grey", None)
    assert (found["book.tif", 2]["width"], found["book.tif", 2]["pages"]) == (60, 2)
    assert 0.05 < float(str(found["cut.jpg", 1]["missing"])) < 0.95
    assert found["holiday.png", 1]["colour"] == "colour"
    assert "sRGB" in str(found["holiday.png", 1]["profile"])
    assert (found["phone.jpg", 1]["format"], found["phone.jpg", 1]["bits"]) == ("HEIC", 8)
    assert found["torn.gif", None]["problem"] == "damaged-photo"
    assert told(shoebox / "anna.jpg")[0] == 0
    assert told(shoebox / "anna.jpg", "--max-pixels", 100)[1][0]["problem"] == "too-many-pixels"
    status, _, said = told(shoebox / "torn.gif", shoebox / "missing.jpg")
    assert status == 3
    assert said.count("missing.jpg") == 1


def test_a_pipe_is_read_up_to_a_bound(
    shoebox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe, photo = tmp_path / "pipe", (shoebox / "anna.jpg").read_bytes()
    os.mkfifo(pipe)
    for most, problem in ((len(photo), None), (len(photo) - 1, "body-too-large")):
        monkeypatch.setattr("chromaserve.command_line.inspect.MOST_BYTES", most)
        threading.Thread(target=pipe.write_bytes, args=[photo], daemon=True).start()
        assert told(pipe)[1][0]["problem"] == problem


def test_it_is_told_in_words(shoebox: Path) -> None:
    done = CliRunner().invoke(command, ["inspect", str(shoebox)])
    lines = {line.split(": ")[0].rsplit("/")[-1]: line for line in done.stdout.splitlines()}
    assert (
        "JPEG, 80 × 120, 8 bits; turned by EXIF (6); 300 dpi; grey; keeps EXIF"
        in (lines["anna.jpg"])
    )
    assert "says where it was taken, which --metadata all alone keeps" in lines["anna.jpg"]
    assert "page 2 of 2" in lines["book.tif"]
    assert "--damaged accept takes it" in lines["cut.jpg"]
    assert "in colour already" in lines["holiday.png"]


def pages(count: int) -> bytes:
    several = [small("L", (60 + i, 40)) for i in range(count - 1)]
    return encoded(small("L"), "TIFF", save_all=True, append_images=several)


def test_of_pages_that_are_broken_or_refused_that_is_told(tmp_path: Path) -> None:
    data = pages(3)
    places = [int.from_bytes(data[4:8], "little")]
    for _ in range(2):
        at = places[-1] + 2 + 12 * int.from_bytes(data[places[-1] : places[-1] + 2], "little")
        places.append(int.from_bytes(data[at : at + 4], "little"))
    broken, refused = bytearray(data), bytearray(data)
    broken[places[1] : places[1] + 2] = b"\xff\xff"
    compression = refused.index(b"\x03\x01", places[1])
    refused[compression + 8] = 99
    files = {"broken.tif": broken, "refused.tif": refused}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    status, rows, _ = told(tmp_path / "broken.tif")
    assert status == 1
    assert [(row["page"], row["width"], row["problem"]) for row in rows] == [
        (1, 120, None),
        (2, None, "damaged-photo"),
    ]
    assert "pages after number 1 cannot be read" in str(rows[1]["detail"])
    status, rows, _ = told(tmp_path / "refused.tif")
    assert status == 1
    assert [(row["page"], row["width"], row["problem"]) for row in rows] == [
        (1, 120, None),
        (2, None, "unsupported-samples"),
        (3, 61, None),
    ]
    done = CliRunner().invoke(command, ["inspect", *map(str, sorted(tmp_path.iterdir()))])
    said = done.stdout.splitlines()
    assert "broken.tif: TIFF; page 2; refused: " in said[1]
    assert "refused.tif: TIFF; page 2 of 3; refused: " in said[3]
    assert "has no metadata" not in said[1]
