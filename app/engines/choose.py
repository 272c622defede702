"""Which engine runs a model on this machine."""

from app.engines import Engine
from app.engines.savedmodel import SavedModelEngine
from app.settings import Settings
from model_store.store import ModelVersion


def load_engines(model: ModelVersion, settings: Settings) -> tuple[Engine, ...]:
    """Load a version's engines, checked and warm: one a replica, never none. Blocks for seconds.

    Raises:
        ModelStoreError: the version cannot be used.
        NoGpu: a GPU was asked for and there is none.
    """
    engine = SavedModelEngine(
        model,
        device=settings.device,
        threads=settings.tf_threads,
        max_batch=settings.max_batch,
    )
    engine.warm_up()
    return (engine,)
