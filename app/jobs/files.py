"""Photos and results of jobs on disk: whole and synced before anybody is told of them.

A job's photos, and a reference before them, are one file, so that accepting them waits for the
disk once; it goes when the job has ended, and so does what was seen of an album's photos. Each
result is a file, named by the photo and the attempt at it.
"""

import os
import secrets
import shutil
import time
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

_QUEUE = "queue"
"""The link that says whose the folder is: made in one step, and by one service alone."""
_OWN = "own"
"""The link that tells it from other folders."""
_ORPHAN_S = 3600.0
"""What belongs to no job and is younger may be of one that is just being accepted."""


class Files:
    """The files of all jobs, in a folder that several processes may share."""

    def __init__(self, folder: Path) -> None:
        """Make the folders, which only this user may read.

        Raises:
            OSError: they cannot be made.
        """
        self._photos, self._results = folder / "photos", folder / "results"
        self._albums = folder / "albums"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for each in (self._photos, self._results, self._albums):
            each.mkdir(exist_ok=True, mode=0o700)

    def belong_to(self, queue: str) -> str | None:
        """Be that queue's folder from now on: another one would sweep its photos away.

        Returns:
            What it is told from other folders by; None where this disk has no links.

        Raises:
            OSError: it is another queue's.
        """
        note = self._photos.with_name(_QUEUE)
        with suppress(OSError):  # it is there, or this disk has no links
            note.symlink_to(queue)
        if note.is_symlink() and (owner := str(note.readlink())) != queue:
            raise OSError(
                f"the queue in {owner} has its photos and results there, and this one is in"
                f" {queue}. Name a folder of its own. If that queue is no more, remove {note}"
            )
        own = self._photos.with_name(_OWN)
        with suppress(OSError):
            own.symlink_to(secrets.token_hex(8))
        return str(own.readlink()) if own.is_symlink() else None

    def there(self) -> bool:
        """Whether the folder is, which another machine may have."""
        return all(each.is_dir() for each in (self._photos, self._results, self._albums))

    def keep_photos(self, job: str, photos: Sequence[bytes]) -> None:
        """Write a job's photos, one after the other.

        Raises:
            OSError: they cannot be written, and nothing of them is there.
        """
        path = self._photos / job
        try:
            with path.open("xb") as file:
                file.writelines(photos)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self._photos)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def photo(self, job: str, start: int, size: int) -> bytes:
        """One of a job's photos.

        Raises:
            OSError: it cannot be read.
        """
        with (self._photos / job).open("rb") as file:
            file.seek(start)
            return file.read(size)

    def result(self, job: str, n: int, attempt: int) -> Path:
        """Where a result is."""
        return self._results / job / f"{n}.{attempt}"

    def keep_result(self, job: str, n: int, attempt: int, data: bytes) -> int:
        """Write a result; its CRC-32.

        Raises:
            OSError: it cannot be written, and is not there.
        """
        # No other attempt's file is called so, and nobody is told of it before it is whole.
        _write(self.result(job, n, attempt), data)
        return zlib.crc32(data)

    def keep_seen(self, job: str, name: str, attempt: int, data: bytes) -> None:
        """Write what was seen of an album's photo, or of all, by its name.

        Raises:
            OSError: it cannot be written, and is not there.
        """
        path = self._albums / job / f"{name}.{attempt}"
        _write(path, data)
        path.replace(path.with_suffix(""))  # which another attempt may have written, alike
        _sync_folder(path.parent)

    def seen(self, job: str, name: str) -> bytes:
        """What was seen.

        Raises:
            OSError: it cannot be read.
        """
        return (self._albums / job / name).read_bytes()

    def drop_result(self, job: str, n: int, attempt: int) -> None:
        """Remove a result that nobody is going to be told of."""
        with suppress(OSError):
            self.result(job, n, attempt).unlink(missing_ok=True)

    def drop_photos(self, job: str) -> None:
        """Remove a job's photos, which are all done, and what was seen of them."""
        with suppress(OSError):
            (self._photos / job).unlink(missing_ok=True)
        shutil.rmtree(self._albums / job, ignore_errors=True)

    def drop(self, job: str) -> None:
        """Remove all that there is of a job."""
        self.drop_photos(job)
        shutil.rmtree(self._results / job, ignore_errors=True)

    def sweep(self, jobs: Collection[str], ended: Collection[str]) -> None:
        """Remove what is of none of these jobs, and photos of those that have ended."""
        old = time.time() - _ORPHAN_S
        for folder in (self._photos, self._results, self._albums):
            for path in folder.iterdir():
                if path.name in ended and folder is not self._results:
                    self.drop_photos(path.name)
                with suppress(OSError):
                    if path.name not in jobs and path.stat().st_mtime < old:
                        self.drop(path.name)


def _write(path: Path, data: bytes) -> None:
    """Write a file of a job whole, its folder too where that is not there yet."""
    if not path.parent.is_dir():
        path.parent.mkdir(exist_ok=True, mode=0o700)
        _sync_folder(path.parent.parent)
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have a folder's names on disk; systems that cannot do not need it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
