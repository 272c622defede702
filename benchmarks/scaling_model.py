"""How long a very large folder takes, and what it costs: arithmetic, with its assumptions.

    python -m benchmarks.scaling_model
    python -m benchmarks.scaling_model --photos 1e7 --mix 1:1 --price-core-hour 0.05
    python -m benchmarks.scaling_model --measure

Nothing is measured but by --measure, which tells how many bytes the sample photos and their results
have a pixel, on this machine. Prices are the caller's: without one, its cost is not told.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent.parent / "samples" / "grey"
LIST_PAGE = 1000
"""Names that object stores give a LIST request."""
HOUR_S = 3600.0


@dataclass(frozen=True)
class Assumptions:
    """What the reckoning starts from. Defaults are this project's measurements where it says so."""

    photos: float = 1e9
    mix: str = "0.3:0.5,2:0.4,12:0.1"
    """Assumed: megapixels:share, the shares sum to 1."""
    core_s: float = 0.251
    """Core seconds of a photo of any size. Measured: docs/measurements/benchmarks.md."""
    core_s_per_mp: float = 0.088
    """And of each megapixel. Measured: the same."""
    overhead: float = 0.05
    """Part of the cores' time that Ray takes. Measured: benchmarks.batch."""
    in_mb_per_mp: float = 0.22
    """MB of a photo a megapixel. Measured: --measure."""
    out_mb_per_mp: float = 1.39
    """MB of its result. Measured: --measure."""
    cores: int = 16
    """Assumed: of a machine."""
    worker_cores: int = 1
    """Of a worker."""
    network_gbit_s: float = 5.0
    """Assumed: of a machine, in each direction."""
    parcel: int = 64
    """Photos of a task."""
    tasks_s: float = 100.0
    """Tasks a second that one job's driver keeps up with. Measured: benchmarks.batch."""
    mtbf_h: float = 500.0
    """Assumed: hours between failures of one machine, or its being taken away."""
    restart_s: float = 60.0
    """Assumed: until a worker is there again, its model loaded."""
    price_core_hour: float | None = None
    price_thousand_reads: float | None = None
    price_thousand_writes: float | None = None
    """LIST requests count as writes, as object stores charge them."""
    price_gb_month: float | None = None


@dataclass(frozen=True)
class Mean:
    """A photo of the mix, on average."""

    mp: float
    core_s: float
    in_mb: float
    out_mb: float


def mean(given: Assumptions) -> Mean:
    """Averages over the mix.

    Raises:
        ValueError: the shares do not sum to 1.
    """
    pairs = [tuple(map(float, each.split(":"))) for each in given.mix.split(",")]
    if abs(sum(share for _, share in pairs) - 1) > 1e-6:
        raise ValueError(f"the shares of {given.mix} do not sum to 1")
    mp = sum(each * share for each, share in pairs)
    core_s = (given.core_s + given.core_s_per_mp * mp) / (1 - given.overhead)
    return Mean(mp, core_s, mp * given.in_mb_per_mp, mp * given.out_mb_per_mp)


def hours(given: Assumptions, machines: int) -> tuple[float, str]:
    """Hours on so many machines, and what bounds them. Losses are counted, see `lost`."""
    one = mean(given)
    bounds = {
        "cores": given.photos * one.core_s / (machines * given.cores),
        "network": given.photos
        * 8
        * max(one.in_mb, one.out_mb)
        / (machines * given.network_gbit_s * 1000),
        "one driver": given.photos / given.parcel / given.tasks_s,
    }
    bound = max(bounds, key=lambda name: bounds[name])
    return bounds[bound] / HOUR_S * (1 + lost(given)), bound


def lost(given: Assumptions) -> float:
    """Part of the work that is done again because machines are lost.

    A lost worker has two parcels begun, half done on average, and comes back after a while.
    """
    again_s = given.parcel * mean(given).core_s / given.worker_cores + given.restart_s
    return again_s / (given.mtbf_h * HOUR_S)


def report(given: Assumptions) -> Iterator[str]:
    """The reckoning in lines of Markdown."""
    one, photos = mean(given), given.photos
    core_hours = photos * one.core_s / HOUR_S * (1 + lost(given))
    lists = 2 * photos / LIST_PAGE
    stored_tb = photos * one.out_mb / 1e6
    yield f"A photo on average: {one.mp:.3g} MP, {one.core_s:.3g} core seconds,"
    yield f"{one.in_mb:.2g} MB in, {one.out_mb:.2g} MB out.\n"
    yield f"| {photos:,.0f} photos | |"
    yield "| --- | --- |"
    yield f"| core hours | {core_hours:,.0f} |"
    yield f"| read | {photos * one.in_mb / 1e6:,.0f} TB in {photos:,.0f} requests |"
    yield f"| written | {stored_tb:,.0f} TB in {photos:,.0f} requests |"
    yield f"| LIST requests, source and target | {lists:,.0f} |"
    yield f"| tasks | {photos / given.parcel:,.0f} |"
    yield f"| done again, for lost machines | {100 * lost(given):.2g} % |"
    prices = {
        "cores": (given.price_core_hour, core_hours),
        "reads": (given.price_thousand_reads, photos / 1000),
        "writes and LISTs": (given.price_thousand_writes, (photos + lists) / 1000),
        "results stored, a month": (given.price_gb_month, stored_tb * 1000),
    }
    for what, (price, count) in prices.items():
        if price is not None:
            yield f"| cost: {what}, at {price:g} each | {price * count:,.0f} |"
    yield "\n| machines | hours | bounded by | photos/s | machines lost meanwhile |"
    yield "| ---: | ---: | --- | ---: | ---: |"
    for machines in (1, 10, 100, 1000):
        took, bound = hours(given, machines)
        failures = machines * took / given.mtbf_h
        rate = photos / took / HOUR_S
        yield f"| {machines} | {took:,.1f} | {bound} | {rate:,.0f} | {failures:,.1f} |"


def measured() -> str:
    """Bytes a pixel of the samples and of their results."""
    from chromaserve.library.colorizer import Colorizer
    from chromaserve.photos.header import inspect

    pixels = 0
    before: dict[str, int] = {"in": 0, "png": 0, "jpeg": 0, "webp": 0}
    with Colorizer() as colorizer:
        for path in sorted(SAMPLES.iterdir()):
            data = path.read_bytes()
            pixels += inspect(data, max_pixels=10**9, max_side=10**6).pixels
            before["in"] += len(data)
            for format in ("png", "jpeg", "webp"):
                before[format] += len(colorizer.colorize(data, format=format))
    each = ", ".join(f"{name} {count / pixels:.2f}" for name, count in before.items())
    return f"{len(list(SAMPLES.iterdir()))} samples, {pixels / 1e6:.1f} MP; MB a megapixel: {each}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    for each in fields(Assumptions):
        kind: Any = each.type if each.type in (str, int) else float
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=kind, default=each.default)
    chosen = vars(parser.parse_args())
    if chosen.pop("measure"):
        print(measured())
    else:
        print("\n".join(report(Assumptions(**chosen))))


if __name__ == "__main__":
    main()
