"""TensorFlow in the tests' own process, started once and as the service starts it."""

import pytest

from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    """Before any test uses it: its number of threads cannot be changed later."""
    SavedModelEngine(ModelStore(BUNDLED_ROOT).resolve("latest"), device="cpu")
