"""What is accepted and not yet done, how long that takes, and who is turned away because of it."""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

from chromaserve.errors import Busy, WouldBeLate
from chromaserve.pipeline.estimate import Estimate

_LEARNING = 0.1
_LEAST_TOLD_S = 0.5  # a shorter wait says little about how well waits are foreseen
_WORST = 4.0
_ANY = 10**6


class Ticket:
    """An accepted request: its photos are admitted in order, and are a flow of their own."""

    def __init__(
        self,
        backlog: "Backlog",
        pixels: Sequence[int],
        looks: int,
        foreseen_s: float,
        deadline_s: float | None,
        owner: Hashable = None,
        *,
        background: bool = False,
        beside: int = 0,
        turns: int | None = None,
    ) -> None:
        self.turn = asyncio.Lock()
        """Held while a photo is admitted."""
        self.deadline_s = deadline_s
        """The client's own limit, in seconds since `since`; None without one."""
        self.since = time.perf_counter()
        self.owner = owner
        """Who asked, so that nobody is told what others asked before."""
        self.background = background
        """It takes its turn where no other photo waits, and has all the time that this takes."""
        self.resting = False
        """Nothing can be done for it before its client takes results: it is in nobody's way."""
        self.photos = len(pixels)
        self.left = len(pixels)
        self.turns = self.turns_left = self.photos if turns is None else turns
        """Photos, and pages beside the first of a file that becomes one: others come between."""
        self.pixels_left = sum(pixels) + beside
        self.looks_left = looks
        self._foreseen_s = foreseen_s
        self._backlog = backlog

    @property
    def time_left_s(self) -> float | None:
        """Seconds until the client's own deadline, None without one."""
        if self.deadline_s is None:
            return None
        return max(0.0, self.deadline_s - (time.perf_counter() - self.since))

    def done(self, pixels: int, looks: int = 1, turns: int = 1, *, telling: bool = False) -> None:
        """One photo is done and its place free; `telling`: the time it took tells something."""
        self.left -= 1
        self.turns_left -= turns
        self.pixels_left -= pixels
        self.looks_left -= looks
        if telling and self.turns == 1:
            self._backlog.learn(self._foreseen_s, time.perf_counter() - self.since)

    def prepared(self, pixels: int, looks: int = 1) -> None:
        """What comes before the photos is done: so many pixels of a reference, or of an album."""
        self.pixels_left -= pixels
        self.looks_left -= looks

    @contextmanager
    def further(self, looks: int) -> Iterator[None]:
        """A photo has so many looks more than was known when it was accepted."""
        self._foreseen_s += self._backlog.looks_s(looks)
        self.looks_left += looks
        try:
            yield
        finally:
            self.looks_left -= looks

    def close(self) -> None:
        """The request is answered: its places are free; harmless if they are already."""
        self._backlog.leave(self)


