"""`chromaserve verify`: a result is held against its photo."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chromaserve import Colorizer
from tests.command_line.command import SAMPLES, run, said
from tests.sample_photos import decoded, png16

CAT = SAMPLES / "cat.jpg"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verify") / "cat.png"
    with Colorizer() as colorizer:
        colorizer.colorize(CAT, output=out, vividness=0.8)
    return out


@pytest.mark.slow
def test_a_result_is_its_photos_and_tells_how_it_was_made(result: Path, tmp_path: Path) -> None:
    done = run("verify", CAT, result, "--json", "--grey", tmp_path / "grey.png")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["mean"] <= 0.3
    assert told["greatest"] <= 1
    assert told["made_by"].endswith("vividness 0.8, guided)")
    with Image.open(tmp_path / "grey.png") as back, Image.open(CAT) as photo:
        assert back.mode == "L"
        apart = np.abs(np.asarray(back, int) - np.asarray(photo.convert("L"), int))
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.95
    other = run("verify", CAT, result, "--grey", tmp_path / "grey.jpg")
    assert (other.returncode, (tmp_path / "grey.jpg").exists()) == (2, False)
    assert "has to be a .png" in said(other)
    again = run("verify", CAT, result, "--grey", tmp_path / "grey.png")
    assert again.returncode == 2
    assert "there already" in said(again)


@pytest.mark.slow
def test_what_was_changed_is_told_with_its_place(result: Path, tmp_path: Path) -> None:
    with Image.open(result) as image:
        image.putpixel((120, 40), (255, 255, 255))
        image.save(tmp_path / "edited.png")
        image.resize((90, 60)).save(tmp_path / "small.png")
    done = run("verify", CAT, tmp_path / "edited.png")
    assert done.returncode == 1
    assert b"lightness was changed" in done.stdout
    assert b"(at 120, 40)" in done.stdout
    done = run("verify", CAT, tmp_path / "small.png")
    assert done.returncode == 1
    assert "another photo: 90 × 60 pixels" in done.stdout.decode()
    done = run("verify", CAT, Path(__file__))
    assert done.returncode == 3
    assert "not a photo" in said(done)


def test_a_photo_of_16_bits_comes_back_in_16(tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(80), np.arange(120)) / 198
    grey = (ramp * 65535).astype(np.uint16)
    (tmp_path / "grey.png").write_bytes(png16(grey))
    (tmp_path / "colour.png").write_bytes(png16(np.dstack([grey] * 3)))
    places = [tmp_path / f"{name}.png" for name in ("grey", "colour", "back")]
    done = run("verify", *places[:2], "--grey", places[2])
    assert done.returncode == 0, done.stderr
    assert b"lightness untouched" in done.stdout
    assert b"\nit says nothing of its making" in done.stdout
    back = decoded(places[2].read_bytes())
    assert back.dtype == np.uint16
    assert np.abs(back.astype(int) - grey).max() <= 1


def test_what_is_no_photo_is_named(result: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"no photo")
    done = run("verify", result, other)
    assert done.returncode == 3
    assert said(done).startswith(f"chromaserve: {other}: This is not a photo")
