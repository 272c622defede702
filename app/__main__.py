"""`python -m app`: run the service with the settings of the environment."""

import argparse
import errno
import logging
import os
import re
import signal
import socket
import sys
from contextlib import ExitStack

from pydantic import ValidationError

from chromaserve.command_line.exits import Exit, ready_streams
from chromaserve.settings import MIB, MODEL_MB, container_memory

from .settings import Settings

log = logging.getLogger("chromaserve")

_BACKLOG = 2048
"""Connections that the system takes before the service does; uvicorn's own number."""
_LAST_PORT = 65535
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""An address that the machine has not, of IPv6 say, where another one of the host's will do."""


def main() -> int:
    """Serve until SIGTERM or SIGINT; the exit status is 0 unless the service could not run."""
    ready_streams()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Nothing is accepted yet. Process 1 of a container hears no signal without being asked to.
        signal.signal(number, lambda *_: os._exit(0))
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "".join(f"CHROMASERVE_{part}".upper() for part in fault["loc"][:1])
            told = _by_variables(fault["msg"].removeprefix("Value error, "))
            print(f"chromaserve: {name or 'settings'}: {told}", file=sys.stderr)
        return Exit.USAGE
    try:
        sockets = _listen(settings.host, settings.port)
    except OSError as error:
        print(f"chromaserve: {_unheard(error, settings)}", file=sys.stderr)
        return Exit.NO_PORT
    from .logs import configure_logging
    from .tracing import asked_for

    several = settings.workers > 1
    configure_logging(settings, traces=asked_for(settings), worker=0 if several else None)
    _warn(settings)
    if several:
        from .supervisor import supervise

        return supervise(settings, sockets)
    from .process import serve

    return serve(settings, sockets)


def _by_variables(told: str) -> str:
    """A sentence that names settings by the environment's variables."""
    names = "|".join(name for name in Settings.model_fields if "_" in name)
    return re.sub(rf"\b({names})\b", lambda found: f"CHROMASERVE_{found[0].upper()}", told)


def _listen(host: str, port: int) -> list[socket.socket]:
    """Have the port before anything is loaded, at each address that the host stands for.

    Raises:
        OSError: it is taken, may not be had, or the host is not this one.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    absent = None
    with ExitStack() as opened:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if sockets:  # that the system chose, where the port is 0
                port = sockets[0].getsockname()[1]
            try:
                one = opened.enter_context(socket.socket(family, kind, protocol))
                if os.name == "posix":  # elsewhere it lets two programs have one port
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((address[0], port, *address[2:]))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
                continue
            one.listen(_BACKLOG)
            sockets.append(one)
        if absent and not sockets:
            raise absent
        opened.pop_all()
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
    limited = settings.rate_limit or settings.daily_limit
    everybody = "*" in (settings.forwarded_allow_ips or ())
    if everybody and limited and not settings.wants_keys:
        log.warning(
            "CHROMASERVE_FORWARDED_ALLOW_IPS is *: whoever asks may name any address in"
            " X-Forwarded-For, and is limited by that one; name the proxies"
        )
    limit = container_memory()
    models_mb = MODEL_MB * settings.workers
    if limit and limit < (settings.max_memory_mb + models_mb) * MIB:
        log.warning(
            "this container may have %d MiB: set CHROMASERVE_MAX_MEMORY_MB (%g) to what it has less"
            " %d MiB for the model",
            *(limit // MIB, settings.max_memory_mb, models_mb),
        )


if __name__ == "__main__":
    # It takes none: one that was passed over would be an option that seems to be set.
    argparse.ArgumentParser(
        prog="python -m app",
        usage="python -m app, with settings in the environment: CHROMASERVE_PORT=9000 and so on;"
        " chromaserve serve has options",
    ).parse_args()
    sys.exit(main())
