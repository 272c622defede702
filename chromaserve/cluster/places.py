"""Folders of photos by their URLs, on disk or in an object store: list, read, write whole."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from chromaserve.library.files import identity, is_left_over, part_name

# These put a whole object or none. Elsewhere a file is written beside its place and renamed.
_OBJECT_STORES = frozenset(
    ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "obs", "tos", "memory")
)


@dataclass(frozen=True)
class Place:
    """A folder that every worker sees; an object of it can be sent to them.

    Names within it are relative, with slashes, "" for the folder itself.
    """

    url: str

    @classmethod
    def of(cls, text: str) -> "Place":
        """The place of a path on disk, or of any URL that fsspec knows.

        Raises:
            ValueError: it names no folder but a root; there is no such kind of URL, or what reads
                it is not installed.
        """
        # As it is, spaces too: fsspec takes no "%20" for one.
        url = text if "://" in text else f"file://{Path(text).absolute()}"
        url = url.rstrip("/")
        if "://" not in url:
            raise ValueError(f"{text} is a root, and no folder in it is named")
        try:
            place = cls(url)
            _ = place._fs
        except ImportError as error:
            raise ValueError(f"{text}: {error}") from error
        return place

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        # Listings change while others write: they are never kept.
        fs, root = url_to_fs(self.url, use_listings_cache=False)
        return fs, root.rstrip("/")

    @property
    def _fs(self) -> Any:  # noqa: ANN401 - an fsspec.AbstractFileSystem, which has no types
        return self._opened[0]

    def __reduce__(self) -> tuple[type["Place"], tuple[str]]:
        return Place, (self.url,)  # what reads it is opened anew in each process

    def inside(self, other: "Place") -> bool:
        """Whether it is the other place or lies in it, on a disk by whatever links and names."""
        if type(self._fs) is not type(other._fs):
            return False
        if isinstance(self._fs, LocalFileSystem):
            whole = Path(self._path("") or "/").resolve()
            there = identity(Path(other._path("") or "/"))
            return there is not None and there in map(identity, (whole, *whole.parents))
        return (self._path("") + "/").startswith(other._path("") + "/")

    def list(self, folder: str) -> tuple[list[str], dict[str, int]]:
        """The folders in a folder, and its files with their sizes; each by its own name, sorted.

        A size that is not known is 1. Links to folders are left out, and what is neither file nor
        folder.

        Raises:
            FileNotFoundError: there is no such folder.
            OSError: it cannot be listed.
        """
        folders: list[str] = []
        files: dict[str, int] = {}
        where = self._path(folder)
        with _as_oserror():
            entries = self._fs.ls(where, detail=True)
        for entry in entries:
            path = entry["name"].rstrip("/")
            if path.strip("/") == where.strip("/"):
                if len(entries) == 1 and entry["name"] == path and entry["type"] == "file":
                    raise NotADirectoryError(f"{path} is a file, not a folder")
                continue  # an empty object that stands for the folder
            name = path.rpartition("/")[2]
            linked = entry.get("islink")  # to a folder: it may lead back to where we are
            if entry["type"] == "directory" and not linked:
                folders.append(name)
            elif entry["type"] == "file" or linked:
                size = entry.get("size")
                files[name] = 1 if size is None else int(size)
        return sorted(folders), dict(sorted(files.items()))

    def read(self, name: str, limit: int) -> bytes:
        """A file's bytes, at most `limit` of them.

        Raises:
            OSError: it cannot be read.
        """
        with _as_oserror():
            data: bytes = self._fs.cat_file(self._path(name), start=0, end=limit)
        return data

    def has(self, name: str) -> bool:
        """Whether there is a file of that name with something in it.

        Raises:
            OSError: it cannot be known.
        """
        try:
            with _as_oserror():
                found = self._fs.info(self._path(name))
        except FileNotFoundError:
            return False
        return bool(found["type"] == "file" and found.get("size") != 0)

    def write(self, name: str, data: bytes) -> None:
        """Write a file that is there whole or not at all; one that was there is replaced.

        Its folder must exist (see `make`).

        Raises:
            OSError: it cannot be written.
        """
        path = self._path(name)
        with _as_oserror():
            if self._puts_whole:
                self._fs.pipe_file(path, data)
            else:
                self._write_beside(path, data)

    def _write_beside(self, path: str, data: bytes) -> None:
        if self._fs.isdir(path):
            raise IsADirectoryError(f"{path} is a folder")  # which `mv` would move it into
        hidden = f"{path.rpartition('/')[0]}/{part_name()}"
        try:
            self._fs.pipe_file(hidden, data)
            self._fs.mv(hidden, path)
        except BaseException:
            if self._fs.exists(hidden):
                self._fs.rm_file(hidden)
            raise

    def make(self, folder: str) -> None:
        """Make a folder and those above it, where the store has folders.

        Raises:
            OSError: it cannot be made.
        """
        if not self._puts_whole:
            with _as_oserror():
                self._fs.makedirs(self._path(folder), exist_ok=True)

    def tidy(self, folder: str, files: Iterable[str]) -> None:
        """Remove what writers on this machine have left in a folder when they were killed."""
        for name in filter(is_left_over, files):
            with suppress(OSError):  # another one that lists it was first
                self._fs.rm_file(self._path(f"{folder}/{name}" if folder else name))

    def open(self, name: str) -> Any:  # noqa: ANN401 - a file of fsspec, which has no types
        """A text file in UTF-8 to write to; it may be there only when it is closed.

        What is not UTF-8 in a name becomes an escape, as JSON has it: `\\udce9` for the byte E9.
        """
        path = self._path(name)
        text = {"encoding": "utf-8", "errors": "backslashreplace"}
        return fsspec.core.OpenFile(self._fs, path, "w", **text).open()

    @property
    def _puts_whole(self) -> bool:
        protocol = self._fs.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        return bool(names & _OBJECT_STORES)

    def _path(self, name: str) -> str:
        root = self._opened[1]
        return f"{root}/{name}" if name else root


@contextmanager
def _as_oserror() -> Iterator[None]:
    """Stores raise what their libraries do: a connection that fails, credentials that lack."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
