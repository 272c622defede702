"""Results as lines of JSON: written as they come, so that an interrupted run goes on."""

import json
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving.contenders import Contender
from benchmarks.serving.load import version
from benchmarks.serving.photos import ROOT

Record = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """A file of results: its first line is the run, each other one a measurement."""

    path: Path

    def records(self) -> list[Record]:
        """All lines so far; one that was cut off is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found

    def append(self, record: Record) -> None:
        """Write a line; one that was cut off before it is ended first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        before = self.path.read_bytes() if self.path.exists() else b""
        cut = before[-1:] not in (b"", b"\n")
        with self.path.open("a") as file:
            file.write(("\n" if cut else "") + json.dumps(record) + "\n")

    def has(self, **keys: object) -> bool:
        """Whether there is a record with these values."""
        return any(keys.items() <= record.items() for record in self.records())


def describe_run(profile: str, command: str, contenders: list[Contender]) -> Record:
    """The run's own line: machine, versions, date, command."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    return {
        "kind": "run",
        "profile": profile,
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit or "unknown",
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": version(),
        "versions": {c.name: f"{c.package} {c.version()}" for c in contenders},
        "tensorflow": _version_of_tensorflow(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version_of_tensorflow() -> str:
    from importlib.metadata import version as installed

    return installed("tensorflow")
