"""What the jobs of a process are opened from as it starts, and what ends the start."""

import errno
from pathlib import Path

from pydantic import SecretStr

from .database import Database, DatabaseAway, DatabaseFault, Sqlite
from .files import Files

_PASSING = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.ENOTCONN,
)
"""Of a disk that is full or away. One that is read-only stays so: most often by a setting."""


class JobsUnusable(RuntimeError):  # noqa: N818 - reads as a fact
    """A setting of jobs cannot be used: the folder, or an address."""


class JobsAbsent(JobsUnusable):
    """The database or the disk cannot be used now; a later start may come to more."""


def opened(folder: Path, address: SecretStr | None) -> tuple[Files, Database]:
    """Photos and results, and the queue, which is made where there is none.

    Args:
        folder: for the files, and for the queue where it has no address.
        address: of a PostgreSQL server.

    Raises:
        JobsUnusable: they cannot be opened; it names the setting to look at.
        JobsAbsent: the same, and it may pass.
    """
    try:
        files = Files(folder)
        database = _database(address, folder)
        own = files.belong_to(database.name)
        if own is not None and not database.keeps_to(own):
            raise OSError(
                f"the queue in {database.name} has its photos and results in another"
                " folder. Processes that share a queue share its folder. If that folder is no"
                " more, set `folder` in the database's table `queue` to NULL"
            )
    except (OSError, DatabaseFault) as error:
        passes = isinstance(error, DatabaseAway) or getattr(error, "errno", None) in _PASSING
        kind = JobsAbsent if passes else JobsUnusable
        if address is None or isinstance(error, OSError):
            raise kind(f"CHROMASERVE_JOBS: {folder} cannot be used: {error}") from error
        what = "no database there: " if passes else ""
        raise kind(f"CHROMASERVE_JOBS_DATABASE: {what}{error}") from error
    return files, database


def _database(address: SecretStr | None, folder: Path) -> Database:
    if address is None:
        return Sqlite(folder / "jobs.sqlite3")
    try:
        from .postgresql import Postgresql
    except ImportError as error:
        raise DatabaseFault("psycopg is missing: pip install 'chromaserve[postgresql]'") from error
    return Postgresql(address.get_secret_value())
