"""Several workers on one port: started, watched, replaced where they die, and ended.

Written here: uvicorn's supervisor cannot tell its workers apart, whom cores and GPUs are divided
among; replaces at once, for ever, what cannot start; and when it is killed its workers stay.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from chromaserve.command_line.exits import Exit
from chromaserve.engines.choose import visible_gpus

from .settings import Settings
from .worker import Said, Worker, state_file

log = logging.getLogger("chromaserve")

_SILENCE = 60
"""Seconds without a beat from which a worker is taken to hang."""
_START = 600
"""Seconds that it has until the first one: a slow machine, a large model on a network's disk."""
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_GRACE_S = 5.0


@dataclass
class _Running:
    """A worker's process."""

    number: int
    process: SpawnProcess
    line: Connection
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    serves: int | None = None
    was_ready: bool = False
    silence: int = _SILENCE - _START
    """In seconds of the supervisor's own: a machine that slept has silenced nobody."""


@dataclass
class _Reload:
    """One that a worker asked for."""

    asked_by: _Running
    left: set[int]
    """Numbers of those that have not done it yet."""


def supervise(settings: Settings, sockets: Sequence[socket.socket]) -> int:
    """Serve by `settings.workers` processes until SIGTERM, SIGINT or SIGHUP; the exit status."""
    try:
        tempfile.gettempdir()
    except OSError as error:
        print(f"chromaserve: several workers share a folder: {error.strerror}", file=sys.stderr)
        return Exit.USAGE
    with tempfile.TemporaryDirectory(prefix="chromaserve-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(_Supervisor(settings, sockets, Path(folder)).run())


class _Supervisor:
    def __init__(self, settings: Settings, sockets: Sequence[socket.socket], folder: Path) -> None:
        self._settings = settings
        self._sockets = sockets
        self._folder = folder
        self._gpus = _gpus(settings)
        self._running: dict[int, _Running] = {}
        self._version: int | None = None
        """That is served."""
        self._first_ready = asyncio.Event()
        self._ending = asyncio.Event()
        self._reloads: list[_Reload] = []
        self._status = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, self._on_signal, signal.SIGHUP)
        numbers = range(1, self._settings.workers + 1)
        keeping = [asyncio.create_task(self._keep(number)) for number in numbers]
        watching = asyncio.create_task(self._watch())
        await self._ending.wait()
        for each in self._sockets:
            each.close()
        ended = asyncio.gather(*keeping)
        await asyncio.wait([ended], timeout=self._settings.shutdown_timeout_s + _GRACE_S)
        for worker in self._running.values():
            log.critical("worker %d did not end, and is killed", worker.number)
            self._status = 1
            worker.process.kill()
        await ended
        watching.cancel()
        return self._status

    async def _keep(self, number: int) -> None:
        """Have a worker of this number, again and again, until the end.

        The first one answers from the start, that it is not ready; the others begin when it is,
        and whoever comes later takes no connection before it can colorize.
        """
        pause_s = 0.0
        if number > 1:
            await self._until(self._first_ready, None)
        while not self._ending.is_set():
            longer_s = max(_PAUSE_S, min(2 * pause_s, _LONGEST_PAUSE_S))
            try:
                worker = self._start(number)
            except OSError as error:
                log.error("worker %d cannot be started: %s", number, error)
                pause_s = longer_s
                await self._until(self._ending, pause_s)
                continue
            await worker.ended.wait()
            status = worker.process.exitcode or 0
            self._gone(worker)
            if self._ending.is_set():
                self._status = max(self._status, status)  # by a signal: before it could be heard
                return
            if not self._first_ready.is_set():
                self._status = status if status > 0 else 1
                self._end()
                return
            pause_s = _PAUSE_S if worker.was_ready else longer_s
            log.error("worker %d %s; another takes its place", number, _how(status))
            await self._until(self._ending, pause_s)

    def _start(self, number: int) -> _Running:
        self._folder.mkdir(mode=0o700, exist_ok=True)  # somebody has tidied up
        ours, theirs = multiprocessing.Pipe()
        waits = any(each.serves for each in self._running.values())
        of = self._settings.workers
        about = Worker(number, self._folder, of, theirs, self._version, waits)
        gpus = gpus_of(number, of, self._gpus)
        # Not a copy of this process: threads and CUDA do not outlive fork.
        process = multiprocessing.get_context("spawn").Process(
            target=work,
            args=(self._settings.for_worker(number), list(self._sockets), about, gpus),
            name=f"chromaserve-{number}",
            daemon=True,
        )
        process.start()
        theirs.close()
        worker = self._running[number] = _Running(number, process, ours)
        loop = asyncio.get_running_loop()
        loop.add_reader(process.sentinel, self._on_end, worker)
        loop.add_reader(ours.fileno(), self._hear, worker)
        return worker

    def _on_end(self, worker: _Running) -> None:
        asyncio.get_running_loop().remove_reader(worker.process.sentinel)
        worker.process.join()
        worker.ended.set()

    def _gone(self, worker: _Running) -> None:
        del self._running[worker.number]
        asyncio.get_running_loop().remove_reader(worker.line.fileno())
        worker.line.close()
        state_file(self._folder, worker.number).unlink(missing_ok=True)
        self._reloads = [each for each in self._reloads if each.asked_by is not worker]
        for each in self._reloads:  # who takes its place begins with what is served
            each.left.discard(worker.number)
        self._answer_reloads()

    def _hear(self, worker: _Running) -> None:
        try:
            while worker.line.poll():
                self._take(worker, worker.line.recv())
        except (EOFError, OSError):  # it ends, of which its sentinel tells
            asyncio.get_running_loop().remove_reader(worker.line.fileno())

    def _take(self, worker: _Running, said: Said) -> None:
        worker.silence = 0
        if said == "reload":
            others = [each for each in self._running.values() if each is not worker]
            self._reloads.append(_Reload(worker, {each.number for each in others}))
            for each in others:
                _tell(each, "reload")
            self._answer_reloads()
        elif said == "reloaded":
            waiting = (reload for reload in self._reloads if worker.number in reload.left)
            if first := next(waiting, None):
                first.left.remove(worker.number)
            self._answer_reloads()
        else:
            _, serves = said
            if serves is not None and serves != worker.serves:
                worker.was_ready = True
                self._version = serves
                self._first_ready.set()
            worker.serves = serves

    def _answer_reloads(self) -> None:
        while self._reloads and not self._reloads[0].left:
            _tell(self._reloads.pop(0).asked_by, "reloaded")

    async def _watch(self) -> None:
        """Once a second: kill who hangs, and end who has not heard that all end."""
        while True:
            await asyncio.sleep(1)
            for worker in list(self._running.values()):
                if self._ending.is_set():
                    _signal(worker, signal.SIGTERM)
                    continue
                worker.silence += 1
                if worker.silence > _SILENCE:
                    log.error("worker %d hangs, and is killed", worker.number)
                    worker.process.kill()

    def _on_signal(self, number: int) -> None:
        if self._ending.is_set() and number == signal.SIGINT:  # at once, then
            for worker in self._running.values():
                _signal(worker, signal.SIGINT)
        self._end()

    def _end(self) -> None:
        self._ending.set()
        self._first_ready.set()
        for worker in self._running.values():
            _signal(worker, signal.SIGTERM)

    async def _until(self, event: asyncio.Event, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


def work(settings: Settings, sockets: list[socket.socket], worker: Worker, gpus: str) -> None:
    """Be a worker: the process's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    from .process import serve

    raise SystemExit(serve(settings, sockets, worker))


def gpus_of(number: int, workers: int, gpus: list[str]) -> str:
    """A worker's GPUs, as CUDA_VISIBLE_DEVICES has them: its part, or one that others have too.

    Args:
        number: of the worker, from 1.
        workers: how many there are.
        gpus: of the machine; with none the answer is empty.
    """
    own = gpus[number - 1 :: workers] or gpus[(number - 1) % max(1, len(gpus)) :][:1]
    return ",".join(own)


def _gpus(settings: Settings) -> list[str]:
    """Names, for CUDA, of the GPUs that are divided; none where a CPU serves."""
    if settings.device == "cpu" or settings.engine == "ncnn":
        return []
    return visible_gpus()


def _tell(worker: _Running, what: str) -> None:
    with suppress(OSError):  # it is gone, which its sentinel tells
        worker.line.send(what)


def _signal(worker: _Running, number: int) -> None:
    if worker.process.pid and worker.process.is_alive():
        with suppress(ProcessLookupError):
            os.kill(worker.process.pid, number)


def _how(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
