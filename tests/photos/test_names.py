"""Names of results: whatever a photo is called, safe on every disk, and its own in a header."""

import re
import unicodedata
from pathlib import PurePath, PureWindowsPath
from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from chromaserve.photos.names import content_disposition, result_names, safe_stem, unique_names

ANY = st.text(max_size=40) | st.sampled_from(
    ["CON.png", "con", "nul.tar.gz", "..", ".", "/etc/passwd", "..\\..\\x.png", "a/../b.jpg",
     "é.png", "e\u0301.png", "ß.jpg", "ss.jpg", "İ.png", "\u202egnp.exe", "a" * 300, " . ", "lpt1 ",
     "%2e%2e%2f", "a\r\nSet-Cookie: b", '"; filename="x', "\ud800", "café-2.png", "a-2.png",
     "COM¹.png", "conin$.jpg", "con .x.png"]
)  # fmt: skip
ALL = st.lists(st.none() | ANY, max_size=6)


def on_disk(name: str) -> str:
    """What names are the same by, on the least discerning disk."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@given(st.none() | ANY)
@example("😀" * 100)
def test_a_name_is_a_file_in_the_folder_that_it_is_put_into(name: str | None) -> None:
    stem = safe_stem(name)
    for path in (PurePath("x") / f"{stem}.png", PureWindowsPath("x") / f"{stem}.png"):
        assert path.name == f"{stem}.png"
        assert path.parent == type(path)("x")
    assert stem.isprintable()
    assert stem == stem.strip(" .")
    assert not PureWindowsPath(f"{stem}.png").is_reserved()
    assert not re.match(r"(com|lpt)[¹²³] *(\.|$)", stem, re.IGNORECASE)  # Python does not know
    assert len(f"{stem}-999.jpeg".encode()) <= 255, "more than a file system takes"


@given(ALL)
@example(["a.png", "A.png", "a-2.png"])
@example(["é.png", "e\u0301.png"])
@example(["ß", "ss"])
def test_no_two_results_of_a_request_are_one_file(names: list[str | None]) -> None:
    found = unique_names(names, [".png"] * len(names))
    assert len({on_disk(name) for name in found}) == len(names)
    assert all(name.endswith(".png") for name in found)


@given(st.lists(ANY.filter(lambda name: PurePath(name).name == name), max_size=6, unique=True))
@example(["a.jpg", "a.tif", "a.jpg.png"])
def test_no_two_results_of_a_folder_are_one_file(photos: list[str]) -> None:
    found = result_names(photos, [".png"] * len(photos))
    assert len({on_disk(name) for name in found}) == len(photos)


@given(ANY)
def test_a_header_says_the_name_and_nothing_else(name: str) -> None:
    [file] = unique_names([name], [".png"])
    header = content_disposition(file)
    parts = re.fullmatch(
        r"inline; filename=\"([ !#-\[\]-~]+)\"; filename\*=UTF-8''([!-~]+)", header
    )
    assert parts
    assert unquote(parts[2], errors="strict") == file
    assert all(a in (b, "_") for a, b in zip(parts[1], file, strict=True))
