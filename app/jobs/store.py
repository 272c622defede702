"""The queue: what is accepted, who works on it, what became of it; each call is one transaction.

A photo is `waiting`, `working`, and then `done`, `failed` or `cancelled` for ever. Who works on one
holds it as long as its worker is heard of; what it makes counts only while it still holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import IdempotencyKeyReused, JobsFull
from .database import Database, Row, Run

Became = Literal["lost", "settled", "ended"]

MOST_FAULTS = 3
"""Attempts at a photo that may end with the process, or with an error of the model."""

_HEARD_OF = (
    "INSERT INTO worker (id, until) VALUES (?, ?)"
    " ON CONFLICT (id) DO UPDATE SET until = excluded.until"
)


@dataclass(frozen=True)
class NewPhoto:
    """A photo of a job that is to be accepted."""

    name: str | None
    stem: str
    """Of its result's name, told apart from the others'."""
    start: int
    """Where its bytes begin in the job's file."""
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


class Store:
    """The queue in a database; used by one thread at a time."""

    def __init__(self, database: Database, max_bytes: int) -> None:
        """`max_bytes`: of photos and results, those that are to come with what is reserved."""
        self._database = database
        self._max_bytes = max_bytes

    def known(self, owner: str, key: str, digest: str) -> str | None:
        """The job that was accepted with this idempotency key, None where none was.

        Raises:
            IdempotencyKeyReused: something else was asked for with it.
        """
        found = self._database.read(
            "SELECT id, digest FROM job WHERE owner = ? AND key = ?", (owner, key)
        )
        if not found:
            return None
        if found[0]["digest"] != digest:
            raise IdempotencyKeyReused(
                "This Idempotency-Key came with another request before. Take a new one for each job"
            )
        return str(found[0]["id"])

    def check_room(self, size: int) -> None:
        """Raise JobsFull where there is no room for so many bytes more."""
        (row,) = self._database.read("SELECT coalesce(sum(held), 0) AS held FROM job")
        if row["held"] + size > self._max_bytes:
            raise JobsFull(
                f"Jobs hold {row['held'] / 2**20:,.0f} MiB of {self._max_bytes / 2**20:,.0f}, and"
                f" this one may take {max(1, size / 2**20):,.0f}. Come again when"
                " results have expired."
            )

    def accept(self, new: NewJob, now: float) -> str:
        """Have a job for good, or the one that its key stands for; its id.

        Raises:
            IdempotencyKeyReused: as `known`.
            JobsFull: as `check_room`.
        """
        inputs = max((photo.start + photo.size for photo in new.photos), default=0)
        held = inputs + sum(photo.reserved for photo in new.photos)
        with self._database.transaction() as run:
            # Another request with the key may have come while this one was read.
            if new.key and (other := self.known(new.owner, new.key, new.digest)):
                return other
            self.check_room(held)
            run(
                "INSERT INTO job (id, owner, key, digest, options, manifest, callback, created,"
                " turn, photos, pixels_left, inputs, held) VALUES (?, ?, ?, ?, ?, ?, ?, ?,"
                " (SELECT coalesce(max(turn), 0) + 1 FROM job), ?, ?, ?, ?)",
                (
                    *(new.id, new.owner, new.key, new.digest, new.options, new.manifest),
                    *(new.callback, now, len(new.photos)),
                    *(sum(photo.pixels for photo in new.photos), inputs, held),
                ),
            )
            for n, photo in enumerate(new.photos):
                run(
                    "INSERT INTO photo (job, n, name, stem, start, size, pixels, reserved, source,"
                    " target) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(new.id, n, photo.name, photo.stem, photo.start, photo.size),
                        *(photo.pixels, photo.reserved, photo.source, photo.target),
                    ),
                )
        return new.id

    def beat(self, worker: str, until: float) -> set[tuple[str, int, int]]:
        """Let a worker hold its photos until then; those that it does hold, with their attempts."""
        with self._database.transaction() as run:
            run(_HEARD_OF, (worker, until))
            run("DELETE FROM worker WHERE until < ?", (until - 3600,))
            held = run(
                "SELECT job, n, attempt FROM photo WHERE state = 'working' AND worker = ?",
                (worker,),
            )
            return {(row["job"], row["n"], row["attempt"]) for row in held.fetchall()}

    def leave(self, worker: str) -> None:
        """Forget a worker, which has given back what it held."""
        with self._database.transaction() as run:
            run("DELETE FROM worker WHERE id = ?", (worker,))

    def claim(self, worker: str, most: int, now: float, until: float) -> list[Claim]:
        """Up to so many photos for a worker to hold until then: jobs take turns, a photo each.

        What a worker held that is not heard of any more waits again. A photo that a process ended
        with is a suspect: a worker has one of those at a time, so that it takes no others with it.
        """
        (look,) = self._database.read(
            "SELECT EXISTS (SELECT 1 FROM photo WHERE state = 'waiting' AND due <= ?) OR EXISTS"
            " (SELECT 1 FROM photo WHERE state = 'working' AND worker NOT IN"
            " (SELECT id FROM worker WHERE until > ?)) AS found",
            (now, now),
        )
        if not look["found"]:
            return []  # without a write, which would wait for the disk
        claims: list[Claim] = []
        with self._database.transaction() as run:
            run(_HEARD_OF, (worker, until))
            run(
                "UPDATE photo SET state = 'waiting', worker = NULL, faults = faults + 1"
                " WHERE state = 'working' AND worker NOT IN"
                " (SELECT id FROM worker WHERE until > ?)",
                (now,),
            )
            held = "SELECT 1 FROM photo WHERE state = 'working' AND worker = ? AND faults > 0"
            suspect = run(held, (worker,)).fetchone() is not None
            while len(claims) < most:
                row = _next(run, now, 0 if suspect else MOST_FAULTS)
                if row is None:
                    break
                suspect |= row["faults"] > 0
                run(
                    "UPDATE photo SET state = 'working', worker = ?, attempt = attempt + 1"
                    " WHERE job = ? AND n = ?",
                    (worker, row["job"], row["n"]),
                )
                run(
                    "UPDATE job SET started = coalesce(started, ?),"
                    " turn = (SELECT max(turn) + 1 FROM job) WHERE id = ?",
                    (now, row["job"]),
                )
                told = {name: row[name] for name in Claim.__dataclass_fields__}
                claims.append(Claim(**{**told, "attempt": row["attempt"] + 1}))
        return claims

    def release(self, claim: Claim, worker: str, due: float, *, fault: bool = False) -> None:
        """Give a photo back, to be taken again from then on; `fault`: it was perhaps to blame."""
        with self._database.transaction() as run:
            run(
                "UPDATE photo SET state = 'waiting', worker = NULL, due = ?, faults = faults + ?"
                " WHERE job = ? AND n = ? AND attempt = ? AND worker = ? AND state = 'working'",
                (due, int(fault), claim.job, claim.n, claim.attempt, worker),
            )

    def settle(
        self, claim: Claim, worker: str, now: float, told: str, *, fine: bool, size: int, crc: int
    ) -> Became:
        """Say what became of a photo.

        Args:
            claim: the photo.
            worker: that held it.
            now: the time.
            told: its entry in the manifest, as JSON.
            fine: whether there is a result.
            size: bytes of the result that are on disk here.
            crc: of those.

        Returns:
            lost: the worker does not hold it any more, and nothing has changed; ended: it was the
            last one of its job.
        """
        with self._database.transaction() as run:
            changed = run(
                "UPDATE photo SET state = ?, worker = NULL, told = ?, bytes = ?, crc = ?,"
                " number = (SELECT done + failed + 1 FROM job WHERE id = ?)"
                " WHERE job = ? AND n = ? AND attempt = ? AND worker = ? AND state = 'working'",
                (
                    *("done" if fine else "failed", told, size, crc, claim.job),
                    *(claim.job, claim.n, claim.attempt, worker),
                ),
            )
            if changed.rowcount != 1:
                return "lost"
            run(
                "UPDATE job SET done = done + ?, failed = failed + ?,"
                " pixels_left = pixels_left - ?,"
                " held = held + ? - (SELECT reserved FROM photo WHERE job = ? AND n = ?)"
                " WHERE id = ?",
                (int(fine), int(not fine), claim.pixels, size, claim.job, claim.n, claim.job),
            )
            ended = run(
                "UPDATE job SET ended = ?, held = held - inputs,"
                " notify_at = CASE WHEN callback IS NULL THEN NULL ELSE ? END"
                " WHERE id = ? AND ended IS NULL AND done + failed = photos",
                (now, now, claim.job),
            )
            return "ended" if ended.rowcount else "settled"

    def cancel(self, job: str, now: float) -> None:
        """Have no more of a job done; what is done stays, and so does one that has ended."""
        with self._database.transaction() as run:
            run(
                "UPDATE photo SET state = 'cancelled', worker = NULL"
                " WHERE job = ? AND state IN ('waiting', 'working')",
                (job,),
            )
            run(
                "UPDATE job SET cancelled = 1, ended = ?, pixels_left = 0,"
                " held = (SELECT sum(bytes) FROM photo WHERE job = ?),"
                " notify_at = CASE WHEN callback IS NULL THEN NULL ELSE ? END"
                " WHERE id = ? AND ended IS NULL",
                (now, job, now, job),
            )


def _next(run: Run, now: float, faults: int) -> Row | None:
    """The first photo that waits of the job whose turn it is, of those with so few faults."""
    jobs = run("SELECT id, owner, options FROM job WHERE ended IS NULL ORDER BY turn").fetchall()
    for job in jobs:
        row: Row | None = run(
            "SELECT * FROM photo WHERE state = 'waiting' AND job = ? AND due <= ? AND faults <= ?"
            " ORDER BY n LIMIT 1",
            (job["id"], now, faults),
        ).fetchone()
        if row is not None:
            return {**row, "owner": job["owner"], "options": job["options"]}
    return None
