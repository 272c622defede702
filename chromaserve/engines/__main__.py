"""`python -m chromaserve.engines`: convert the model that the settings name; for images."""

import sys

from chromaserve.engines.choose import load_engines
from chromaserve.settings import PipelineSettings
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore


def main() -> int:
    """Load the model once; with CHROMASERVE_ENGINE=ncnn its conversion is in the cache then."""
    settings = PipelineSettings()
    store = ModelStore(settings.model_root or BUNDLED_ROOT)
    model = store.resolve(settings.model_version)
    store.verify(model)
    for engine in load_engines(model, settings):
        print(f"model {model.version}: {engine.name} on {engine.device}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
