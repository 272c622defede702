"""Which photo hints are for, and whether they lie in it."""

import re
from collections.abc import Sequence

from chromaserve.pipeline.hints import AnyHint, Hint


def check_inside(hints: tuple[AnyHint, ...], width: int, height: int, what: str = "photo") -> None:
    """Raise ValueError, with a sentence, where a hint lies outside a photo of that size."""
    for number, hint in enumerate(hints, 1):
        for x, y in hint.points:
            if x > width or y > height:
                whose = "is" if isinstance(hint, Hint) else "has a point"
                raise ValueError(
                    f"hint {number} {whose} at ({x:g}, {y:g}), outside the {what}, which is"
                    f" {width} × {height} pixels when upright. Leave it out or move it"
                )


def of_photos(hints: tuple[AnyHint, ...], names: Sequence[str | None]) -> tuple[AnyHint, ...]:
    """Hints that name their photos by number.

    Args:
        hints: that name them by number or file name; of one photo they need not.
        names: of the photos, as far as they have some.

    Raises:
        ValueError: with a sentence, where there is no such photo, or more than one.
    """
    check_of_photos(hints)
    found = []
    for number, hint in enumerate(hints, 1):
        photo = hint.photo
        if photo is None and len(names) > 1:
            raise ValueError(
                f"hint {number} does not say which of the {len(names)} photos it is for. Give it"
                " photo, a number from 0 or the file's name, or send each photo with its own hints"
            )
        if isinstance(photo, str):
            at = [i for i, name in enumerate(names) if name == photo]
            if len(at) != 1:
                said = re.sub(r"[^\x20-\x7e]", "?", photo)[:50]
                raise ValueError(
                    f"hint {number} is for {said!r}, and {len(at) or 'no'} photos are called that."
                    " Give it the photo's number, from 0"
                )
            photo = at[0]
        if photo is not None and photo >= len(names):
            raise ValueError(
                f"hint {number} is for photo {str(photo)[:20]}, and {len(names)} came, the first"
                " being 0"
            )
        found.append(hint.model_copy(update={"photo": photo}))
    return tuple(found)


def check_of_photos(hints: tuple[AnyHint, ...]) -> None:
    """Raise ValueError, with a sentence, where a hint is of a film."""
    for number, hint in enumerate(hints, 1):
        if hint.frame is not None or hint.time is not None:
            key = "time" if hint.frame is None else "frame"
            raise ValueError(f"hint {number} has a {key}, which is of films. Leave it out")
