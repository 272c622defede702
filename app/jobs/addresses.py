"""Addresses that photos come from, results go to, and callbacks are sent to: those on a list only.

An address on the list is an origin, or a path on one with all below it. Redirects are not followed,
proxies of the environment are not asked, so that nothing off the list ever is. A name leads to no
address of this machine's own, or of its link, whatever it resolves to at the time. Who is slower
than uploads may be is not waited for, nor is an answer read that nobody needs.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote

import httpx

from chromaserve.errors import BodyTooLarge, Busy, caused_by
from chromaserve.pipeline.memory import Share

from ..arrivals import SLOW, Arrival
from ..errors import AddressFailed, AddressRefused
from ..networks import ip_of
from ..settings import Settings

_TIMEOUT = httpx.Timeout(30, connect=10)
_PLAIN = re.compile(r"[!-~]{1,4096}")
_FOLDER = re.compile(r"[/\\]([^/\\;]*)[^/\\]*")
"""A part of a path, by those too who take \\ for / and leave out what is behind a semicolon."""


class Unavailable(Exception):  # noqa: N818 - reads as a fact
    """The address gave no answer, or one that may pass."""


class Addresses:
    """Asks what is on the list."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = [_parsed(each) for each in settings.jobs_addresses or ()]
        self._max_bytes = settings.max_upload_bytes
        self._patience_s = settings.upload_timeout_s
        self._least_rate = settings.min_upload_kb_s * 1024
        self._arriving: set[Arrival] = set()
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
            verify=httpx.create_ssl_context(),  # which does look at SSL_CERT_FILE
        )

    def check(self, address: str) -> str:
        """The address, if it is on the list.

        Raises:
            AddressRefused: it is not; nothing was asked for it.
        """
        try:
            url = _parsed(address)
        except ValueError as error:
            raise AddressRefused(f"{_shown(address)} is no address: {error}.") from error
        if not any(_within(url, each) for each in self._allowed):
            raise AddressRefused(
                f"{_shown(address)} is not on the list of addresses that this service asks."
            )
        return address

    async def fetch(self, address: str, share: Share) -> bytes:
        """The photo at an address; `share` grows with what has come, and has it at the end.

        Raises:
            AddressRefused: it is not on the list (any more), or leads to this machine.
            AddressFailed: it answered that there is none to be had.
            BodyTooLarge: it has more bytes than a request may.
            Busy: there is no room for it.
            Unavailable: trying again may help.
        """
        self.check(address)
        data = bytearray()
        arrival = Arrival(self._least_rate, self._patience_s)
        self._arriving.add(arrival)
        try:
            async with aclosing(self._pieces(address)) as pieces:
                while (piece := await arrival.piece(pieces)) is not None:
                    data += piece
                    arrival.received = len(data)
                    if len(data) > self._max_bytes:
                        raise BodyTooLarge(
                            f"{_shown(address)} has more than {self._max_bytes:,} bytes."
                        )
                    if share.has_to_wait(2 * len(data)):  # it is in memory twice at the end
                        raise Busy("There is no room for a photo on its way.")
                    await share.grow(2 * len(data))
        except TimeoutError as error:
            raise Unavailable(f"{_shown(address)} sends too slowly") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{_shown(address)}: {_said(error)}") from error
        finally:
            self._arriving.discard(arrival)
        share.shrink(max(len(data), 1))
        return bytes(data)

    def slowest(self) -> Arrival | None:
        """Of the photos on their way that are slow and have had their time, if there are any."""
        slow = [
            each
            for each in self._arriving
            if each.lasted_s > self._patience_s and each.rate < SLOW * self._least_rate
        ]
        return min(slow, key=lambda each: each.rate, default=None)

    async def _pieces(self, address: str) -> AsyncGenerator[bytes, None]:
        # Codings are not undone: a few bytes in two of them are gigabytes.
        headers = {"Accept-Encoding": "identity"}
        asked = self._http.stream("GET", address, headers=headers, extensions=_guarded(address))
        async with asked as answer:
            _judge(address, answer)
            async for piece in answer.aiter_raw():
                yield piece

    async def send(self, address: str, data: bytes, media_type: str) -> None:
        """Put a result at an address.

        Raises:
            AddressRefused, AddressFailed, Unavailable: as `fetch`.
        """
        limit_s = self._patience_s + len(data) / self._least_rate
        _judge(
            address, await self.told("PUT", address, data, {"Content-Type": media_type}, limit_s)
        )

    async def told(
        self, method: str, address: str, data: bytes, headers: Mapping[str, str], limit_s: float
    ) -> httpx.Response:
        """What an address says to data, of which no more than the head is read.

        Raises:
            AddressRefused: it is not on the list, or leads to this machine; nothing was asked.
            Unavailable: it gave no answer in so many seconds.
        """
        self.check(address)
        asked = self._http.stream(
            method, address, content=data, headers=headers, extensions=_guarded(address)
        )
        try:
            async with asyncio.timeout(limit_s), asked as answer:
                return answer
        except TimeoutError as error:
            raise Unavailable(f"{_shown(address)} gave no answer in {limit_s:.0f} s") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{_shown(address)}: {_said(error)}") from error

    async def close(self) -> None:
        """End the connections that are open."""
        await self._http.aclose()


