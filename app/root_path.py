"""Paths as routes see them, and as clients do where a proxy serves the service under a path."""

from contextvars import ContextVar

from starlette.types import Scope

HEALTH = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")

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
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    rest = path.removeprefix(root)
    return rest if rest == "" or rest.startswith("/") else path
