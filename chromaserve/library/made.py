"""What results that are there say of how they were made: they may be of other options."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from chromaserve.color.tiles import Look, tiling
from chromaserve.errors import InvalidOptions
from chromaserve.library.background import local_settings
from chromaserve.library.files import pages_apart
from chromaserve.photos.formats import WRITTEN
from chromaserve.photos.ifd import SOFTWARE
from chromaserve.photos.metadata import COLOURS_KEPT, RECOLOURED, noted
from chromaserve.pipeline.hints import Hint, hints_noted, parse_hints
from chromaserve.store.errors import ModelStoreError
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

_MOST = 500
"""Results that are looked at, evenly spaced: a header takes a millisecond."""
_WITH_QUALITY = ("jpeg", "webp")


@dataclass(frozen=True)
class Making:
    """What notes of results are held against."""

    words: frozenset[str] = frozenset()
    """That each has that was not left as it was: what is not known is not among them."""
    look: Look = "auto"
    hints: str = ""
    reference: bool = False
    quality: int | None = None
    keeps_colours: bool = False
    takes_damaged: bool = False
    all_pages: bool = False

    @classmethod
    def of(
        cls, options: Mapping[str, Any], *, here: bool = True, model_root: Path | None = None
    ) -> "Making":
        """By a command's options.

        Args:
            options: None, or left out, is not chosen.
            here: whether a model of this machine would be used, whose defaults are known.
            model_root: its folder, where that is not the settings'.
        """
        vividness, postprocess, model = (
            options.get(name) for name in ("vividness", "postprocess", "model")
        )
        if here:
            try:
                settings = local_settings()
                store = ModelStore(model_root or settings.model_root or BUNDLED_ROOT)
                found = store.resolve(model or settings.model_version)
            except ModelStoreError:
                return cls()  # it is told when it is loaded
            model = found.version
            vividness = found.description.default_vividness if vividness is None else vividness
            postprocess = postprocess or found.description.postprocess
        words = {str(postprocess)} if postprocess else set[str]()
        if vividness is not None:
            words.add(f"vividness {vividness:g}")
        if model and model != "latest":
            words.add(f"model {model}")
        return cls(
            frozenset(words),
            options.get("look") or "auto",
            _hints(options.get("hints")),
            bool(options.get("reference")),
            options.get("quality"),
            options.get("colour") == "keep",
            options.get("damaged") == "accept",
            options.get("pages") == "all",
        )

    def is_unlike(self, result: Path | bytes, suffix: str) -> bool:
        """Whether a result was made otherwise, as far as it tells: one without metadata does not.

        Args:
            result: its file, or bytes from its start that have its metadata.
            suffix: of its name.
        """
        found = _note(result)
        if found is None:
            return False
        note, size = found
        if COLOURS_KEPT in note:
            return not self.keeps_colours
        if RECOLOURED in note and self.keeps_colours:
            return True
        if _of(note, "% missing") and not self.takes_damaged:
            return True
        tiles = tiling(*size, self.look)
        wanted = {f"{tiles.count} tiles" if tiles else "", self.hints}
        wanted |= {"reference"} if self.reference else set()
        if self.quality and WRITTEN.get(suffix.lower()) in _WITH_QUALITY:
            wanted.add(f"quality {self.quality}")
        if self.look != "auto" and _of(note, " close-ups"):
            return True
        there = {_of(note, kind) for kind in (" tiles", " hints", "quality ", "reference")}
        return not self.words <= note or there - {""} != wanted - {""}


def made_otherwise(results: Sequence[tuple[Path, Path]], wanted: Making) -> int:
    """How many of the results were made with other options than these, as far as they tell.

    Args:
        results: photos, and files of theirs that are there.
        wanted: of each.
    """
    step = max(1, len(results) // _MOST)
    return sum(
        wanted.is_unlike(result, result.suffix) or _has_other_pages(photo, result, wanted)
        for photo, result in results[::step]
    )


def _has_other_pages(photo: Path, result: Path, wanted: Making) -> bool:
    """Of a TIFF, where all pages are one file."""
    if WRITTEN.get(result.suffix.lower()) != "tiff":
        return False
    pages = len(pages_apart(photo, "accept")) if wanted.all_pages else 1
    return len(pages_apart(result, "accept")) != pages


def _hints(given: str | Iterable[Hint] | None) -> str:
    try:
        return hints_noted(parse_hints(given) if isinstance(given, str) else tuple(given or ()))
    except (ValueError, InvalidOptions):
        return ""  # it is told when they are used


def _of(note: set[str], kind: str) -> str:
    return next((word for word in note if kind in word), "")


def _note(result: Path | bytes) -> tuple[set[str], tuple[int, int]] | None:
    file = BytesIO(result) if isinstance(result, bytes) else result
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            said, size = str(image.getexif().get(SOFTWARE, "")), image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    found = noted(said)
    return (found, size) if found else None
