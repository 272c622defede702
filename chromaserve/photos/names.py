"""File names for results, derived from what clients call their photos."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote

_MAX_STEM = 100
_MAX_BYTES = 200
"""A file system takes 255, and a suffix and a number follow."""
ZIP_FIELD = int.from_bytes(b"cs", "little")
"""The extra field (APPNOTE 4.5) of a ZIP's entry that says in JSON what is told of its photo, when
it comes; the manifest at the end says it again."""
_RESERVED = re.compile(r"(con(in\$|out\$)?|prn|aux|nul|(com|lpt)[\d¹²³])", re.IGNORECASE)


def safe_stem(name: str | None) -> str:
    """The name without folders, extension, control or reserved characters; "photo" if none is left.

    Letters of every script are kept.
    """
    base = without_folders(name or "")
    kept = _legible(base.rpartition(".")[0] or base)
    kept = kept.encode("utf-8", "ignore").decode("utf-8")[:_MAX_STEM]
    kept = kept.encode()[:_MAX_BYTES].decode("utf-8", "ignore").strip(" .")
    if _RESERVED.fullmatch(kept.split(".")[0].strip()):
        kept = f"_{kept}"
    return kept or "photo"


def without_folders(name: str) -> str:
    """What follows the last slash of either kind: names come from other systems too."""
    return re.split(r"[/\\]", name)[-1]


def plain_name(name: str) -> str:
    """A file's name as somebody else tells it, without folders and what a disk or terminal obeys;
    "photo" if none is left."""
    return _legible(without_folders(name)).strip(" .") or "photo"


def _legible(name: str) -> str:
    return "".join(c if c.isprintable() and c not in '<>:"|?*;%' else "_" for c in name)


def result_names(photos: Sequence[str], endings: Sequence[str]) -> list[str]:
    """Names of the results of one folder's photos, with their endings, no two alike on any disk.

    a.jpg becomes a.png; a.jpg and a.tif beside each other keep their whole names, a.jpg.png.
    """
    stems = [PurePath(photo).stem for photo in photos]
    seen = Counter(map(folded, stems))
    taken: dict[str, int] = {}
    return [
        unique_name(stem if seen[folded(stem)] == 1 else photo, ending, taken)
        for photo, stem, ending in zip(photos, stems, endings, strict=True)
    ]


def folded(name: str) -> str:
    """What names have in common that some disk takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def page_ending(number: int) -> str:
    """What the name of a page's result ends with before the suffix; pages count from 1."""
    return f"-page-{number}"


def unique_names(names: list[str | None], extensions: Sequence[str]) -> list[str]:
    """Safe names with their extensions, told apart by -2, -3…, no two alike on any disk."""
    taken: dict[str, int] = {}
    return [
        unique_name(safe_stem(name), extension, taken)
        for name, extension in zip(names, extensions, strict=True)
    ]


def unique_name(stem: str, extension: str, taken: dict[str, int]) -> str:
    """The stem with the extension, and with -2, -3… before it where that is taken.

    What is given is noted in `taken`: names as disks tell them apart, the last number after each.
    """
    candidate = f"{stem}{extension}"
    first = folded(candidate)
    while (name := folded(candidate)) in taken:
        taken[first] += 1
        candidate = f"{stem}-{taken[first]}{extension}"
    taken[name] = 1
    return candidate


def content_disposition(filename: str) -> str:
    """An `inline` Content-Disposition with the name in ASCII and in UTF-8 (RFC 6266)."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", filename)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
