"""What the protocol itself says to heads that are not answered, and how large they may be."""

from .errors import HeadTooLarge, MalformedRequest
from .problems import error_response

MAX_HEAD = 64 * 1024
MAX_FIELDS = 100


def closed_before(what: str) -> MalformedRequest:
    """The error for a client that closed its side of the connection too early."""
    return MalformedRequest(f"The connection was closed before {what}.")


def too_large() -> HeadTooLarge:
    """The error for a head of more bytes or fields than one may have."""
    return HeadTooLarge(
        f"A request's head has at most {MAX_FIELDS} fields and {MAX_HEAD // 1024} KiB."
    )


def written(error: Exception) -> bytes:
    """The answer that tells of an error, as it goes over a connection that is closed then."""
    answer = error_response(error)
    lines = [b"HTTP/1.1 %d %s" % (answer.status_code, b"Refused"), b"connection: close"]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body)
