"""Who is measured: how each server is started, in which environment, with which settings."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.serving.photos import ROOT

PEERS = ROOT / "build" / "peers"
QUIET = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Contender:
    """A server of the comparison."""

    name: str
    title: str
    package: str
    """The distribution whose version is reported."""
    environment: str
    """Folder in build/peers, or "" for the project's own."""
    command: tuple[str, ...]
    """Of the environment's python; {port} stands for the port."""
    engine: str = "savedmodel"
    """What its throughput is held against: see `raw`."""
    ours: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    sizes: tuple[str, ...] = ()
    """Of photos that it is measured with; none: all."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return PEERS / self.environment / "bin" / "python" if self.environment else OWN_PYTHON

    def words(self, port: int) -> list[str]:
        """The command line."""
        return [str(self.python), *(word.format(port=port) for word in self.command)]

    def variables(self, port: int) -> dict[str, str]:
        """Its environment variables, beside those of this process."""
        return QUIET | {name: value.format(port=port) for name, value in self.settings.items()}

    def version(self) -> str:
        """The installed version of its package."""
        code = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        words = [str(self.python), "-c", code]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


OWN_PYTHON = Path(sys.executable)


def _ours(engine: str) -> Contender:
    return Contender(
        f"chromaserve-{engine}", f"chromaserve, {ENGINES[engine]}", "chromaserve", "",
        ("-m", "app"), engine, ours=True, sizes=MEASURED[engine],
        settings={"CHROMASERVE_ENGINE": engine, "CHROMASERVE_PORT": "{port}",
                  "CHROMASERVE_CACHE_MB": "0", "CHROMASERVE_LOG_LEVEL": "warning"},
    )  # fmt: skip


ENGINES = {"ncnn": "ncnn", "savedmodel": "SavedModel"}
SLOWER = "savedmodel"
MEASURED: dict[str, tuple[str, ...]] = {"ncnn": (), SLOWER: ("256²",)}
"""Sizes by engine: beside the slower one a server's own work is hard to see."""
_PEERS = (
    Contender(
        "litserve", "LitServe", "litserve", "litserve",
        ("-m", "benchmarks.peers.with_litserve", "{port}"),
    ),
    Contender(
        "bentoml", "BentoML", "bentoml", "bentoml",
        ("-m", "bentoml", "serve", "benchmarks.peers.with_bentoml:Colorizer",
         "--host", "127.0.0.1", "--port", "{port}"),
        settings={"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Contender(
        "ray-serve", "Ray Serve", "ray", "ray",
        ("-m", "benchmarks.peers.with_ray_serve", "{port}"),
        settings={"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled",
                  "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
    ),
    Contender(
        "fastapi", "plain FastAPI", "fastapi", "fastapi",
        ("-m", "benchmarks.peers.plain_fastapi", "{port}"),
    ),
    Contender(
        "fastapi-opencv", "plain FastAPI, OpenCV's own colours", "fastapi", "fastapi",
        ("-m", "benchmarks.peers.plain_fastapi", "{port}"),
        settings={"PEER_COLOUR": "opencv"},
        sizes=("12 MP",),
    ),
)  # fmt: skip


def _on(engine: str, peer: Contender) -> Contender:
    return replace(
        peer, name=f"{peer.name}-{engine}", title=f"{peer.title}, {ENGINES[engine]}",
        engine=engine, sizes=peer.sizes or MEASURED[engine],
        settings=peer.settings | {"PEER_ENGINE": engine},
    )  # fmt: skip


CONTENDERS = tuple(
    each
    for engine in ENGINES
    for each in (_ours(engine), *(_on(engine, p) for p in _PEERS))
    if not each.sizes or set(each.sizes) & set(MEASURED[engine] or each.sizes)
)
"""All on the same engine one after the other, chromaserve first."""


def _variants(name: str, workers: int, what: str) -> list[Contender]:
    bases = [_on(engine, peer) for engine in ENGINES for peer in _PEERS if peer.name == name]
    return [
        replace(
            base, name=f"{base.name}-{workers}", title=f"{base.title}, {workers} {what}",
            settings=base.settings | {"PEER_WORKERS": str(workers)},
        )
        for base in bases
    ]  # fmt: skip


VARIANTS = (
    *_variants("litserve", 2, "workers"),
    *_variants("bentoml", 1, "worker beside the network"),
    *_variants("ray-serve", 1, "replica beside the network"),
    *_variants("fastapi", 2, "threads"),
    *_variants("fastapi", 8, "threads"),
    *_variants("fastapi", 40, "threads"),
)
"""Other tunings of the peers, measured where they are asked for by name."""
EVERYONE = CONTENDERS + VARIANTS
