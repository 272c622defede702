"""Addresses that photos come from, results go to, and callbacks are sent to: those on a list only.

An address on the list is an origin, or a path on one with all below it. Redirects are not followed,
proxies of the environment are not asked, so that nothing off the list ever is. Who is slower than
uploads may be is not waited for, nor is an answer read that nobody needs.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import unquote

import httpx

from chromaserve.errors import BodyTooLarge

from ..arrivals import Arrival
from ..errors import AddressFailed, AddressRefused
from ..settings import Settings

_TIMEOUT = httpx.Timeout(30, connect=10)
_PLAIN = re.compile(r"[!-~]{1,4096}")


class Unavailable(Exception):  # noqa: N818 - reads as a fact
    """The address gave no answer, or one that may pass."""


class Addresses:
    """Asks what is on the list."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = [_parsed(each) for each in settings.jobs_addresses or ()]
        self._max_bytes = settings.max_upload_bytes
        self._patience_s = settings.upload_timeout_s
        self._least_rate = settings.min_upload_kb_s * 1024
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False)

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

    async def fetch(self, address: str) -> bytes:
        """The photo at an address.

        Raises:
            AddressRefused: it is not on the list (any more).
            AddressFailed: it answered that there is none to be had.
            BodyTooLarge: it has more bytes than a request may.
            Unavailable: trying again may help.
        """
        self.check(address)
        data = bytearray()
        arrival = Arrival(self._least_rate, self._patience_s)
        try:
            async with aclosing(self._pieces(address)) as pieces:
                while (piece := await arrival.piece(pieces)) is not None:
                    data += piece
                    arrival.received = len(data)
                    if len(data) > self._max_bytes:
                        raise BodyTooLarge(
                            f"{_shown(address)} has more than {self._max_bytes:,} bytes."
                        )
        except TimeoutError as error:
            raise Unavailable(f"{_shown(address)} sends too slowly") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{_shown(address)}: {type(error).__name__}") from error
        return bytes(data)

    async def _pieces(self, address: str) -> AsyncGenerator[bytes, None]:
        # Codings are not undone: a few bytes in two of them are gigabytes.
        asked = self._http.stream("GET", address, headers={"Accept-Encoding": "identity"})
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
            AddressRefused: it is not on the list; nothing was asked for it.
            Unavailable: it gave no answer in so many seconds.
        """
        self.check(address)
        asked = self._http.stream(method, address, content=data, headers=headers)
        try:
            async with asyncio.timeout(limit_s), asked as answer:
                return answer
        except TimeoutError as error:
            raise Unavailable(f"{_shown(address)} gave no answer in {limit_s:.0f} s") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"{_shown(address)}: {type(error).__name__}") from error

    async def close(self) -> None:
        """End the connections that are open."""
        await self._http.aclose()


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
    if ".." in unquote(unquote(url.raw_path.decode("ascii").partition("?")[0])).split("/"):
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
