"""What guiding the colours costs: CPU time of a photo in the service, above that of a plain one.

    python -m benchmarks.guidance --photos 5 --rounds 5

Starts the service and sends grey JPEGs with grain, one request at a time, no two photos alike, so
that nothing is known from before: plain ones, then with each kind of guidance in turn, round by
round. Told is the median of the rounds, with the least and the most, of what a photo takes more
than the plain ones of its round; of an album and a job a photo's share. CPU time is that of all
threads of the service. `verify` is the command as a whole, its start included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import cv2
import httpx

from benchmarks.hints import SHOWN_HINTS, SHOWN_SHAPES
from benchmarks.jobs import files, job, photos, serving, wait
from benchmarks.serving.photos import SIZES, Size
from benchmarks.serving.processes import Tree
from chromaserve.pipeline.hints import AnyHint, Hint, Region

REFERENCE = Path(__file__).parents[1] / "samples" / "colour" / "pagoda.jpg"
SHOWN_SIZE = 600, 400
"""Pixels of the sample that the documentation's hints were made for."""

Way = Callable[[httpx.Client, list[bytes]], None]
"""Sends photos, and takes what comes back."""


def each(**fields: str) -> Way:
    """One request a photo, with these options."""

    def send(http: httpx.Client, given: list[bytes]) -> None:
        for photo in given:
            http.post("/colorize", files={"file": photo}, data=fields).raise_for_status()

    return send


def referred(http: httpx.Client, given: list[bytes]) -> None:
    """One request a photo, each with a reference that was not seen before."""
    rgb = cv2.imread(str(REFERENCE))
    assert rgb is not None
    for number, photo in enumerate(given):
        rgb[number, 0] = len(photo) % 256, number, 0
        reference = cv2.imencode(".png", rgb)[1].tobytes()
        both = {"file": photo, "reference": reference}
        http.post("/colorize", files=both).raise_for_status()


def album(http: httpx.Client, given: list[bytes]) -> None:
    """All in one request, which agree."""
    http.post("/colorize", files=files(given), data={"album": "true"}).raise_for_status()


def as_job(http: httpx.Client, given: list[bytes]) -> None:
    """All in one job, with its results."""
    identity, _ = job(http, given)
    wait(http, identity)
    http.get(f"/jobs/{identity}/results").raise_for_status()


def ways(size: Size) -> Iterator[tuple[str, Way]]:
    """What is measured, by what the table calls it; the plain photo first."""
    yield "a plain photo", each()
    yield "`proposals=5`, five results", each(proposals="5")
    yield "`proposal=2`", each(proposal="2")
    yield "`reference`, a new one each time", referred
    yield "`album=true`", album
    strokes, regions = (
        tuple(hint for hint in SHOWN_SHAPES if isinstance(hint, Region) == closed)
        for closed in (False, True)
    )
    for name, shapes in (("points", SHOWN_HINTS), ("strokes", strokes), ("regions", regions)):
        yield f"hints: {len(shapes)} {name}", each(hints=_as_json(shapes, size))
    yield "`confidence=figure`", each(confidence="figure")
    yield "`confidence=png`, the map alone", each(confidence="png")
    yield "a job", as_job


def _as_json(shapes: Sequence[AnyHint], size: Size) -> str:
    """The documentation's hints, at the same places of a photo of this size."""
    wide, high = size.width / SHOWN_SIZE[0], size.height / SHOWN_SIZE[1]
    told = []
    for shape in shapes:
        fields = shape.model_dump(mode="json", exclude_none=True)
        corners = [(x * wide, y * high) for x, y in shape.points]
        if isinstance(shape, Hint):
            fields["x"], fields["y"] = corners[0]
        else:
            fields["region" if isinstance(shape, Region) else "stroke"] = corners
        told.append(fields)
    return json.dumps(told)


def measured(
    http: httpx.Client, tree: Tree, size: Size, count: int, rounds: int
) -> Iterator[tuple[str, list[float]]]:
    """CPU milliseconds a photo of each way, round by round."""
    asked = list(ways(size))
    fresh = iter(photos((rounds + 1) * len(asked) * count, size.name))
    found: dict[str, list[float]] = {name: [] for name, _ in asked}
    for number in range(rounds + 1):
        for name, way in asked:
            given = [next(fresh) for _ in range(count)]
            before = tree.cpu_s()
            way(http, given)
            if number:  # the first round warms up
                found[name].append(1000 * (tree.cpu_s() - before) / count)
    yield from found.items()


def verified(folder: Path, http: httpx.Client, size: Size, rounds: int) -> list[float]:
    """CPU milliseconds of `chromaserve verify`."""
    photo, result = folder / "photo.jpg", folder / "result.png"
    photo.write_bytes(photos(1, size.name)[0])
    answer = http.post("/colorize", files={"file": photo.read_bytes()}).raise_for_status()
    result.write_bytes(answer.content)
    took = []
    words = [sys.executable, "-m", "chromaserve", "verify", str(photo), str(result), "--json"]
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return [1000 * seconds for seconds in took]


def _told(values: list[float]) -> str:
    return f"{median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def main() -> None:
    """Start the service and print a table a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=5, help="of each kind, a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        serving(Path(name), "", cache_mb=64) as served,
    ):
        http, tree = served.http, served.tree
        for size in SIZES[:2]:
            print(
                f"\n| {size.name} | CPU ms a photo | more than a plain one |\n| --- | ---: | ---: |"
            )
            plain: list[float] = []
            for way, took in measured(http, tree, size, options.photos, options.rounds):
                plain = plain or took
                more = [mine - theirs for mine, theirs in zip(took, plain, strict=True)]
                print(f"| {way} | {_told(took)} | {_told(more) if took is not plain else ''} |")
            took = verified(Path(name), http, size, options.rounds)
            print(f"| `chromaserve verify` | {_told(took)} | |", flush=True)


if __name__ == "__main__":
    main()
