"""What somebody at a terminal sees: how far it is, and no bytes of pictures."""

import shutil
from pathlib import Path

import pytest

from tests.command_line.command import SAMPLES, files, on_terminal


@pytest.mark.slow
def test_a_bar_tells_how_far_it_is_instead_of_a_line_a_photo(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    shutil.copy(SAMPLES / "cat.jpg", photos / "cat.jpg")
    shutil.copy(SAMPLES / "rocket.jpg", photos / "rocket.jpg")
    (photos / "torn.jpg").write_bytes((SAMPLES / "cat.jpg").read_bytes()[:5000])
    status, shown = on_terminal("colorize", photos, "-o", out)
    assert status == 1
    assert files(out) == {"cat.png", "rocket.png"}
    assert shown.index("loading the model") < shown.index("3/3")
    assert " photos/s" in shown
    assert "torn.jpg: The JPEG file is damaged" in shown
    assert "→" not in shown
    assert "2 colorized, 1 failed" in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["colorize", SAMPLES / "cat.jpg", "-o", "-"], "standard output is a terminal; name a"),
        (["video", "--width", 4, "--height", 4], "frames come from one pipe and go into another"),
    ],
)
def test_pictures_are_not_written_to_a_terminal(arguments: list[object], words: str) -> None:
    status, shown = on_terminal(*arguments)
    assert status == 2
    assert words in shown
    assert len(shown.splitlines()) == 1
