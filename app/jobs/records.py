"""What is known of jobs: how far they are, what became of each photo, what has expired."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .database import Database, Row

_JOBS = "SELECT job.*, (SELECT count(*) FROM look WHERE look.job = job.id) AS looks FROM job"


@dataclass(frozen=True)
class Standing:
    """Where a job stands."""

    row: Row
    """Of the table of jobs."""
    before: int
    """Jobs that came before it and have not ended."""
    ahead: int
    """Photos of others that are done before its last one, as jobs take turns."""
    ahead_pixels: float
    workers: int
    """That are heard of."""


@dataclass(frozen=True)
class Progress:
    """What is new of a job."""

    standing: Standing
    settled: Sequence[Row]
    """Photos, in the order in which it became known what became of them."""


@dataclass(frozen=True)
class Notice:
    """A callback that is due."""

    job: str
    owner: str
    callback: str
    notices: int
    """Those that were tried before."""


class Records:
    """What the database says; used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, job: str, owner: str, now: float) -> Standing | None:
        """Where that owner's job stands; None where there is none."""
        rows = self._database.read(f"{_JOBS} WHERE id = ? AND owner = ?", (job, owner))  # nosec B608
        found = self._standings(rows, now)
        return found[0] if found else None

    def watched(self, jobs: Mapping[str, int], now: float) -> dict[str, Progress]:
        """Where jobs stand of those that there are, by id, and the photos that are settled from a
        number on, which is told for each."""
        marks = ", ".join("?" * len(jobs))
        rows = self._database.read(f"{_JOBS} WHERE id IN ({marks})", tuple(jobs))  # nosec B608
        found = {}
        for standing in self._standings(rows, now):
            job, settled = standing.row["id"], standing.row["done"] + standing.row["failed"]
            after = jobs[job]
            found[job] = Progress(standing, self.settled(job, after) if settled > after else ())
        return found

    def of(self, owner: str, most: int, now: float) -> list[Standing]:
        """Where an owner's jobs stand, the latest first."""
        rows = self._database.read(
            f"{_JOBS} WHERE owner = ? ORDER BY created DESC LIMIT ?",  # nosec B608
            (owner, most),
        )
        return self._standings(rows, now)

    def _standings(self, rows: Sequence[Row], now: float) -> list[Standing]:
        """Where jobs stand, whose rows are given: in two queries, however many."""
        if not rows:
            return []
        read = self._database.read
        (workers,) = read("SELECT count(*) AS number FROM worker WHERE until > ?", (now,))
        queue: Sequence[Row] = ()
        if any(row["ended"] is None for row in rows):
            queue = read(
                "SELECT id, created, photos, done, failed, pixels_left FROM job WHERE ended IS NULL"
            )
        ahead_of = _Queue(queue)
        return [Standing(row, *ahead_of(row), workers["number"]) for row in rows]

    def others_wait(self, jobs: Sequence[str], now: float) -> bool:
        """Whether photos of other jobs than these could be worked on."""
        none = " AND job <> ?" * len(jobs)
        (row,) = self._database.read(
            "SELECT EXISTS (SELECT 1 FROM photo"
            f" WHERE state = 'waiting' AND due <= ?{none}) AS found",  # nosec B608
            (now, *jobs),
        )
        return bool(row["found"])

    def photo(self, job: str, n: int) -> Row | None:
        """A photo of a job, None where it has none of that number."""
        found = self._database.read("SELECT * FROM photo WHERE job = ? AND n = ?", (job, n))
        return found[0] if found else None

    def photos(self, job: str) -> Sequence[Row]:
        """A job's photos in their order."""
        return self._database.read("SELECT * FROM photo WHERE job = ? ORDER BY n", (job,))

    def settled(self, job: str, after: int) -> Sequence[Row]:
        """The photos of which it is known what became of them, in the order of that, from a number
        on."""
        return self._database.read(
            "SELECT * FROM photo WHERE job = ? AND number > ? ORDER BY number", (job, after)
        )

    def manifest(self, job: str) -> str:
        """A job's manifest without its photos, as JSON."""
        (row,) = self._database.read("SELECT manifest FROM job WHERE id = ?", (job,))
        return str(row["manifest"])

    def load(self) -> tuple[int, int]:
        """Photos that are not done, and bytes on disk, with what is reserved."""
        (row,) = self._database.read(
            "SELECT coalesce(sum(CASE WHEN ended IS NULL THEN photos - done - failed END), 0)"
            " AS waiting, coalesce(sum(held), 0) AS held FROM job"
        )
        return int(row["waiting"]), int(row["held"])

    def forget(self, before: float) -> list[str]:
        """Forget the jobs that ended before then; their ids."""
        with self._database.transaction() as run:
            return [
                row["id"]
                for row in run("DELETE FROM job WHERE ended < ? RETURNING id", (before,)).fetchall()
            ]

    def has(self, job: str) -> bool:
        """Whether there is a job, also one whose acceptance was under way until now."""
        with self._database.transaction() as run:
            return run("SELECT 1 FROM job WHERE id = ?", (job,)).fetchone() is not None

    def ids(self) -> tuple[set[str], set[str]]:
        """Of all jobs, and of those that have ended."""
        rows = self._database.read("SELECT id, ended FROM job")
        return {row["id"] for row in rows}, {row["id"] for row in rows if row["ended"]}

    def due(self, now: float, until: float, but: Sequence[str] = ()) -> Notice | None:
        """A callback that is due; nobody else gets it until then. None whose address begins with
        one of `but`."""
        other = " AND substr(callback, 1, ?) <> ?" * len(but)
        # What is due in more than a day was put down by a clock that was set back since.
        is_due = "NOT (notify_at > ? AND notify_at < ? + 86400)"
        wanted = f"{is_due}{other} ORDER BY notify_at LIMIT 1"
        values = now, now, *(value for each in but for value in (len(each), each))
        if not self._database.read(f"SELECT 1 FROM job WHERE {wanted}", values):  # nosec B608
            return None
        with self._database.transaction() as run:
            row = run(
                "UPDATE job SET notify_at = ?, notices = notices + 1 WHERE id ="
                f" (SELECT id FROM job WHERE {wanted})"  # nosec B608
                " RETURNING id, owner, callback, notices",
                (until, *values),
            ).fetchone()
        return row and Notice(row["id"], row["owner"], row["callback"], row["notices"] - 1)

    def noticed(self, job: str, again_at: float | None) -> None:
        """The callback was heard, or is to be tried again then."""
        with self._database.transaction() as run:
            run("UPDATE job SET notify_at = ? WHERE id = ?", (again_at, job))


