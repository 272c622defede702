"""A client of a running service; it imports no part of the service that colorizes."""

from chromaserve.client.asynchronous import AsyncClient
from chromaserve.client.blocking import Client, Job
from chromaserve.client.jobs import Address, AsyncJob, JobStatus
from chromaserve.client.problems import (
    AnswerTooLarge,
    BadOptions,
    BadPhoto,
    ClientError,
    ProblemError,
    TooBusy,
    Unauthorized,
    Unreachable,
)
from chromaserve.client.results import Colorized, Outcome, Result, ServiceInfo
from chromaserve.client.retries import Retries

__all__ = [
    "Address",
    "AnswerTooLarge",
    "AsyncClient",
    "AsyncJob",
    "BadOptions",
    "BadPhoto",
    "Client",
    "ClientError",
    "Colorized",
    "Job",
    "JobStatus",
    "Outcome",
    "ProblemError",
    "Result",
    "Retries",
    "ServiceInfo",
    "TooBusy",
    "Unauthorized",
    "Unreachable",
]
