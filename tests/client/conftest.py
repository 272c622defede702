"""A proxy before the tests' service that answers with faults when it is told to."""

from collections.abc import Iterator

import pytest

from tests.client.faulty import Proxy, proxy_to
from tests.conftest import Server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxy_to(server.url) as running:
        yield running
