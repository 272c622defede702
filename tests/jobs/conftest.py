"""A service that keeps jobs, and a server of others that it asks."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Server, serving
from tests.hurried import HURRIED
from tests.jobs.elsewhere import Elsewhere, elsewhere

KEY, OTHER = "key-of-the-jobs-0123", "key-of-another-4567"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="package")
def others() -> Iterator[Elsewhere]:
    with elsewhere() as server:
        yield server


@pytest.fixture(scope="package")
def service(
    tmp_path_factory: pytest.TempPathFactory, others: Elsewhere, small_network: dict[str, object]
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("jobs")
    with serving(
        folder,
        HURRIED,
        **small_network,
        jobs=folder / "queue",
        jobs_photos=40,
        jobs_mb=256,
        jobs_addresses=f"{others.url}/open",
        jobs_secret=SECRET,
        api_keys=f"{KEY},{OTHER}",
        max_upload_mb=8,
        max_photos=8,
    ) as started:
        yield started


@pytest.fixture(scope="package")
def mine(service: Server) -> Iterator[httpx.Client]:
    """A client with a key."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=service.url, timeout=60, headers=headers) as client:
        yield client
