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
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from chromaserve.errors import ServiceError

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

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            try:
                while await self._next():
                    pass
            except Exception:
                log.exception("callbacks cannot be sent")
            self._jobs.ended.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._jobs.ended.wait()

    async def _next(self) -> bool:
        """Send the next one that is due; False where none is."""
        now = time.time()
        notice = await self._jobs.ask(self._jobs.records.due, now, now + _LEASE_S)
        if notice is None:
            return False
        again_at = None
        said = await self._send(notice)
        if said and notice.notices < len(PAUSES_S) and said != str(_GONE):
            again_at = time.time() + PAUSES_S[notice.notices]
        await self._jobs.ask(self._jobs.records.noticed, notice.job, again_at)
        if said:
            then = "it is tried again" if again_at else "it is given up"
            log.warning("the callback of job %s came to nothing (%s); %s", notice.job, said, then)
        return True

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
            jobs.addresses.check(notice.callback)
            answer = await jobs.addresses.http.post(
                notice.callback, content=body, headers=headers, timeout=_TIMEOUT_S
            )
        except (ServiceError, httpx.HTTPError) as error:
            return type(error).__name__
        return "" if answer.is_success else str(answer.status_code)