def _guarded(address: str) -> dict[str, Any]:
    """What has httpx look where it came to, before it sends anything.

    The name was compared as it is written; what it resolves to may change at any time, so that what
    counts is who is at the other end of the connection. `localhost` and numbers say it themselves.
    """

    async def look(event: str, about: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            line = about["return_value"]
            other_end = line.get_extra_info("server_addr")[0]
            if _is_near(other_end):
                await line.aclose()
                raise AddressRefused(
                    f"{_shown(address)} leads to {other_end}, which is this machine's own, or its"
                    " link's."
                )

    host = httpx.URL(address).host
    return {} if host == "localhost" or ip_of(host) else {"trace": look}


def _is_near(host: str) -> bool:
    found = ip_of(host)
    return found is None or found.is_loopback or found.is_link_local or found.is_unspecified


def _said(error: Exception) -> str:
    """Why there is no answer: of certificates in words, else the kind of error alone."""
    cause = caused_by(error, ssl.SSLCertVerificationError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({cause.verify_message.rstrip('.')})"
    return type(error).__name__


def _judge(address: str, answer: httpx.Response) -> None:
    status = answer.status_code
    if status in (408, 425, 429) or status >= 500:
        raise Unavailable(f"{_shown(address)} answered {status}")
    if not answer.is_success:
        raise AddressFailed(f"{_shown(address)} answered {status} {answer.reason_phrase}.")


def _parsed(address: str) -> httpx.URL:
    """An address that programs read in one way only.

    Raises:
        ValueError: it is none.
    """
    if not _PLAIN.fullmatch(address) or "\\" in address:
        raise ValueError("it has characters that addresses have not")
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from error
    if url.scheme not in ("http", "https", ""):
        raise ValueError(
            f"{url.scheme}:// is not asked. Have the store presign an https:// address, and give"
            " that"
        )
    if not url.scheme or not url.host or url.userinfo or url.fragment:
        raise ValueError("it is to be http(s)://HOST/PATH")
    if ".." in _FOLDER.findall(unquote(unquote(url.raw_path.decode("ascii").partition("?")[0]))):
        raise ValueError("it leaves its folder")
    return url


def _within(url: httpx.URL, allowed: httpx.URL) -> bool:
    if (url.scheme, url.host, url.port) != (allowed.scheme, allowed.host, allowed.port):
        return False
    path, folder = (each.raw_path.decode("ascii").partition("?")[0] for each in (url, allowed))
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _shown(address: str) -> str:
    """An address without what signs it."""
    return repr(address.partition("?")[0][:200])
