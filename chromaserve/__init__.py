"""Colorize photos, here or on a server: what other programs import.

Names are imported when they are first used: a client needs no model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.client import AsyncClient, Client
    from app.library.colorizer import Colorizer

_HOMES = {
    "AsyncClient": "app.client",
    "Client": "app.client",
    "Colorizer": "app.library.colorizer",
}

__all__ = ["AsyncClient", "Client", "Colorizer"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for (PEP 562)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
