"""A client of a running service; it imports no part of the service that colorizes."""

from app.client.answers import Colorized, Outcome, Result, ServiceInfo
from app.client.asynchronous import AsyncClient
from app.client.blocking import Client
from app.client.problems import (
    BadOptions,
    BadPhoto,
    ClientError,
    ProblemError,
    TooBusy,
    Unauthorized,
    Unreachable,
)
from app.client.retrying import Retries

__all__ = [
    "AsyncClient",
    "BadOptions",
    "BadPhoto",
    "Client",
    "ClientError",
    "Colorized",
    "Outcome",
    "ProblemError",
    "Result",
    "Retries",
    "ServiceInfo",
    "TooBusy",
    "Unauthorized",
    "Unreachable",
]
