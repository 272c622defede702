"""Callbacks when jobs have ended: signed by Standard Webhooks, tried again over hours and restarts.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Signed
here: its library for Python brings an HTTP client and models, for one HMAC.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from chromaserve.loop_thread import cancel

from ..errors import AddressRefused
from ..root_path import root_path
from .addresses import Unavailable
from .database import DatabaseFault
from .records import Notice

if TYPE_CHECKING:
    from .jobs import Jobs

log = logging.getLogger("chromaserve.jobs")

PAUSES_S = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800)
"""Between tries; after the last one the callback is given up."""
_LOOK_S = 2.0
_TIMEOUT_S = 15.0
_LEASE_S = 30.0
"""A process that ends while it asks leaves the callback to another one, from then on."""
_GONE = 410
"""The receiver wants no more of it."""
_AT_ONCE = 8
"""Receivers that are told at once, of one thing each: who is slow holds nobody else up."""
_ORIGIN = re.compile("[^/]*//[^/?#]*")


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature.

    Args:
        secret: base64 after `whsec_`.
        identity: the header webhook-id.
        timestamp: the header webhook-timestamp, seconds since 1970.
        body: as it is sent.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{identity}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


class Callbacks:
    """Tells addresses of jobs that have ended."""

    def __init__(self, jobs: "Jobs") -> None:
        self._jobs = jobs
        self._telling: dict[str, asyncio.Task[None]] = {}
        """By the receiver's origin."""

    async def run(self) -> None:
        """Send what is due, for ever."""
        root_path.set(self._jobs.settings.root_path or "")
        try:
            while True:
                self._jobs.ended.clear()
                try:
                    while len(self._telling) < _AT_ONCE and await self._begin():
                        pass
                except DatabaseFault as error:
                    log.error("callbacks cannot be looked for: %s", error)
                except Exception:
                    log.exception("callbacks cannot be sent")
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._jobs.ended.wait()
        finally:
            await cancel(self._telling.values())

    async def _begin(self) -> bool:
        """Send the next one that is due, to nobody who is being told; False where none is."""
        now = time.time()
        due = self._jobs.records.due
        notice = await self._jobs.ask(due, now, now + _LEASE_S, list(self._telling))
        if notice is None:
            return False
        origin = _ORIGIN.match(notice.callback)
        assert origin  # it was checked when it was accepted
        self._telling[origin[0]] = task = asyncio.create_task(self._tell(notice))
        task.add_done_callback(partial(self._over, origin[0]))
        return True

    def _over(self, origin: str, _: "asyncio.Task[None]") -> None:
        del self._telling[origin]
        self._jobs.ended.set()

    async def _tell(self, notice: Notice) -> None:
        try:
            await self._try(notice)
        except DatabaseFault as error:  # its lease ends
            log.error("what became of the callback of job %s is lost: %s", notice.job, error)
        except Exception:
            log.exception("the callback of job %s cannot be sent", notice.job)

    async def _try(self, notice: Notice) -> None:
        again_at = None
        said = await self._send(notice)
        if said and notice.notices < len(PAUSES_S) and said != str(_GONE):
            again_at = time.time() + PAUSES_S[notice.notices]
        await self._jobs.ask(self._jobs.records.noticed, notice.job, again_at)
        if said:
            then = "it is tried again" if again_at else "it is given up"
            log.warning("the callback of job %s came to nothing (%s); %s", notice.job, said, then)

    async def _send(self, notice: Notice) -> str:
        """Empty where it was heard, else what stood in the way."""
        jobs, secret = self._jobs, self._jobs.settings.jobs_secret
        if secret is None:
            return "there is no CHROMASERVE_JOBS_SECRET"
        job = await jobs.find(notice.job, notice.owner)
        timestamp = int(time.time())
        body = json.dumps(
            {
                "type": f"job.{job.state}",
                "timestamp": datetime.fromtimestamp(timestamp, UTC).isoformat(),
                "data": job.model_dump(mode="json", exclude_none=True),
            }
        ).encode()
        identity = f"msg_{notice.job}"
        headers = {
            "Content-Type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secret.get_secret_value(), identity, timestamp, body),
        }
        try:
            answer = await jobs.addresses.told("POST", notice.callback, body, headers, _TIMEOUT_S)
        except (AddressRefused, Unavailable) as error:
            return str(error)
        return "" if answer.is_success else str(answer.status_code)
