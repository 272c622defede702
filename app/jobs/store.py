"""The queue: what is accepted, who works on it, what became of it; each call is one transaction.

A photo is `waiting`, `working`, and then `done`, `failed` or `cancelled` for ever. Who works on one
holds it as long as its worker is heard of; what it makes counts only while it still holds it.
"""

from collections.abc import Collection
from typing import Literal

from ..errors import IdempotencyKeyReused, JobsFull
from .database import Database, Row, Run
from .queued import Claim, Held, NewJob

Became = Literal["lost", "settled", "ended"]
MOST_FAULTS = 3
"""Attempts at a photo that may end with the process, or with an error of the model."""

# What is to happen in more than 120 s was put down by a clock that was set back since.
_ALIVE = "SELECT id FROM worker WHERE until > ? AND until < ? + 120"
_DUE = "NOT (due > ? AND due < ? + 120)"
_HEARD_OF = (
    "INSERT INTO worker (id, until) VALUES (?, ?)"
    " ON CONFLICT (id) DO UPDATE SET until = excluded.until"
)


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
                "This Idempotency-Key came with another request before. Take a new one for each"
                " job."
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
        inputs += new.album_bytes
        looks = [*range(len(new.photos)), -1] if new.album_bytes else []
        pixels = sum(photo.pixels for photo in new.photos)
        held = inputs + sum(photo.reserved for photo in new.photos)
        with self._database.transaction() as run:
            # Another request with the key may have come while this one was read.
            if new.key and (other := self.known(new.owner, new.key, new.digest)):
                return other
            self.check_room(held)
            run(
                "INSERT INTO job (id, owner, key, digest, options, manifest, callback, created,"
                " turn, photos, pixels_left, inputs, held) VALUES (?, ?, ?, ?, ?, ?, ?, ?,"
                " (SELECT coalesce(max(turn), 0) + 1 FROM job WHERE ended IS NULL), ?, ?, ?, ?)",
                (
                    *(new.id, new.owner, new.key, new.digest, new.options, new.manifest),
                    *(new.callback, now, len(new.photos)),
                    *((2 if looks else 1) * pixels, inputs, held),
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
            for n in looks:
                run("INSERT INTO look (job, n) VALUES (?, ?)", (new.id, n))
        return new.id

    def beat(self, worker: str, until: float) -> set[Held]:
        """Let a worker hold its photos until then; those that it does hold, with their attempts."""
        with self._database.transaction() as run:
            run(_HEARD_OF, (worker, until))
            run("DELETE FROM worker WHERE until < ?", (until - 3600,))
            return _held(run, worker)

    def leave(self, worker: str) -> None:
        """Forget a worker, which has given back what it held."""
        with self._database.transaction() as run:
            run("DELETE FROM worker WHERE id = ?", (worker,))

    def claim(
        self, worker: str, most: int, now: float, until: float, mine: Collection[Held]
    ) -> list[Claim]:
        """Up to so many photos for a worker to hold until then: jobs take turns, a photo each.

        What a worker held that is not heard of any more waits again, and so does what this one
        holds that is not among `mine`, those that it works on: it was not told that it got them, or
        could not tell what became of them. A photo that a process ended with is a suspect: a worker
        has one of those at a time, so that it takes no others with it.
        """
        (look,) = self._database.read(
            f"SELECT EXISTS (SELECT 1 FROM photo WHERE state = 'waiting' AND {_DUE}) OR EXISTS"  # nosec B608
            f" (SELECT 1 FROM photo WHERE state = 'working' AND worker NOT IN ({_ALIVE})) OR"
            " (SELECT count(*) FROM photo WHERE state = 'working' AND worker = ?) > ? AS found",
            (now, now, now, now, worker, len(mine)),
        )
        if not look["found"]:
            return []  # without a write, which would wait for the disk
        claims: list[Claim] = []
        with self._database.transaction() as run:
            run(_HEARD_OF, (worker, until))
            for held in _held(run, worker) - set(mine):
                run(
                    "UPDATE photo SET state = 'waiting', worker = NULL"
                    " WHERE job = ? AND n = ? AND attempt = ?",
                    held,
                )
            run(
                "UPDATE photo SET state = 'waiting', worker = NULL, faults = faults + 1"
                f" WHERE state = 'working' AND worker NOT IN ({_ALIVE})",  # nosec B608
                (now, now),
            )
            bad = "SELECT 1 FROM photo WHERE state = 'working' AND worker = ? AND faults > 0"
            suspect = run(bad, (worker,)).fetchone() is not None
            while len(claims) < most:
                row = _next(run, now, suspect=suspect)
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
                    " turn = (SELECT max(turn) + 1 FROM job WHERE ended IS NULL) WHERE id = ?",
                    (now, row["job"]),
                )
                told = {name: row[name] for name in Claim.__dataclass_fields__}
                claims.append(Claim(**{**told, "attempt": row["attempt"] + 1}))
        return claims

    def release(
        self, claim: Claim, worker: str, due: float, *, faults: int = 0, tries: int = 0
    ) -> None:
        """Give a photo back, to be taken again from then on, with so many faults and tries more."""
        with self._database.transaction() as run:
            run(
                "UPDATE photo SET state = 'waiting', worker = NULL, due = ?, faults = faults + ?,"
                " tries = tries + ?"
                " WHERE job = ? AND n = ? AND attempt = ? AND worker = ? AND state = 'working'",
                (due, faults, tries, *claim.held, worker),
            )

    def seen(self, claim: Claim, worker: str) -> None:
        """A photo of an album was looked at, which clears it of suspicion, and waits for others."""
        with self._database.transaction() as run:
            changed = run(
                "UPDATE photo SET state = 'waiting', worker = NULL, faults = 0"
                " WHERE job = ? AND n = ? AND attempt = ? AND worker = ? AND state = 'working'",
                (*claim.held, worker),
            )
            if changed.rowcount:
                _looked(run, claim)

    def agreed(self, job: str) -> None:
        """An album's photos were made to agree, and can be coloured."""
        with self._database.transaction() as run:
            run("DELETE FROM look WHERE job = ? AND n = -1", (job,))

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
                ("done" if fine else "failed", told, size, crc, claim.job, *claim.held, worker),
            )
            if changed.rowcount != 1:
                return "lost"
            _looked(run, claim)
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
            run("DELETE FROM look WHERE job = ?", (job,))