class Backlog:
    """Accepted requests, bounded in photos and in the time that a new one would wait."""

    def __init__(
        self,
        pace: Estimate,
        *,
        max_photos: int,
        max_wait_s: float,
        forgone: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Nothing is accepted yet.

        Args:
            pace: what photos cost.
            max_photos: accepted and not yet answered.
            max_wait_s: a request that would wait longer for its first photo's turn is refused.
            forgone: told of how many photos of a request nobody began to work on.
        """
        self._pace = pace
        self._max_photos = max_photos
        self._max_wait_s = max_wait_s
        self._forgone = forgone
        self._tickets: set[Ticket] = set()
        self._slowness = 1.0  # what waits took, by what was foreseen

    @property
    def photos(self) -> int:
        """Photos accepted and not yet done, of requests that the service can work on."""
        return sum(ticket.left for ticket in self._tickets if not ticket.resting)

    def wait_s(self, turns: int = 1) -> float:
        """Estimate how long others' work keeps a request of so many photos, were it to come now.

        Requests are served in turn, so of each other one as many count as its own: photos, or pages
        of a file that becomes one.
        """
        looks = pixels = 0.0
        for ticket in self._tickets:
            if ticket.left and not ticket.resting:
                part = min(ticket.turns_left, turns) / ticket.turns_left
                looks += ticket.looks_left * part
                pixels += ticket.pixels_left * part
        return self._slowness * self._pace.seconds(looks, pixels)

    def looks_s(self, looks: int) -> float:
        """Seconds of the model's work on so many looks, were waits as they are foreseen."""
        return self._pace.seconds(looks, 0)

    def looks_in_time(self, ticket: Ticket, within_s: float, pages: int = 1) -> int:
        """How many looks more a photo may have: half its time is for them, and for what waits.

        A photo that has waited for long is rather done than looked at closely. So are all where
        close-ups would make others late, or have those refused who come.

        Args:
            ticket: its request's.
            within_s: the service's own limit.
            pages: that are to be done in it, each with as many looks more.
        """
        look_s = self._slowness * self.looks_s(1)
        if ticket.background or not look_s:
            return _ANY
        waiting = [each for each in self._tickets if each.left and not each.resting]
        if any(each is not ticket for each in waiting):
            within_s = min(within_s, self._max_wait_s)
        left = [each.time_left_s for each in waiting if each.time_left_s is not None]
        spare_s = min([within_s, *left]) / 2 - self.wait_s(pages)
        if ticket.time_left_s is not None:  # its other photos are to be in time, too
            spare_s = min(spare_s, ticket.time_left_s / 2 - self.wait_s(ticket.turns_left))
        return int(max(0.0, spare_s) / look_s / pages)

    def check(self) -> None:
        """Refuse a request of any size, before its body is read.

        Raises:
            Busy: there is no place, or it would wait too long.
        """
        if self.photos >= self._max_photos:
            raise Busy(self._full(1))
        wait_s = self.wait_s()
        if wait_s > self._max_wait_s:
            raise Busy(
                f"A photo would wait {wait_s:.0f} s for its turn now, more than the"
                f" {self._max_wait_s:g} s that the service lets one wait. Try again later."
            )

    def accept(
        self,
        pixels: Sequence[int],
        deadline_s: float | None = None,
        owner: Hashable = None,
        looks: int | None = None,
        beside: int = 0,
        turns: int | None = None,
    ) -> Ticket:
        """Accept a request whole, or refuse it at once.

        Args:
            pixels: of each of its photos; 0 for one that is not going to be decoded.
            deadline_s: the client's own limit on the time until all is done.
            owner: who asks.
            looks: how often the model runs for all of them; by default once a photo.
            beside: pixels that are decoded before them: a reference's, or an album's own.
            turns: photos and pages that are worked on one by one; by default as many as photos.

        Raises:
            Busy: there are not as many places, or it would wait too long.
            WouldBeLate: by the estimate it would not be done in time.
        """
        self.check()
        photos = len(pixels)
        if self.photos + photos > self._max_photos:
            raise Busy(self._full(photos))
        looks = photos if looks is None else looks
        own_s = self._pace.seconds(looks, sum(pixels) + beside)
        foreseen_s = self.wait_s(photos if turns is None else turns) + own_s
        if deadline_s is not None and foreseen_s > deadline_s:
            about = f"{foreseen_s:.1f}" if foreseen_s >= 1 else f"{foreseen_s:.2g}"
            raise WouldBeLate(
                f"This would take about {about} s now, more than the {deadline_s:g} s that"
                " the request allows. Try again later, or allow more time."
            )
        foreseen_s /= self._slowness
        ticket = Ticket(
            self, pixels, looks, foreseen_s, deadline_s, owner, beside=beside, turns=turns
        )
        self._tickets.add(ticket)
        return ticket

    def behind(self, pixels: int, owner: Hashable = None) -> Ticket:
        """A ticket for one photo in the background, which takes nobody's place."""
        return Ticket(self, [pixels], 1, 0.0, None, owner, background=True)

    def leave(self, ticket: Ticket) -> None:
        """Forget an answered request; harmless if it is forgotten already."""
        if ticket in self._tickets:
            self._tickets.remove(ticket)
            self._forgone(ticket.left)

    def learn(self, foreseen_s: float, took_s: float) -> None:
        """Correct the estimate by how long a photo took that had been foreseen to take so long."""
        if foreseen_s >= _LEAST_TOLD_S:
            seen = min(max(took_s / foreseen_s, 1 / _WORST), _WORST)
            self._slowness += _LEARNING * (seen - self._slowness)

    @property
    def retry_after_s(self) -> int:
        """When a client should come again: when what is accepted now is done, by the estimate."""
        return self._pace.retry_after_s(self.wait_s(self._max_photos))

    def _full(self, more: int) -> str:
        return (
            f"{self.photos} of {self._max_photos} photos are being worked on and {more} more do"
            f" not fit. Wait a moment and send the request again."
        )
