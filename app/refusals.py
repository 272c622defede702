"""What the protocol itself says to heads that are not answered, and how large they may be."""

import re
from collections.abc import Sequence

from .errors import HeadTooLarge, MalformedRequest
from .problems import error_response

MAX_HEAD = 64 * 1024
MAX_FIELDS = 100
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*", re.ASCII)
"""RFC 9110, section 7.2; empty where the target has none."""


def is_plain(target: bytes, fields: Sequence[tuple[bytes, bytes]], version: str) -> bool:
    """Whether all programs read a head alike: where a request goes, and where it ends.

    Args:
        target: of the request, a path or, as to a proxy, http://HOST/PATH.
        fields: names in lower case, and values.
        version: of HTTP.
    """
    names = [name for name, _ in fields]
    hosts = [value for name, value in fields if name == b"host"]
    plain = len(hosts) == 1 or (not hosts and version == "1.0")
    plain &= all(map(_HOST.fullmatch, hosts))
    if hosts and target[:1] not in b"/*":
        told = target.partition(b"://")[2].partition(b"/")[0]
        plain &= told.lower() == hosts[0].lower()
    return plain and names.count(b"content-length") + names.count(b"transfer-encoding") <= 1


def ambiguous() -> MalformedRequest:
    """The error for a head that is not."""
    return MalformedRequest(
        "A request has one Host, well-formed and its target's where that has one, and one of"
        " Content-Length and Transfer-Encoding at most."
    )


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
