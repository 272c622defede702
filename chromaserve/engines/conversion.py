"""Models converted for ncnn, kept on disk: made once for a version, and measured on a machine."""

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import chromaserve
from chromaserve.engines import EngineUnusable
from chromaserve.store.versions import ModelVersion, sha256_of

log = logging.getLogger("chromaserve.engine")

PROBE = "probe.npz"
_REPORT = "report.json"
_FORMAT = 1  # grows when what the converter writes changes
_KEPT = 8  # conversions of a cache; the ones used longest ago go
_LONGEST_S = 600


@dataclass(frozen=True)
class Report:
    """What came of a conversion."""

    refused: str | None = None
    """Why it must not serve, in words."""
    apart: float | None = None
    """Largest difference of its ab from the SavedModel's."""
    savedmodel_ms: tuple[float, float] | None = None
    """ms of one photo alone, and in a full batch."""
    ncnn_ms: tuple[float, float] | None = None
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file."""

    @property
    def ncnn_is_faster(self) -> bool:
        """Whether ncnn is, photos alone and batches counting alike."""
        if self.ncnn_ms is None or self.savedmodel_ms is None:
            return False
        return self.ncnn_ms[0] * self.ncnn_ms[1] < self.savedmodel_ms[0] * self.savedmodel_ms[1]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@contextmanager
def converted(
    model: ModelVersion,
    *,
    cache: Path | None,
    threads: int,
    max_batch: int,
    measured: bool = True,
) -> Iterator[tuple[Path, Report]]:
    """A version's conversion: the folder, to be read while the block runs, and its report.

    It is taken from the cache, or made and put there. Where the cache cannot be written, it is
    made in a temporary folder.

    Args:
        model: a version whose files were verified.
        cache: folder of all conversions; None for the user's cache folder.
        threads: what the engines will run on.
        max_batch: photos in a full batch.
        measured: whether it must have been measured on this machine. One that was made on another
            will do otherwise: its files are the same, its report then tells no times.

    Raises:
        EngineUnusable: it could not be made.
    """
    made_of = _of_model(model)
    with ExitStack() as turn:
        try:
            place = (cache or user_cache()) / f"{made_of}-{_of_machine(threads, max_batch)}"
            found = _read(place)
            if found is None and not measured:
                place, found = _made_elsewhere(place, made_of)
            if found is None:
                place.parent.mkdir(parents=True, exist_ok=True)
                turn.enter_context(_turn(place.parent))
                found = _read(place)  # made by another process meanwhile
            if found is None:
                hidden = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
                put = True
        except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
            log.warning("conversions are not kept: %s", error)
            hidden, put, found = Path(tempfile.mkdtemp(prefix="chromaserve-")), False, None
        if found is not None:
            turn.close()
            yield place, found
            return
        try:
            report = _make(model, hidden, threads, max_batch)
            made = _put(hidden, place) if put else hidden
            turn.close()
            yield made, report
        finally:
            shutil.rmtree(hidden, ignore_errors=True)


@contextmanager
def _turn(cache: Path) -> Iterator[None]:
    """Be the only process on this machine that makes a conversion, while the block runs."""
    try:
        import fcntl
    except ImportError:  # not everywhere; then the first that is done counts
        yield
        return
    folder = os.open(cache, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _made_elsewhere(place: Path, made_of: str) -> tuple[Path, Report | None]:
    """Another machine's conversion beside the place, without its times; or the place itself."""
    for other in sorted(place.parent.glob(f"{made_of}-*")):
        found = _read(other)
        if found and not found.refused:
            return other, replace(found, savedmodel_ms=None, ncnn_ms=None)
    return place, None


def _make(model: ModelVersion, folder: Path, threads: int, max_batch: int) -> Report:
    """Run `training.conversion.prepare`, and leave its report in the folder."""
    log.info("converting model %d for ncnn; this is done once", model.version)
    arguments = [str(model.path.resolve()), str(folder), str(threads), str(max_batch)]
    paths = [str(Path(chromaserve.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "training.conversion.prepare", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=True,
        )
        report = _report(json.loads(done.stdout.splitlines()[-1]))
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip() or f"exit status {error.returncode}").splitlines()[-1]
        raise EngineUnusable(f"the conversion failed: {reason}") from error
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError, IndexError) as error:
        raise EngineUnusable(f"the conversion failed: {error}") from error
    report = replace(report, files={path.name: sha256_of(path) for path in folder.iterdir()})
    (folder / _REPORT).write_text(json.dumps(report.to_dict(), indent=2) + "\n", "utf-8")
    return report


def _put(hidden: Path, place: Path) -> Path:
    """Rename a whole conversion to its place; another process may have been first."""
    try:
        if place.exists() and _read(place) is None:  # damaged
            place.rename(hidden / "damaged")
            shutil.rmtree(hidden / "damaged")
        hidden.rename(place)
    except OSError:
        return place if _read(place) else hidden
    _make_room(place.parent)
    return place


def _read(place: Path) -> Report | None:
    """The report of a conversion that is whole; None where there is none."""
    try:
        report = _report(json.loads((place / _REPORT).read_text("utf-8")))
        for name, sha256 in report.files.items():
            if sha256_of(place / name) != sha256:
                raise ValueError(f"{name} has changed")
    except FileNotFoundError as error:
        if place.exists():
            log.warning("%s is damaged and made anew: %s", place, error)
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s is damaged and made anew: %s", place, error)
        return None
    with suppress(OSError):  # another's folder: it is used all the same
        os.utime(place)
    return report


def _report(fields: dict[str, Any]) -> Report:
    timed = {name: tuple(fields[name]) for name in ("savedmodel_ms", "ncnn_ms") if fields.get(name)}
    return Report(**{**fields, **timed})


def _make_room(cache: Path) -> None:
    by_use = sorted(
        (path for path in cache.iterdir() if (path / _REPORT).is_file()),
        key=lambda path: path.stat().st_mtime,
    )
    for path in by_use[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _of_model(model: ModelVersion) -> str:
    """A name for what a conversion's files depend on."""
    ncnn = _version("ncnn")
    if ncnn is None:
        raise EngineUnusable("ncnn is not installed")
    return _name([_FORMAT, model.description.files, ncnn])


def _of_machine(threads: int, max_batch: int) -> str:
    """A name for what its measurements depend on."""
    return _name([threads, max_batch, _processor(), _version("tensorflow")])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _name(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith("model name")), platform.machine())


def user_cache() -> Path:
    """Folder of conversions where no other is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chromaserve"
