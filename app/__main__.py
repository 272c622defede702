"""`python -m app`: run the service with the settings of the environment."""

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from pydantic import ValidationError

from .settings import Settings

if TYPE_CHECKING:
    from .service import Service


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 unless the service could not run."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "".join(f"CHROMASERVE_{part}".upper() for part in fault["loc"][:1])
            print(f"chromaserve: {name or 'settings'}: {fault['msg']}", file=sys.stderr)
        return 2
    from .auth import KeyFileError
    from .logs import configure_logging
    from .main import create_app
    from .tracing import NoOpenTelemetry, asked_for

    configure_logging(settings, traces=asked_for(settings))
    try:
        app = create_app(settings)
    except NoOpenTelemetry as error:
        print(f"chromaserve: {error}", file=sys.stderr)
        return 2
    except KeyFileError as error:
        print(f"chromaserve: CHROMASERVE_API_KEYS_FILE: {error}", file=sys.stderr)
        return 2
    service = app.state.service
    server = _Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,  # ours has request ids and times
            log_level=settings.log_level,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=settings.shutdown_timeout_s,
            server_header=False,
            root_path=settings.root_path or "",
            proxy_headers=settings.forwarded_allow_ips is not None,
            forwarded_allow_ips=settings.forwarded_allow_ips,
        ),
        service,
    )
    # uvicorn raises the signal again when it is done, which would end us with a failure status.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _greet(settings)
    server.run()
    if service.failure:
        print(f"chromaserve: cannot serve: {_line(service.failure)}", file=sys.stderr)
        return 1
    return 0


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the service at once that it is to end."""

    def __init__(self, config: uvicorn.Config, service: "Service") -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.draining = True
        super().handle_exit(sig, frame)


def _greet(settings: Settings) -> None:
    host = "localhost" if settings.host in ("0.0.0.0", "::", "127.0.0.1") else settings.host
    url = f"http://{host}:{settings.port}"
    print(f"chromaserve is starting on {url}  (documentation: {url}/docs)")
    print(f"Try:  curl -F file=@photo.jpg {url}/colorize -o colour.png", flush=True)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
