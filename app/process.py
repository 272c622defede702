"""A process that serves: its logs, application and HTTP server, from its start to its end."""

import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from chromaserve.command_line.exits import Exit

from .settings import Settings
from .worker import Worker


def serve(settings: Settings, sockets: list[socket.socket], worker: Worker | None = None) -> int:
    """Serve until SIGTERM, SIGINT or SIGHUP.

    Args:
        settings: this process's.
        sockets: that it listens on.
        worker: what it is to the others, where it is one of several.

    Returns:
        The exit status, 0 unless the service could not run.
    """
    import cv2

    from chromaserve.photos.credentials import CredentialsUnusable

    from .auth import KeyFileError
    from .http_protocol import Config
    from .jobs.opening import JobsAbsent, JobsUnusable
    from .logs import configure_logging
    from .main import create_app
    from .server import Server
    from .tracing import NoOpenTelemetry, asked_for

    number = worker.number if worker else None
    configure_logging(settings, traces=asked_for(settings), worker=number)
    cv2.setNumThreads(1)  # photos have threads of their own, for which OpenCV's only wake
    try:
        app = create_app(settings, worker)
    except (CredentialsUnusable, KeyFileError, JobsUnusable, NoOpenTelemetry) as error:
        setting = {
            CredentialsUnusable: "CHROMASERVE_C2PA_CERTIFICATE: ",
            KeyFileError: "CHROMASERVE_API_KEYS_FILE: ",
        }.get(type(error), "")
        print(f"chromaserve: {setting}{error}", file=sys.stderr)
        return Exit.NO_SERVICE if isinstance(error, JobsAbsent) else Exit.USAGE
    service = app.state.service
    server = Server(Config(app, settings), service, worker)
    # uvicorn raises the signal again when it is done, which would end us with a failure status.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, server.handle_exit)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, server.handle_exit)
    if settings.log_format == "line" and (worker is None or worker.is_first):
        _greet(settings.host, sockets[0].getsockname()[1])
    server.run(sockets)
    status = Exit.NO_MODEL if service.failure else Exit.DONE
    if service.failure:
        print(f"chromaserve: cannot serve: {_line(service.failure)}", file=sys.stderr)
    if [each for each in threading.enumerate() if each is not threading.main_thread()]:
        # One that loads a model, or hangs in one, is not waited for, nor unloaded under its feet.
        logging.shutdown()
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(status)
    return status


def _greet(host: str, port: int) -> None:
    everywhere = ("0.0.0.0", "::")  # nosec B104 - compared, not listened on
    host = "localhost" if host in (*everywhere, "127.0.0.1") else host
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        print(f"chromaserve is starting on {url}  (documentation: {url}/docs)")
        print(f"Try:  curl -F file=@photo.jpg {url}/colorize -o colour.png", flush=True)
    except OSError:  # a full disk; what could not be written would be tried again at the end
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for the process


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
