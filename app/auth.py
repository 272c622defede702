"""Who may ask: API keys, hosts and origins, looked at before a body is read."""

import hashlib
import hmac
import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import KEY_NAME, WATCHED
from .errors import Forbidden, OriginRefused, Unauthorized, UntrustedHost
from .open_inference.message import HEADER_LENGTH
from .problems import error_response
from .rate_limit import RateLimit, Window
from .root_path import HEALTH, route_path
from .settings import Settings, check_key

log = logging.getLogger("chromaserve")

_OPEN = frozenset((*HEALTH, "/", "/docs", "/openapi.json"))
_OPEN_FOLDERS = ("/docs/", "/page/", "/problems/", "/v2/health/")
_NAME_LENGTH = 8
_ADMIN = re.compile(r"(/models/reload|/v2/repository/models/[^/]+/load)\n?")
"""Routes are found by paths with a line feed behind them, too."""
_EXPOSED = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    HEADER_LENGTH,
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "WWW-Authenticate",
    "X-Model-Version",
    "X-Photo-Colour",
    "X-Photo-Page",
    "X-Photo-Confidence",
    "X-Hint-Places",
    "X-Photo-Warning",
    "X-Request-ID",
)


def is_open(path: str) -> bool:
    """Whether the path is answered without a key; `path` is that of the routes."""
    return path in _OPEN or path.startswith(_OPEN_FOLDERS)


def is_for_admins(method: str, path: str) -> bool:
    """Whether a request changes the service for others; `path` is that of the routes."""
    return method == "POST" and bool(_ADMIN.fullmatch(path))


class KeyFileError(RuntimeError):
    """The file of keys cannot be read, or holds something that cannot be a key."""


@dataclass(frozen=True)
class Known:
    """An accepted key."""

    name: str
    """Of its own, that does not give it away."""
    admin: bool
    """Whether it may do what changes the service for others."""


class Keys:
    """The keys that are accepted; only their SHA-256 digests are kept."""

    def __init__(
        self, keys: Iterable[str], file: Path | None = None, admin: Iterable[str] = ()
    ) -> None:
        """Take the keys, and those of the file: one a line; blank lines and # comments are skipped.

        Args:
            keys: that may colorize.
            file: of more keys; those behind the word `admin` may do all.
            admin: that may do all.

        Raises:
            KeyFileError: it cannot be read, has no key in it, or a line that cannot be one.
        """
        self._own = {_digest(key): False for key in keys} | {_digest(key): True for key in admin}
        self._file = file
        self._of_file: dict[bytes, bool] = {}
        self._seen: tuple[int, ...] | None = None
        if file:
            self._seen = _state(file)
            self._of_file = _read(file)
            if not self._of_file:
                raise KeyFileError(f"{file} has no key in it")

    def known(self, key: str) -> "Known | None":
        """What is known of the key; None if it is not accepted.

        It takes as long for a wrong key as for a right one.
        """
        self._renew()
        digest = _digest(key)
        found = admin = False
        for each, of_admin in [*self._of_file.items(), *self._own.items()]:
            same = hmac.compare_digest(each, digest)
            found |= same
            admin |= same and of_admin
        return Known(digest.hex()[:_NAME_LENGTH], admin) if found else None

    def _renew(self) -> None:
        """Read the file again if it is another one now; what cannot be read changes nothing."""
        if self._file is None:
            return
        state = _state(self._file)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._of_file = _read(self._file)
            log.info("%d API keys read from %s", len(self._of_file), self._file)
        except KeyFileError as error:
            log.error("the API keys stay as they are: %s", error)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _state(file: Path) -> tuple[int, ...] | None:
    """Changes when the file does, also where a mounted secret is swapped by a symbolic link."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def _read(file: Path) -> dict[bytes, bool]:
    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{file} cannot be read: {type(error).__name__}") from error
    digests: dict[bytes, bool] = {}
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            try:
                scope, _, key = line.rpartition(" ")
                if scope.strip() not in ("", "admin"):
                    raise ValueError("before a key stands `admin` or nothing")
                digests[_digest(check_key(key))] = bool(scope)
            except ValueError as error:
                raise KeyFileError(f"{file}, line {number}: {error}") from error
    return digests


class KeyCheck:
    """Lets requests with a known key through, and those for open paths."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        app = self._app
        if scope["type"] == "http" and not is_open(route_path(scope)):
            offered = _offered(Headers(scope=scope))
            known = next(filter(None, map(self._keys.known, offered)), None)
            if known is None:
                said = "That key is not known." if offered else "This takes a key."
                detail = f"{said} Send `Authorization: Bearer KEY` or `X-API-Key: KEY`."
                app = error_response(Unauthorized(detail), scope["path"])
            else:
                scope[KEY_NAME] = known.name
                if is_for_admins(scope["method"], route_path(scope)) and not known.admin:
                    detail = "This changes the service for others, and takes an admin key."
                    app = error_response(Forbidden(detail), scope["path"])
        await app(scope, receive, send)


def _offered(headers: Headers) -> list[str]:
    """The keys that a request names; an Authorization of another scheme is a proxy's affair."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return [key for key in (bearer, headers.get("x-api-key", "").strip()) if key]


class HostCheck:
    """Lets requests through whose Host header names one of the service's own hosts.

    Whoever watches over the process asks by its address, so that those paths take any host.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._check = TrustedHostMiddleware(_note, list(hosts), www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        app = self._app
        if scope["type"] == "http" and route_path(scope) not in WATCHED:
            judged: Scope = {**scope, _TRUSTED: []}
            await self._check(judged, receive, _unheard)
            if not judged[_TRUSTED]:
                detail = "This service does not go by the name in the Host header. Use its own."
                app = error_response(UntrustedHost(detail), scope["path"])
        await app(scope, receive, send)


_TRUSTED = "chromaserve.trusted"


async def _note(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - an ASGI app
    scope[_TRUSTED].append(True)


async def _unheard(message: Message) -> None:
    """Starlette's refusal is plain text; ours is sent in its place."""


class CrossOrigin(CORSMiddleware):
    """CORS by Starlette, its refusals as problems."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks whether it may ask."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        said = bytes(answer.body).decode()
        refusal = error_response(OriginRefused(f"{said}. The service's settings say who may ask."))
        for name in ("vary", "access-control-allow-origin"):
            if name in answer.headers:
                refusal.headers[name] = answer.headers[name]
        return refusal


def install_inner(
    app: FastAPI, settings: Settings, keys: Keys | None, shared: Path | None = None
) -> None:
    """Add what has to be inside of `Connections`: a refused body is then read to its end.

    Args:
        app: the service.
        settings: which of them there are.
        keys: that are accepted, where one is needed.
        shared: folder of several workers, where there are others.
    """
    windows = [("minute", 60, settings.rate_limit), ("day", 86_400, settings.daily_limit)]
    limits = [Window(*window) for window in windows if window[2]]
    if limits:
        app.add_middleware(RateLimit, windows=limits, folder=shared)
    if keys:
        app.add_middleware(KeyCheck, keys=keys)
    if settings.trusted_hosts:
        app.add_middleware(HostCheck, hosts=settings.trusted_hosts)


def install_outer(app: FastAPI, settings: Settings) -> None:
    """Add what has to be outside of all that refuses: browsers can then read the refusals."""
    if settings.cors_origins:
        app.add_middleware(
            CrossOrigin,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("*",),
            # Of a page of those that are named; any page is not to look into private networks.
            allow_private_network="*" not in settings.cors_origins,
            expose_headers=_EXPOSED,
        )
