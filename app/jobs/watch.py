"""News of jobs for all who wait for some: a look at the queue every so often, for all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..errors import JobNotFound
from .database import Row
from .records import Progress, Standing

_LOOK_S = 0.25
"""Between looks for what other processes have done."""

News = tuple[Standing, Sequence[Row]]
"""Where a job stands, and its photos that are settled, from a number on, in the order of that."""
Waiting = tuple[str, int, asyncio.Future[News]]


class Watch:
    """Answers at the next look, which is there only while somebody waits."""

    def __init__(
        self, ask: Callable[[Mapping[str, int]], Awaitable[Mapping[str, Progress]]]
    ) -> None:
        """`ask`: for what is new of jobs, by id, from a number on; `Records.watched`."""
        self._ask = ask
        self._waiting: list[Waiting] = []
        self._looking: asyncio.Task[None] | None = None
        self._looked = 0.0

    async def news(self, job: str, after: int) -> News:
        """What is known of a job at the next look.

        Args:
            job: its id.
            after: photos are told of whose number is above.

        Raises:
            JobNotFound: there is none.
            DatabaseFault: the queue could not be asked.
        """
        coming: asyncio.Future[News] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, after, coming))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return await coming

    async def _look(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._looked + _LOOK_S - time.monotonic())
                self._looked = time.monotonic()
                waiting, self._waiting = self._waiting, []
                await self._tell([each for each in waiting if not each[2].done()])
        finally:
            self._looking = None

    async def _tell(self, waiting: Sequence[Waiting]) -> None:
        wanted: dict[str, int] = {}
        for job, after, _ in waiting:
            wanted[job] = min(after, wanted.get(job, after))
        failed: Exception | None = None
        found: Mapping[str, Progress] = {}
        try:
            if wanted:
                found = await self._ask(wanted)
        except Exception as error:
            failed = error
        for job, after, coming in waiting:
            if coming.done():  # whoever waited is gone
                continue
            if job in found:
                news = [photo for photo in found[job].settled if photo["number"] > after]
                coming.set_result((found[job].standing, news))
            else:
                coming.set_exception(failed or JobNotFound("The job has expired."))
