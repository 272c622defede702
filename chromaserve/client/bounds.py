"""How much of a service's answers is taken: what does not end would fill the memory."""

from collections.abc import AsyncIterator

import httpx

from chromaserve.client.problems import AnswerTooLarge

MAX_RESULT_MB = 1024.0
"""Of one result, by default: one of 50 megapixels has 400 with 16 bits a channel and no packing."""
MOST_TOLD = 16 * 2**20
"""Bytes of what is told beside results, as JSON: a list of 1,000 jobs has half a MiB."""
MOST_OF_AN_EVENT = 2**20
_OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")
_DIGITS = 18  # of a length; one of more fits into no number


def too_large(most: float) -> AnswerTooLarge:
    """The error for an answer, or a part of one, of more bytes than that."""
    return AnswerTooLarge(
        f"The service's answer has more than {most / 2**20:,g} MiB, the most that is taken; of"
        " results that is the client's max_result_mb."
    )


async def whole(response: httpx.Response, most: int, *, cut: bool = False) -> httpx.Response:
    """An answer with its body, decoded and in memory; the one that was given is closed.

    Args:
        response: whose body was not read yet.
        most: bytes that are taken, decoded.
        cut: whether what is beyond is left out.

    Raises:
        AnswerTooLarge: there is more, or it says so before.
        httpx.TransportError: it breaks off.
    """
    pieces, size = [], 0
    try:
        said = response.headers.get("content-length", "")
        if not cut and said.isdecimal() and int(said[:_DIGITS]) > most:
            raise too_large(most)
        async for piece in response.aiter_bytes():
            pieces.append(piece[: most - size] if cut else piece)
            size += len(piece)
            if size > most:
                if not cut:
                    raise too_large(most)
                break
    finally:
        await response.aclose()
    return httpx.Response(
        response.status_code,
        headers=[each for each in response.headers.multi_items() if each[0] not in _OF_THE_WAY],
        content=b"".join(pieces),
        request=response.request,
        extensions=response.extensions,
    )


async def lines(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of an answer that comes bit by bit, without their ends.

    Raises:
        AnswerTooLarge: one has more than `MOST_OF_AN_EVENT`.
        httpx.TransportError: it breaks off.
    """
    held = b""
    async for piece in response.aiter_bytes():
        found = (held + piece).splitlines(keepends=True)
        held = found.pop() if found and not found[-1].endswith(b"\n") else b""
        for line in found:
            yield line.decode("utf-8", "replace").rstrip("\r\n")
        if len(held) > MOST_OF_AN_EVENT:
            raise too_large(MOST_OF_AN_EVENT)
