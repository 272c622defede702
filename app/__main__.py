"""`python -m app`: run the service with the settings of the environment."""

import errno
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from pydantic import ValidationError

from chromaserve.command_line.exits import Exit
from chromaserve.settings import MIB, MODEL_MB, container_memory

from .settings import Settings

log = logging.getLogger("chromaserve")

_BACKLOG = 2048
"""Connections that the system takes before the service does; uvicorn's own number."""
_LAST_PORT = 65535


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 unless the service could not run."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "".join(f"CHROMASERVE_{part}".upper() for part in fault["loc"][:1])
            print(f"chromaserve: {name or 'settings'}: {fault['msg']}", file=sys.stderr)
        return Exit.USAGE
    try:
        sockets = _listen(settings.host, settings.port)
    except OSError as error:
        print(f"chromaserve: {_unheard(error, settings)}", file=sys.stderr)
        return Exit.NO_PORT
    import cv2

    from .auth import KeyFileError
    from .jobs.jobs import JobsUnusable
    from .logs import configure_logging
    from .main import create_app
    from .server import Config, Server
    from .tracing import NoOpenTelemetry, asked_for

    configure_logging(settings, traces=asked_for(settings))
    _warn(settings)
    cv2.setNumThreads(1)  # photos have threads of their own, for which OpenCV's only wake
    try:
        app = create_app(settings)
    except NoOpenTelemetry as error:
        print(f"chromaserve: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyFileError as error:
        print(f"chromaserve: CHROMASERVE_API_KEYS_FILE: {error}", file=sys.stderr)
        return Exit.USAGE
    except JobsUnusable as error:
        print(f"chromaserve: CHROMASERVE_JOBS: {error}", file=sys.stderr)
        return Exit.USAGE
    service = app.state.service
    server = Server(Config(app, settings), service)
    # uvicorn raises the signal again when it is done, which would end us with a failure status.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, server.handle_exit)
    _greet(settings)
    server.run(sockets)
    if service.failure:
        print(f"chromaserve: cannot serve: {_line(service.failure)}", file=sys.stderr)
    if [each for each in threading.enumerate() if each is not threading.main_thread()]:
        # One that loads a model, or hangs in one, is not waited for, nor unloaded under its feet.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if service.failure else 0)
    return 1 if service.failure else 0


def _listen(host: str, port: int) -> list[socket.socket]:
    """Have the port before anything is loaded, at each address that the host stands for.

    Raises:
        OSError: it is taken, may not be had, or the host is not this one.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sockets.append(socket.socket(family, kind, protocol))
            except OSError:
                continue  # IPv6, where there is none
            if os.name == "posix":  # elsewhere it lets two programs have one port
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sockets[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sockets[-1].bind(address)
            sockets[-1].listen(_BACKLOG)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def _unheard(error: OSError, settings: Settings) -> str:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        another = port + 1 if port < _LAST_PORT else 8000
        return (
            f"Port {port} is taken; try another, by CHROMASERVE_PORT={another}, by"
            f" chromaserve serve --port {another}, or by make serve PORT={another}"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs rights that you do not have; try one above 1023"
    return f"CHROMASERVE_HOST: {host} is no address of this machine ({error.strerror})"


def _warn(settings: Settings) -> None:
    """Tell of what is likely not meant."""
    for name in Settings.unknown_variables():
        log.warning("%s is no setting of this version and is ignored", name)
    limit = container_memory()
    if limit and limit < (settings.max_memory_mb + MODEL_MB) * MIB:
        log.warning(
            "this container may have %d MiB: set CHROMASERVE_MAX_MEMORY_MB (%g) to what it has less"
            " %d MiB for the model",
            *(limit // MIB, settings.max_memory_mb, MODEL_MB),
        )


def _greet(settings: Settings) -> None:
    everywhere = ("0.0.0.0", "::")  # nosec B104 - compared, not listened on
    host = "localhost" if settings.host in (*everywhere, "127.0.0.1") else settings.host
    url = f"http://{host}:{settings.port}"
    try:
        print(f"chromaserve is starting on {url}  (documentation: {url}/docs)")
        print(f"Try:  curl -F file=@photo.jpg {url}/colorize -o colour.png", flush=True)
    except OSError:  # a full disk; what could not be written would be tried again at the end
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the process


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
