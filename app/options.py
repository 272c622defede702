"""Options of a request, from its query string and its form together."""

from typing import TypeVar

from chromaserve.errors import InvalidOptions
from chromaserve.pipeline.options import Options

Chosen = TypeVar("Chosen", bound=Options)


def merge(
    query: list[tuple[str, str]],
    form: list[tuple[str, str]],
    kind: type[Chosen],
) -> Chosen:
    """Options of a kind from the query string and the form together.

    Raises:
        InvalidOptions: an unknown name, a value out of range, or two values for one option.
    """
    given: dict[str, str] = {}
    for name, value in (*query, *form):
        if name in given and not _same(kind, name, given[name], value):
            raise InvalidOptions(
                f"{name[:50]} is given as {given[name][:50]!r} and as {value[:50]!r}."
                " Send one of them."
            )
        given[name] = value
    unknown = [name for name in given if name not in kind.model_fields]
    if unknown:
        raise InvalidOptions(
            f"There is no option {unknown[0][:50]!r}. Options are"
            f" {', '.join(kind.model_fields)}; photos go into the field `file`."
        )
    return kind.checked(given)


def _same(kind: type[Options], name: str, one: str, other: str) -> bool:
    """Whether two texts are one value: 0.5 and 0.50."""
    if one == other or name not in kind.model_fields:
        return one == other
    values = [getattr(kind.checked({name: text}), name) for text in (one, other)]
    return bool(values[0] == values[1])


def check_photos(options: Options, photos: int) -> None:
    """Raise InvalidOptions where the options are not for so many photos."""
    if options.proposals > 1 and photos > 1:
        raise InvalidOptions(
            f"proposals are of one photo, and {photos} came. Send each photo by itself."
        )
