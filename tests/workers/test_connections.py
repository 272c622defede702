"""Which worker a connection goes to."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from app.sharing import Acceptor, Loads


def says(word: bytes) -> Callable[[], asyncio.Protocol]:
    """What answers with that word, and ends."""

    class Saying(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(word)
            transport.close()

    return Saying


def test_a_worker_that_takes_no_photos_has_no_connections_while_another_does(
    tmp_path: Path,
) -> None:
    async def scenario() -> tuple[list[bytes], bytes]:
        with socket.create_server(("127.0.0.1", 0)) as one, one.dup() as other:
            address = one.getsockname()
            # The first has far more connections than the second, which refuses all of them.
            loads = Loads(tmp_path, 2)
            busy = Acceptor([one], says(b"200"), lambda: 50, lambda: True, loads, 1)
            broken = Acceptor(
                [other], says(b"503"), lambda: 0, lambda: False, Loads(tmp_path, 2), 2
            )

            async def asked() -> bytes:
                busy.tell()
                reader, writer = await asyncio.open_connection(*address)
                answer = await reader.read()
                writer.close()
                return answer

            answers = [await asked() for _ in range(10)]
            busy.close()
            reader, writer = await asyncio.open_connection(*address)
            last = await reader.read()
            writer.close()
            broken.close()
            return answers, last

    answers, last = asyncio.run(asyncio.wait_for(scenario(), 60))
    assert answers == [b"200"] * 10
    assert last == b"503", "where nobody takes photos it is said"
