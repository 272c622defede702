"""A proxy before the tests' service that answers with faults when it is told to."""

from collections.abc import Iterator

import pytest

from tests.client.faulty import Proxy, proxy_to
from tests.conftest import Server
from tests.small_network import small_http_instead, small_server_instead

# Nothing here is about colours.
server = small_server_instead
http = small_http_instead


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxy_to(server.url) as running:
        yield running
