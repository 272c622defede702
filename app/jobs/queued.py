"""What goes into the queue, jobs and their photos, and what comes out: photos to be worked on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Step = Literal["look", "agree", "colour"]
"""What a photo is held for. An album's are looked at, each for itself; once all were, one of them
is held while they are made to agree, and then coloured as all others are."""
Held = tuple[str, int, int]
"""Job, number of the photo, attempt."""


@dataclass(frozen=True)
class NewPhoto:
    """A photo of a job that is to be accepted."""

    name: str | None
    stem: str
    """Of its result's name, told apart from the others'."""
    start: int
    """Where its bytes begin in the job's file; a reference is before the first photo."""
    size: int
    pixels: int
    reserved: int
    """Bytes of disk that its result may take."""
    source: str | None = None
    """Address that it is fetched from; then there are no bytes in the file."""
    target: str | None = None
    """Address that its result is sent to, in place of the disk here."""


@dataclass(frozen=True)
class NewJob:
    """A job that is to be accepted."""

    id: str
    owner: str
    key: str | None
    """Of idempotency: the same one of the same owner is the same job."""
    digest: str
    """Of all that was asked for."""
    options: str
    manifest: str
    callback: str | None
    photos: Sequence[NewPhoto]
    album_bytes: int = 0
    """Of disk, as long as it has not ended, where its photos are to agree."""


@dataclass(frozen=True)
class Claim:
    """A photo that a worker holds."""

    job: str
    n: int
    attempt: int
    owner: str
    options: str
    name: str | None
    stem: str
    start: int
    size: int
    pixels: int
    source: str | None
    target: str | None
    faults: int
    tries: int
    """That came to nothing, as an address did not answer or a result had no room."""
    step: Step
    reference: int
    """Bytes of the reference, with which the job's file begins; 0 where there is none."""

    @property
    def held(self) -> Held:
        """What tells it from all others."""
        return self.job, self.n, self.attempt