def _left(row: Row) -> int:
    return int(row["photos"] - row["done"] - row["failed"])


class _Queue:
    """The jobs that have not ended, sorted and summed up once for all that are asked about."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {row["id"]: row for row in rows}
        self._created = sorted(row["created"] for row in rows)
        by = sorted((_left(row), row["pixels_left"]) for row in rows if _left(row))
        self._lefts = [left for left, _ in by]
        # Of the first 0, 1, 2… of these: photos, pixels, and pixels of a photo of each.
        self._photos = list(accumulate(self._lefts, initial=0))
        self._pixels = list(accumulate((pixels for _, pixels in by), initial=0))
        self._each = list(accumulate((pixels / left for left, pixels in by), initial=0.0))

    def __call__(self, row: Row) -> tuple[int, int, float]:
        """`before`, `ahead` and `ahead_pixels` of a job."""
        if row["ended"] is not None:
            return 0, 0, 0.0
        own = _left(row)
        shorter = bisect_right(self._lefts, own)
        ahead = self._photos[shorter] + own * (len(self._lefts) - shorter)
        pixels = self._pixels[shorter] + own * (self._each[-1] - self._each[shorter])
        # Itself it does not wait for; it may have gone on since its row was read.
        if (self_now := self._rows.get(row["id"])) and (left := _left(self_now)):
            ahead -= min(left, own)
            pixels -= self_now["pixels_left"] * min(left, own) / left
        return bisect_left(self._created, row["created"]), ahead, max(pixels, 0.0)
