"""`python -m app.engines`: convert the model that the settings name, and keep it; for images."""

import sys

from app.engines.choose import load_engines
from app.settings import Settings
from app.telemetry import configure_logging
from model_store.store import BUNDLED_ROOT, ModelStore


def main() -> int:
    """Load the model once; with CHROMASERVE_ENGINE=ncnn its conversion is in the cache then."""
    settings = Settings()
    configure_logging(settings)
    store = ModelStore(settings.model_root or BUNDLED_ROOT)
    model = store.resolve(settings.model_version)
    store.verify(model)
    for engine in load_engines(model, settings):
        print(f"model {model.version}: {engine.name} on {engine.device}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
