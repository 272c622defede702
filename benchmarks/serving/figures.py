"""What was measured, by contender and size: the records of all rounds as figures."""

import math
from typing import Any

from benchmarks.serving.contenders import EVERYONE, Contender
from benchmarks.serving.photos import SIZES

Record = dict[str, Any]


class Figures:
    """The records by contender and size, over all rounds."""

    def __init__(self, records: list[Record]) -> None:
        self.run = next((r for r in records if r["kind"] == "run"), {})
        self.failures = [r for r in records if r["kind"] == "failure"]
        self._cells = [r for r in records if r["kind"] == "cell"]
        self._raw = [r for r in records if r["kind"] == "raw"]

    @property
    def contenders(self) -> list[Contender]:
        """Those that were measured, in the order of the list."""
        names = {cell["contender"] for cell in self._cells}
        return [c for c in EVERYONE if c.name in names]

    @property
    def sizes(self) -> list[str]:
        """Those that were measured."""
        names = {cell["size"] for cell in self._cells}
        return [size.name for size in SIZES if size.name in names]

    def measured(self, size: str) -> list[Contender]:
        """Those that were measured with a size."""
        return [c for c in self.contenders if self.cells(c.name, size)]

    @property
    def rounds(self) -> int:
        """How many there are."""
        return max((cell["round"] for cell in self._cells), default=0)

    def cells(self, contender: str, size: str) -> list[Record]:
        """A contender's with a size, one a round."""
        return [c for c in self._cells if (c["contender"], c["size"]) == (contender, size)]

    def saturation(self, contender: str, size: str, key: str) -> list[float]:
        """A figure at saturation, one a round."""
        return [float(cell["saturation"][key]) for cell in self.cells(contender, size)]

    def raw(self, engine: str, key: str) -> list[float]:
        """An engine's photos a second without a server, one a round; key: busy or single."""
        return [float(r[key]) for r in self._raw if r["engine"] == engine]

    def percentile(self, contender: str, size: str, step: str, q: float) -> float | None:
        """Of the latencies of all rounds, in seconds; None where fewer than ten lie beyond it.

        Requests that failed took for ever.
        """
        took = [t for cell in self.cells(contender, size) for t in _took(cell[step])]
        return _percentile(took, q) if len(took) * (100 - q) >= 1000 else None

    def percentiles(self, contender: str, size: str, step: str, q: float) -> list[float]:
        """The same, one a round."""
        each = [_took(cell[step]) for cell in self.cells(contender, size)]
        return [_percentile(took, q) for took in each if took]

    def lost(self, contender: str, size: str, step: str) -> dict[str, int]:
        """Requests of all rounds that were not answered with 200, by status."""
        out: dict[str, int] = {}
        for cell in self.cells(contender, size):
            for status, count in cell[step]["failed"].items():
                out[status] = out.get(status, 0) + count
        return out

    def apart(self, contender: str) -> float:
        """Mean difference of its pixels from the first contender's, in 8-bit codes; the worst."""
        mine = [cell for cell in self._cells if cell["contender"] == contender]
        return max((float(cell.get("apart", {}).get("mean", 0)) for cell in mine), default=0.0)

    def sent(self, contender: str, size: str, step: str) -> int:
        """Requests of all rounds."""
        return sum(int(cell[step]["sent"]) for cell in self.cells(contender, size))


def _took(step: Record) -> list[float]:
    return [*step["took_s"], *[math.inf] * sum(step["failed"].values())]


def _percentile(took: list[float], q: float) -> float:
    """As NumPy's; nothing lies between a number and for ever."""
    place = (len(took) - 1) * q / 100
    low, high = (sorted(took)[n] for n in (math.floor(place), math.ceil(place)))
    return high if math.isinf(high) else low + (high - low) * (place % 1)


def in_seconds(value: float) -> str:
    """A latency in words."""
    return "not answered" if math.isinf(value) else f"{value:.2f} s"
