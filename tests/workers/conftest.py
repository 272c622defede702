"""A service of several workers."""

from collections.abc import Iterator

import pytest

from tests.conftest import Server
from tests.workers.asking import started


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    with started(folder, small_network, jobs=folder / "jobs", max_memory_mb=2048) as one:
        yield one
