"""The engine that runs a model on a CPU by ncnn, whose Winograd convolutions are the fast ones."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import EngineUnusable
from chromaserve.engines.photo_numbers import PhotoNumbers
from chromaserve.settings import usable_cores
from chromaserve.store.contract import NETWORK_SIZE

_Network = Any  # ncnn.Net; its package has no types

INPUT, OUTPUT = "L", "ab"
PARAM, WEIGHTS, NUMBERS = "network.param", "network.bin", "numbers.json"
MAX_BATCH = 8

# More photos than this a thread are faster side by side, one thread each, than one after another
# with all threads each: convolutions divide well among threads, but not perfectly.
_ALONE = 0.6


class NcnnEngine:
    """A converted `vivid` signature in float32: the SavedModel's results, other arithmetic.

    ncnn has a network's weights arranged for a number of threads, so there are two of them: one
    for a photo that has all threads, one for photos side by side. The results are the same.
    """

    def __init__(self, folder: Path, *, threads: int = 0, max_batch: int | None = None) -> None:
        """Load a conversion (see `chromaserve.engines.conversion`); its folder isn't read again.

        Raises:
            EngineUnusable: ncnn isn't installed, or cannot load the files.
            OSError, ValueError: the files cannot be read.
        """
        try:
            import ncnn
        except ImportError as error:
            raise EngineUnusable(f"ncnn cannot be imported: {error}") from error
        self._ncnn = ncnn
        self._threads = threads or usable_cores()
        self._max_batch = max_batch or MAX_BATCH
        self._numbers = PhotoNumbers.from_json((folder / NUMBERS).read_text("utf-8"))
        self._alone = self._network(folder, self._threads)
        self._beside = self._network(folder, 1) if self._threads > 1 else self._alone
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="ncnn")

    @property
    def name(self) -> str:
        """What `CHROMASERVE_ENGINE` calls it."""
        return "ncnn"

    @property
    def device(self) -> str:
        """Where it runs, with the threads."""
        return f"CPU ({self._threads} threads)"

    @property
    def max_batch(self) -> int:
        """The most photos that one call of `infer` may have."""
        return self._max_batch

    def warm_up(self) -> None:
        """Run each network once, so that its memory is there."""
        count = self._threads + 1
        L = np.full((count, NETWORK_SIZE, NETWORK_SIZE, 1), 50, np.float32)
        self.infer(L, np.full(count, 0.5, np.float32))

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chroma of a batch; see `Engine.infer`."""
        count = len(L)
        ab = np.empty((count, NETWORK_SIZE, NETWORK_SIZE, 2), np.float32)

        def run(n: int, network: _Network) -> None:
            ab[n] = self._photo(network, L[n], float(vividness[n]))

        last = count % self._threads
        if last > _ALONE * self._threads:
            last = 0
        list(self._pool.map(lambda n: run(n, self._beside), range(count - last)))
        for n in range(count - last, count):
            run(n, self._alone)
        return ab

    def _photo(
        self, network: _Network, L: NDArray[np.float32], vividness: float
    ) -> NDArray[np.float32]:
        """L [224, 224, 1] -> ab [224, 224, 2], a view."""
        inputs = self._numbers(vividness) | {INPUT: np.ascontiguousarray(L[None, :, :, 0])}
        extractor = network.create_extractor()
        for name, values in inputs.items():
            # A copy that ncnn owns: layers work in place where nobody else reads.
            extractor.input(name, self._ncnn.Mat(values).clone())
        code, out = extractor.extract(OUTPUT)
        if code != 0:
            raise RuntimeError(f"ncnn could not run the network: code {code}")
        return np.asarray(out).transpose(1, 2, 0)

    def _network(self, folder: Path, threads: int) -> _Network:
        network = self._ncnn.Net()
        network.opt.num_threads = threads
        network.opt.use_vulkan_compute = False
        # Half the bits are no faster here, and differ by up to 3 ab (docs/explanation/engines.md).
        for half in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage"):
            setattr(network.opt, f"use_{half}", False)
        for load, name in ((network.load_param, PARAM), (network.load_model, WEIGHTS)):
            code = load(str(folder / name))
            if code != 0:
                raise EngineUnusable(f"ncnn cannot load {folder / name}: code {code}")
        return network
