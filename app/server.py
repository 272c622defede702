"""The HTTP server: uvicorn's, which looks after its connections and ends in time."""

import logging
import os
import socket
import threading
import time
from types import FrameType
from typing import cast

import uvicorn

from .http_protocol import Config, Protocol
from .service import Service
from .sharing import Acceptor
from .worker import Worker

log = logging.getLogger("chromaserve.http")

_SWEEP_TICKS = 5  # of uvicorn's tenths of a second
_GRACE_S = 1.0


class Server(uvicorn.Server):
    """uvicorn's server, which looks after its connections and ends in time."""

    def __init__(self, config: Config, service: Service, worker: Worker | None = None) -> None:
        super().__init__(config)
        self._service = service
        self._worker = worker
        self._acceptor: Acceptor | None = None
        self._limit_s = config.settings.shutdown_timeout_s + _GRACE_S

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and listen; on sockets that other workers have, too, in turns with them."""
        if not self._worker:
            await super().startup(sockets)
            return
        await super().startup([])
        self._acceptor = Acceptor(
            sockets or [],
            lambda: Protocol(
                cast(Config, self.config),
                server_state=self.server_state,
                app_state=self.lifespan.state,
            ),
            lambda: len(self.server_state.connections),
            lambda: self._service.takes_photos,
            self._worker.loads,
            self._worker.number,
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end when the others are closed."""
        if self._acceptor:
            self._acceptor.close()
        await super().shutdown(sockets)
        if self.force_exit and (broken := len(self.server_state.tasks)):
            log.error("requests broken off by an end that waits for nothing: %d", broken)

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections; called by uvicorn ten times a second."""
        if self._acceptor:
            self._acceptor.tell()
        if counter % _SWEEP_TICKS == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.sweep(now)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no more requests, and end when those that were accepted are answered.

        What hangs then, a model or a decoder, does not keep the process.
        """
        if not self._service.draining:
            self._service.draining = True
            threading.Thread(target=self._end, name="end", daemon=True).start()
        super().handle_exit(sig, frame)

    def _end(self) -> None:
        time.sleep(self._limit_s)
        log.critical("not done within %g s: ending all the same", self._limit_s)
        logging.shutdown()
        os._exit(1)
