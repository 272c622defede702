"""HTTP connections: uvicorn's, with bounds on their number, on heads of requests, on silence."""

import contextlib
import socket
import time
from asyncio import BaseTransport, Transport
from collections.abc import Callable
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .access_log import GONE
from .errors import HeadTimeout, MalformedRequest, TooManyConnections
from .limits import ABORT, YIELD, file_descriptors
from .old_http import unchunked
from .problems import kind_of
from .refusals import MAX_FIELDS, MAX_HEAD, ambiguous, closed_before, is_plain, too_large, written
from .settings import Settings

_AHEAD = 32
"""Requests that a client may send before it has the answer to the first."""
_FILES = 128
"""File descriptors that are not for connections: photos' threads, models, logs."""
_UNSENT = 128 * 1024
"""Bytes that the system takes of a response before the network does: it is seen who stalls."""
_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PROBE_S = 0.05


class Config(uvicorn.Config):
    """uvicorn's configuration, by the service's settings."""

    def __init__(self, app: Any, settings: Settings) -> None:  # noqa: ANN401 - as uvicorn has it
        proxies = list(settings.forwarded_allow_ips or ())
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
            proxy_headers=bool(proxies),
            forwarded_allow_ips=["*"] if "*" in proxies else proxies,
        )
        self.settings = settings
        self.refused: Callable[[str], None] = app.state.service.metrics.refusal
        """Counts what no application hears of."""
        self.max_connections = min(settings.max_connections, max(file_descriptors() - _FILES, 8))
        self.quiet: dict[Protocol, None] = {}
        """Connections without a request, those that have been so for longest first."""


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
        self._fields = self._of_fields = 0
        self._plain_head = b""
        """Of a request that asks for another protocol: the same, as if it did not."""
        self._in_head = False
        self._answering: RequestResponseCycle | None = None
        """The request whose turn it is; those behind it are in uvicorn's `pipeline`."""
        self._deaf = False
        """No more requests are taken; those that are here are answered."""
        self._all_sent = False
        """The client sends nothing more, and has not left, so far as is known."""
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
        if self._answering:  # uvicorn tells the newest alone
            self._answering.disconnected = not self._answering.response_complete
            self._answering.message_event.set()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what is here as a whole, though the client sends nothing more.

        One that has left looks alike. What it is sent has its system say that nobody is there, and
        photos that nobody waits for are not coloured; by HTTP/1.0 nothing can be sent before the
        answer, so that only what is no work is answered.
        """
        now, missing = self._answering, ""
        if now is None or now.response_complete:
            if self._in_head:
                self._refuse(closed_before("the request's head"))
            return False
        plain = now.scope["http_version"] == "1.0"
        if now is self.cycle and now.more_body:
            missing = "the request's body"
        elif plain and now.scope["method"] not in ("GET", "HEAD"):
            missing = "the answer, which by HTTP/1.0 is given to open connections alone"
        if missing and not now.response_started:
            self._refuse(closed_before(missing))
        if missing or now.response_started or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        self._all_sent = True
        if not plain:
            self.transport.write(_PROBE)
            self.loop.call_later(_PROBE_S, self._drop_who_left)
        return True

    def _drop_who_left(self) -> None:
        line = self.transport.get_extra_info("socket")
        if not self.transport.is_closing() and line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Take bytes, of which a head may not have too many, nor come too slowly."""
        if self._deaf:
            return
        if self._kept:
            self._kept = False
            self._deadline = time.monotonic() + self._limits.settings.head_timeout_s
        self._framing += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserCallbackError:  # what one of the methods below did not take
            if not self._deaf:
                self._refuse(self._refusal)
        except httptools.HttpParserError as error:
            self._refuse(MalformedRequest(f"This is no HTTP request that is answered: {error}."))
        if self._framing > MAX_HEAD and not self.transport.is_closing():
            self._refuse(too_large())

    def _parse(self, data: memoryview) -> None:
        """Give the parser bytes. Where a request asks for another protocol, as Java's client and
        `curl --http2` do, it ends at the head, and would take the body for the next request."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as asked:
                data = data[asked.args[0] :]
                if not self._plain_head:  # CONNECT, of which nothing more is understood
                    return
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(self._plain_head)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._fields = self._of_fields = 0
        self._in_head = True
        self._plain_head = b""
        cast(dict[str, Any], self.scope).update({ABORT: self.transport.abort, YIELD: self._yield})

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._check(len(self.url) + len(url) <= MAX_HEAD // 4, too_large())
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or of the trailer, which counts and is nobody's to read."""
        self._fields += 1
        self._of_fields += len(name) + len(value)
        small = self._fields <= MAX_FIELDS and self._of_fields <= MAX_HEAD
        self._check(small, too_large())
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the request, unless programs could read its head in two ways, or it is too early:
        whoever sends that many ahead sends the rest again on another connection."""
        if len(self.pipeline) >= _AHEAD:
            self._deaf, self.cycle.keep_alive = True, False
            raise _Refused
        plain = is_plain(self.url, self.headers, self.parser.get_http_version())
        self._check(plain, ambiguous())
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            fields = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
            version = self.parser.get_http_version().encode()
            line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
            self._plain_head = b"".join((line, *fields, b"\r\n"))
            return
        self._deadline = None
        self._framing = 0
        self._in_head = False
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401
        self._answering = cycle
        cast(dict[str, Any], cycle.scope)[GONE] = lambda: (
            cycle.disconnected or (self.transport.is_closing() and not cycle.response_complete)
        )
        self._limits.quiet.pop(self, None)
        if cycle.scope["http_version"] == "1.0":
            cycle.waiting_for_100_continue = False
            app = unchunked(app, cycle)
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is here as a whole."""
        if not self._plain_head:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the next request, or wait for one."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
            self._kept = True
            self._wait(self.timeout_keep_alive)

    def sweep(self, now: float) -> None:
        """End the connection if its time is over, or a client does not take what ends it."""
        if self._all_sent:
            self._drop_who_left()
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

    def _yield(self) -> None:
        """Let another connection have the place: the client of this one comes again."""
        self._limits.quiet[self] = None

    def _check(self, fine: bool, refusal: Exception) -> None:
        if not fine:
            self._refusal = refusal
            raise _Refused

    def _refuse(self, error: Exception) -> None:
        """Answer with a problem and close; one that is being answered already is cut off."""
        self._limits.quiet.pop(self, None)
        if self.cycle is not None and not self.cycle.response_complete:
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True  # what it would answer, nobody gets
            self.cycle.message_event.set()
        self._limits.refused(kind_of(error).slug)
        self.transport.write(written(error))
        self.transport.close()
