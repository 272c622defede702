"""The path that a proxy serves the service under, for references that answers hold."""

from contextvars import ContextVar

from starlette._utils import get_route_path  # the routes' own reading
from starlette.types import Scope

root_path: ContextVar[str] = ContextVar("root_path", default="")
"""That of the request that the running code works for: "" or "/prefix", as ASGI has it."""


def enter(scope: Scope) -> None:
    """Remember the request's root path for the rest of its context."""
    root_path.set(scope.get("root_path", "").rstrip("/"))


def reference(path: str) -> str:
    """A path of the service's own, as its clients have to ask for it."""
    return root_path.get() + path


def route_path(scope: Scope) -> str:
    """The request's path as the routes see it: without the root path."""
    return get_route_path(scope)
