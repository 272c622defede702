"""What results that are there say of how they were made: they may be of other options."""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from chromaserve.library.background import local_settings
from chromaserve.photos.ifd import SOFTWARE
from chromaserve.photos.metadata import COLOURS_KEPT
from chromaserve.store.errors import ModelStoreError
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

_MOST = 500
"""Results that are looked at, evenly spaced: a header takes a millisecond."""
_NOTE = re.compile(r"chromaserve \S+ \(([^)]*)\)$")


def made_otherwise(results: Sequence[Path], options: Mapping[str, Any], *, here: bool) -> int:
    """How many of the results were made with other options than these, as far as they tell.

    Those without metadata tell nothing.

    Args:
        results: files.
        options: as the command's; None is not chosen.
        here: whether a model of this machine would be used, whose defaults are known.
    """
    wanted = _words(options, here=here)
    step = max(1, len(results) // _MOST)
    notes = [note for note in map(_note, results[::step]) if note]
    return sum(not (wanted <= note or COLOURS_KEPT in note) for note in notes)


def _words(options: Mapping[str, Any], *, here: bool) -> set[str]:
    """What the note of a result by these options would have in it."""
    vividness, postprocess, model = (options[n] for n in ("vividness", "postprocess", "model"))
    if here:
        try:
            settings = local_settings()
            store = ModelStore(settings.model_root or BUNDLED_ROOT)
            found = store.resolve(model or settings.model_version)
        except ModelStoreError:
            return set()  # it is told when it is loaded
        model = found.version
        vividness = found.description.default_vividness if vividness is None else vividness
        postprocess = postprocess or found.description.postprocess
    words = {str(postprocess)} if postprocess else set()
    if vividness is not None:
        words.add(f"vividness {vividness:g}")
    if model and model != "latest":
        words.add(f"model {model}")
    if options.get("reference"):
        words.add("reference")
    return words


def _note(result: Path) -> set[str]:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(result) as image:
            said = str(image.getexif().get(SOFTWARE, ""))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return set()
    found = _NOTE.search(said)
    return set(found[1].split(", ")) if found else set()