def _held(run: Run, worker: str) -> set[Held]:
    """What a worker holds."""
    rows = run(
        "SELECT job, n, attempt FROM photo WHERE state = 'working' AND worker = ?", (worker,)
    )
    return {(row["job"], row["n"], row["attempt"]) for row in rows.fetchall()}


def _looked(run: Run, claim: Claim) -> None:
    """Nobody has to look at a photo of an album any more, if it is one."""
    gone = run("DELETE FROM look WHERE job = ? AND n = ?", (claim.job, claim.n))
    if gone.rowcount:
        run("UPDATE job SET pixels_left = pixels_left - ? WHERE id = ?", (claim.pixels, claim.job))


def _next(run: Run, now: float, *, suspect: bool) -> Row | None:
    """The first photo that waits of the job whose turn it is; no other suspect beside one."""
    waits = f"state = 'waiting' AND {_DUE}{' AND faults = 0' if suspect else ''}"
    turn = 0  # no two jobs that have not ended have the same one
    while job := run(
        "SELECT id, owner, options, turn,"
        " (SELECT max(n) FROM look WHERE look.job = job.id) AS looks"
        " FROM job WHERE ended IS NULL AND turn > ? AND EXISTS"
        f" (SELECT 1 FROM photo WHERE photo.job = job.id AND {waits}) ORDER BY turn LIMIT 1",  # nosec B608
        (turn, now, now),
    ).fetchone():
        turn, step, which = job["turn"], "colour", ""
        if job["looks"] is not None and job["looks"] >= 0:
            step, which = "look", " AND n IN (SELECT n FROM look WHERE look.job = photo.job)"
        elif job["looks"] is not None:  # by one worker, for all
            step = "agree"
            which = (
                " AND NOT EXISTS (SELECT 1 FROM photo AS other"
                " WHERE other.job = photo.job AND other.state = 'working')"
            )
        row: Row | None = run(
            f"SELECT * FROM photo WHERE {waits} AND job = ?{which} ORDER BY n LIMIT 1",  # nosec B608
            (now, now, job["id"]),
        ).fetchone()
        if row is not None:
            first = run("SELECT start FROM photo WHERE job = ? AND n = 0", (job["id"],)).fetchone()
            told = {"owner": job["owner"], "options": job["options"], "step": step}
            return {**row, **told, "reference": first["start"]}
    return None
