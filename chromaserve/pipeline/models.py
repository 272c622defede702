"""The model versions in memory: one loaded at the start, others on demand."""

import itertools
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from chromaserve.engines import Engine
from chromaserve.engines.choose import load_engines
from chromaserve.engines.probes import probes
from chromaserve.pipeline.memory import return_freed
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import ModelDescription
from chromaserve.store.errors import ModelCorrupt, ModelNotFound, ModelStoreError
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore, ModelVersion, reading

log = logging.getLogger("chromaserve.models")

_MOST_CHROMA = 256.0  # sRGB needs 108 at most

_numbers = itertools.count()


@dataclass(frozen=True)
class LoadedModel:
    """A version that is ready to colorize."""

    version: int
    description: ModelDescription
    engines: tuple[Engine, ...]
    number: int = field(default_factory=lambda: next(_numbers))
    """That no other one has which this process ever loads, of whatever version."""

    @property
    def engine(self) -> Engine:
        """The first of the replicas, which are all alike."""
        return self.engines[0]

    @property
    def photos_at_once(self) -> int:
        """How many its engines take at most."""
        return sum(engine.max_batch * engine.streams for engine in self.engines)


class Models:
    """Loads versions, checked and warmed up, and keeps the ones used last."""

    def __init__(self, settings: PipelineSettings) -> None:
        """Nothing is loaded yet; `load_default` is."""
        self.store = ModelStore(settings.model_root or BUNDLED_ROOT)
        self.default: LoadedModel | None = None
        self._settings = settings
        self._loaded: OrderedDict[int, LoadedModel] = OrderedDict()
        self._loading = threading.Lock()
        self._told: dict[int, str] = {}
        self._refused: tuple[object, ModelStoreError] | None = None

    @property
    def loaded(self) -> list[LoadedModel]:
        """The versions in memory, least recently used first."""
        return list(self._loaded.values())

    def load_default(self, version: int | None = None) -> LoadedModel:
        """Load the version that the settings name; blocks for seconds.

        Args:
            version: to begin with, where it is there, whatever the settings name now.

        Raises:
            ModelStoreError: it is missing, damaged, or speaks another contract.
            NoGpu: a GPU was asked for and there is none.
        """
        there = version is not None and version in self.store.versions()
        self.default = self._load(str(version) if there else self._settings.model_version)
        return self.default

    def get(self, selector: str | None) -> LoadedModel:
        """The version that a request names; blocks while one is loaded that is not in memory.

        Args:
            selector: a number, "latest" for the newest on disk, or None for the default.

        Raises:
            ModelNotFound: there is no such version, or the settings allow no second one.
            ModelStoreError: it is damaged or speaks another contract.
        """
        if selector is None and self.default:
            return self.default
        selector = selector or "latest"
        # Not behind the lock: another version may be loading, for seconds.
        number = int(selector) if selector.isdecimal() else self.store.resolve(selector).version
        try:
            return self._use(number)
        except KeyError:
            return self._load(number)

    def reload(self, *, again: bool = True) -> LoadedModel:
        """Make the version that the settings name now the default.

        That is another one where they say "latest" and a newer one was published. Blocks for
        seconds, while the old one serves.

        Args:
            again: try a version, too, that could not be used before and has not changed since.

        Requests that began with the old version end with it. It stays in memory, as any other
        version, until its place is needed.

        Raises:
            ModelStoreError: the new version cannot be used; the old one stays the default.
        """
        with self._loading:
            found = self.store.resolve(self._settings.model_version)
            model = self._loaded.get(found.version)
            if model is None:
                model = self._fresh_unless_refused(found, again=again)
            if self.default and model is not self.default:
                log.info("model %d follows %d", model.version, self.default.version)
            self.default = model
            self._loaded[model.version] = model
            self._make_room(self._settings.max_loaded_models)
            return model

    def renew(self) -> LoadedModel:
        """Load the default's version anew, in the place of engines that are broken.

        Returns:
            The default: another version where a reload was sooner.

        Raises:
            ModelStoreError: it cannot be used now.
        """
        before = self.default
        assert before
        # Not behind the lock: who holds it may hang in the very engine.
        fresh = self._fresh(self.store.resolve(before.version))
        if fresh.version in self._loaded:
            self._loaded[fresh.version] = fresh
        if self.default is before:
            self.default = fresh
        return self.default or fresh

    def listing(self) -> list[tuple[int, ModelDescription | None, str | None]]:
        """Every version on disk: number, description, and what is wrong with it if something is."""
        rows: list[tuple[int, ModelDescription | None, str | None]] = []
        for version in self.store.versions():
            try:
                rows.append((version, self.store.resolve(version).description, None))
            except ModelStoreError as error:
                if self._told.get(version) != str(error):
                    log.warning("version %d cannot be used: %s", version, error)
                    self._told[version] = str(error)
                rows.append((version, None, str(error)))
        return rows

    def _load(self, selector: str | int) -> LoadedModel:
        with self._loading:
            model = self.store.resolve(selector)
            if model.version in self._loaded:
                return self._use(model.version)
            limit = self._settings.max_loaded_models
            if self.default and limit == 1:
                raise ModelNotFound(
                    f"This service serves version {self.default.version} alone: leave `model` out."
                )
            fresh = self._fresh(model)
            self._make_room(limit - 1)
            self._loaded[fresh.version] = fresh
            return fresh

    def _fresh_unless_refused(self, model: ModelVersion, *, again: bool) -> LoadedModel:
        """A version from disk; one that was refused is looked at again when its files change."""
        files = _fingerprint(model.path)
        if not again and self._refused and self._refused[0] == files:
            raise self._refused[1]
        try:
            return self._fresh(model)
        except ModelStoreError as error:
            self._refused = files, error
            raise

    def _fresh(self, model: ModelVersion) -> LoadedModel:
        """A version from disk, checked and warmed up."""
        self.store.verify(model)
        engines = load_engines(model, self._settings)
        for engine in engines:
            _check_answer(engine, model)
        log.info("loaded model %d: %s on %s", model.version, engines[0].name, engines[0].device)
        return LoadedModel(model.version, model.description, engines)

    def _use(self, version: int) -> LoadedModel:
        """A loaded version, which counts as used now; KeyError if it is not loaded."""
        model = self._loaded[version]
        self._loaded.move_to_end(version)
        return model

    def _make_room(self, limit: int) -> None:
        """Forget what was not used for longest until `limit` versions are left."""
        kept = self.default.version if self.default else None
        while len(self._loaded) > limit:
            # A copy: requests move what they use to the end meanwhile, without the lock.
            oldest = next(version for version in list(self._loaded) if version != kept)
            del self._loaded[oldest]
            log.info("unloaded model %d", oldest)
            return_freed()


def _check_answer(engine: Engine, model: ModelVersion) -> None:
    """Let an engine colorize a test photo: what answers nonsense must not follow what serves.

    Raises:
        ModelCorrupt: the answer is not finite, or far outside of Lab.
    """
    L, vividness = probes()
    ab = engine.infer(L[:1], vividness[:1])
    if not (np.abs(ab) < _MOST_CHROMA).all():  # false for what is not a number, too
        raise ModelCorrupt(f"{model.path} answers a test photo with ab that are no colours.")


def _fingerprint(folder: Path) -> object:
    """Something that changes when a file in the folder does, without reading it."""
    with reading(folder):
        return [
            (str(path), status.st_size, status.st_mtime_ns)
            for path in sorted(folder.rglob("*"))
            for status in [path.lstat()]
        ]
