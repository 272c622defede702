"""The HTTP server: uvicorn's, with bounds on connections, heads of requests, and its own end."""

import contextlib
import logging
import os
import resource
import socket
import threading
import time
from asyncio import BaseTransport, Transport
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import HeadTimeout, HeadTooLarge, MalformedRequest, TooManyConnections
from .limits import ABORT
from .problems import error_response
from .service import Service
from .settings import Settings

log = logging.getLogger("chromaserve.http")

_MAX_HEAD = 64 * 1024
_MAX_FIELDS = 100
_FILES = 128
"""File descriptors that are not for connections: photos' threads, models, logs."""
_UNSENT = 128 * 1024
"""Bytes that the system takes of a response before the network does: it is seen who stalls."""
_SWEEP_TICKS = 5  # of uvicorn's tenths of a second
_GRACE_S = 1.0


class Config(uvicorn.Config):
    """uvicorn's configuration, by the service's settings."""

    def __init__(self, app: Any, settings: Settings) -> None:  # noqa: ANN401 - as uvicorn has it
        super().__init__(
            app,
            http=Protocol,
            ws="none",
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # ours has request ids and times
            log_level=settings.log_level,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=settings.shutdown_timeout_s,
            server_header=False,
            root_path=settings.root_path or "",
            proxy_headers=settings.forwarded_allow_ips is not None,
            forwarded_allow_ips=settings.forwarded_allow_ips,
        )
        self.settings = settings
        self.max_connections = min(settings.max_connections, max(_descriptors() - _FILES, 8))
        self.quiet: dict[Protocol, None] = {}
        """Connections without a request, those that have been so for longest first."""


def _descriptors() -> int:
    """How many file descriptors this process may have, as many as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft
    return hard if hard != resource.RLIM_INFINITY else 2**20


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """The request's head is not one that is answered."""


class Protocol(HttpToolsProtocol):
    """A connection: it has a time for each head, bytes for it, and a place among the others.

    One that is too many takes the place of the one that has been without a request for longest.
    """

    def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(config, *args, **kwargs)
        self._limits = config
        self._deadline: float | None = None
        self._kept = False
        """Waiting for another request, of which nothing has come."""
        self._framing = 0
        """Bytes since the last that were of a body, or ended a head."""
        self._fields = 0
        self._refusal: Exception = MalformedRequest("This is no HTTP request that is answered.")

    def connection_made(self, transport: BaseTransport) -> None:
        """Take a place, a quiet connection's where there is none."""
        super().connection_made(cast(Transport, transport))
        if connection := transport.get_extra_info("socket"):
            with contextlib.suppress(AttributeError, OSError):  # not everywhere, nor of any kind
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        if len(self.connections) > self._limits.max_connections:
            oldest = next(iter(self._limits.quiet), None)
            if oldest is None:
                self._refuse(TooManyConnections("Too many requests are under way. Try again soon."))
                return
            oldest.drop()
        self._wait(self._limits.settings.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._limits.quiet.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, of which a head may not have too many, nor come too slowly."""
        if self._kept:
            self._kept = False
            self._deadline = time.monotonic() + self._limits.settings.head_timeout_s
        self._framing += len(data)
        super().data_received(data)
        if self._framing > _MAX_HEAD and not self.transport.is_closing():
            self._refuse(_too_large())

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says more
        """Refuse what the parser did not take, or what one of the methods below did not."""
        self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._fields = 0
        scope = cast(dict[str, Any], self.scope)
        scope[ABORT] = self.transport.abort

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._check(len(self.url) + len(url) <= _MAX_HEAD // 4, _too_large())
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or of the trailer, which nobody reads."""
        self._fields += 1
        self._check(self._fields <= _MAX_FIELDS, _too_large())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request, unless programs could read its head in two ways."""
        names = [name for name, _ in self.headers]
        lengths, codings = names.count(b"content-length"), names.count(b"transfer-encoding")
        hosts = names.count(b"host")
        plain = hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0")
        ambiguous = MalformedRequest(
            "A request has one Host, and one of Content-Length and Transfer-Encoding at most."
        )
        self._check(plain and lengths + codings <= 1, ambiguous)
        self._deadline = None
        self._limits.quiet.pop(self, None)
        self._framing = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request, where there is to be one."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
            self._kept = True
            self._wait(self.timeout_keep_alive)

    def sweep(self, now: float) -> None:
        """End the connection if its time is over, or a client does not take what ends it."""
        if self.transport.is_closing() and self._deadline is None:
            self._deadline = now + self._limits.settings.send_timeout_s
        if self._deadline is None or now < self._deadline:
            return
        if self._kept or not self._framing or self.transport.is_closing():
            self.drop()
        else:
            limit_s = self._limits.settings.head_timeout_s
            self._deadline = None
            self._refuse(HeadTimeout(f"The request's head took longer than {limit_s:g} s."))

    def drop(self) -> None:
        """End the connection at once, whatever has not been sent."""
        self._limits.quiet.pop(self, None)
        self.transport.abort()

    def _wait(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._limits.quiet.pop(self, None)
        self._limits.quiet[self] = None

    def _check(self, fine: bool, refusal: Exception) -> None:
        if not fine:
            self._refusal = refusal
            raise _Refused

    def _refuse(self, error: Exception) -> None:
        """Answer with a problem and close; one in the middle of a request is cut off."""
        self._limits.quiet.pop(self, None)
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        self.transport.write(_written(error_response(error)))
        self.transport.close()


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(
        f"A request's head has at most {_MAX_FIELDS} fields and {_MAX_HEAD // 1024} KiB."
    )


def _written(answer: Response) -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (answer.status_code, b"Refused"), b"connection: close"]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body)


class Server(uvicorn.Server):
    """uvicorn's server, which looks after its connections and ends in time."""

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._limit_s = config.settings.shutdown_timeout_s + _GRACE_S

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections; called by uvicorn ten times a second."""
        if counter % _SWEEP_TICKS == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.sweep(now)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no more requests, and end when those that were accepted are answered.

        What hangs then, a model or a decoder, does not keep the process.
        """
        if not self._service.draining:
            self._service.draining = True
            threading.Thread(target=self._end, name="end", daemon=True).start()
        super().handle_exit(sig, frame)

    def _end(self) -> None:
        time.sleep(self._limit_s)
        log.critical("not done within %g s: ending all the same", self._limit_s)
        logging.shutdown()
        os._exit(1)
