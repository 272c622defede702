"""A port that workers share: a connection goes to the one that has fewest, and takes photos.

The system wakes all that wait for a connection, and who comes first would take whatever has come:
of eight at once all eight, while the others are idle. And one whose model is broken would have most
of all, as it refuses at once.
"""

import asyncio
import logging
import mmap
import socket
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger("chromaserve.http")

_SLOT = struct.Struct("dd")
"""Of a worker: its connections, -1 where it takes none, and when it said so."""
_FRESH_S = 1.0
"""What was said longer ago says nothing: the worker hangs, or is gone."""
_AGAIN_S = 0.001
_TROUBLE_S = 1.0
_TRIES = 20
"""So often, and a millisecond each, a connection is left to a worker that has fewer."""
_NO_PHOTOS = 1e9
"""Connections more than any worker has: to one that takes photos they are left for ever."""


def written(file: Path, size: int) -> Path:
    """A file of so many bytes at least, which have their place on the disk.

    Whoever maps one that is only as long as that is ended by SIGBUS where the disk is full.
    """
    with file.open("ab") as end:
        end.write(bytes(max(0, size - end.tell())))
    return file


class Loads:
    """How many connections each worker has, in memory that all of them see."""

    def __init__(self, folder: Path, workers: int) -> None:
        """Open the file, or make it, where nobody takes any yet."""
        with written(folder / "loads", workers * _SLOT.size).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), workers * _SLOT.size)
        self._workers = workers

    def tell(self, number: int, connections: float) -> None:
        """Say how many a worker has."""
        _SLOT.pack_into(self._memory, (number - 1) * _SLOT.size, connections, time.monotonic())

    def fewest(self) -> float:
        """The least that any worker has that takes connections; infinite where none does."""
        now = time.monotonic()
        slots = _SLOT.iter_unpack(self._memory[:])
        told = [count for count, when in slots if count >= 0 and now - when < _FRESH_S]
        return min(told, default=float("inf"))


class Acceptor:
    """Takes a worker's connections, one at a time."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        protocol: Callable[[], asyncio.Protocol],
        connections: Callable[[], int],
        takes_photos: Callable[[], bool],
        loads: Loads,
        number: int,
    ) -> None:
        """Listen from now on.

        Args:
            sockets: that others listen on, too.
            protocol: makes what answers on a connection.
            connections: how many this worker has.
            takes_photos: whether it does now.
            loads: of all workers.
            number: of this one.
        """
        self._sockets = list(sockets)
        self._protocol = protocol
        self._connections = connections
        self._takes_photos = takes_photos
        self._loads = loads
        self._number = number
        self._tries = 0
        self._beginning: set[asyncio.Task[object]] = set()
        self.tell()
        for each in self._sockets:
            each.setblocking(False)
            self._listen(each)

    def tell(self) -> None:
        """Say how many there are; to be called several times a second, whatever comes."""
        self._loads.tell(self._number, self._load())

    def _load(self) -> float:
        load = self._connections() + len(self._beginning)
        return load if self._takes_photos() else load + _NO_PHOTOS

    def close(self) -> None:
        """Take no more."""
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.remove_reader(each)
        self._sockets = []
        self._loads.tell(self._number, -1)

    def _listen(self, listener: socket.socket) -> None:
        if listener in self._sockets:
            asyncio.get_running_loop().add_reader(listener, self._take, listener)

    def _take(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.tell()
        mine, least = self._load(), self._loads.fewest()
        if mine > least and (self._tries < _TRIES or mine >= _NO_PHOTOS > least):
            self._tries += 1
            loop.remove_reader(listener)
            loop.call_later(_AGAIN_S, self._listen, listener)
            return
        self._tries = 0
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionError):  # another was sooner, or the client has left
            return
        except OSError as error:  # no more files, say
            log.error("no connection can be taken: %s", error)
            loop.remove_reader(listener)
            loop.call_later(_TROUBLE_S, self._listen, listener)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        beginning: asyncio.Task[object] = loop.create_task(
            loop.connect_accepted_socket(self._protocol, connection)
        )
        self._beginning.add(beginning)
        beginning.add_done_callback(self._begun)
        self.tell()

    def _begun(self, beginning: "asyncio.Task[object]") -> None:
        self._beginning.discard(beginning)
        if not beginning.cancelled():
            beginning.exception()  # the client has left
        self.tell()
