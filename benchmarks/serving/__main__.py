"""chromaserve and its peers side by side: the same SavedModel, photos, load and machine.

    make bench                     all of it, writes docs/measurements/benchmarks.md
    make bench ARGS=--quick        a few seconds each, to see whether all works

All servers on one engine are started, and have their turns with each size of photo, round by round:
what is compared is measured minutes apart. Those whose turn it is not are stopped where they are.
Lines go to the results file as they come: an interrupted run goes on where it stopped, `--fresh`
begins anew, `--report` only writes the page.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.serving.contenders import (
    CONTENDERS,
    ENGINES,
    EVERYONE,
    OWN_PYTHON,
    SLOWER,
    Contender,
)
from benchmarks.serving.load import require_h2load
from benchmarks.serving.measure import Record, difference, measure, wait_until_ready
from benchmarks.serving.photos import ROOT, SIZES, Size, write_forms
from benchmarks.serving.processes import Tree, free_port, running
from benchmarks.serving.report import page
from benchmarks.serving.results import Results, describe_run

RUNS = ROOT / "runs" / "bench"
PAGE = ROOT / "docs" / "measurements" / "benchmarks.md"
QUICK_S = 4.0
SLOWER_STEPS = 4  # times as long


def main() -> None:
    arguments = _arguments()
    profile = "quick" if arguments.quick else "full"
    results = Results(arguments.results or RUNS / f"serving-{profile}.jsonl")
    if not arguments.report:
        _run(arguments, profile, results)
    target = arguments.page or (RUNS / "quick.md" if arguments.quick else PAGE)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(results.records()))
    print(f"written: {target}")


def _arguments() -> argparse.Namespace:
    names, all_names = ([c.name for c in some] for some in (CONTENDERS, EVERYONE))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one short round; another page")
    parser.add_argument("--rounds", type=int, help="2, with --quick 1")
    parser.add_argument("--only", nargs="+", choices=all_names, default=names, metavar="NAME")
    sizes = [size.name for size in SIZES]
    parser.add_argument("--sizes", nargs="+", choices=sizes, default=sizes, metavar="SIZE")
    parser.add_argument("--results", type=Path, help="file of lines of JSON")
    parser.add_argument("--page", type=Path, help="the page to write")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    return parser.parse_args()


def _run(arguments: argparse.Namespace, profile: str, results: Results) -> None:
    require_h2load()
    chosen = [c for c in EVERYONE if c.name in arguments.only]
    missing = [c.title for c in chosen if not c.python.exists()]
    if missing:
        raise SystemExit(f"Not installed: {', '.join(missing)}. `make bench` installs the peers.")
    if arguments.fresh:
        results.path.unlink(missing_ok=True)
        for reference in (RUNS / "photos").glob("*.png"):
            reference.unlink()
    if not results.has(kind="run", profile=profile):
        if results.records():
            raise SystemExit(f"{results.path} is of another profile: give --fresh or --results.")
        results.append(describe_run(profile, _command(), chosen))
    forms = write_forms(RUNS / "photos")
    quick = arguments.quick
    began = time.monotonic()
    rounds = arguments.rounds or (1 if quick else 2)
    sizes = [size for size in SIZES if size.name in arguments.sizes]
    for engine in ENGINES:
        group = [contender for contender in chosen if contender.engine == engine]
        _group(group, rounds, sizes, forms, results, quick=quick)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")


def _command() -> str:
    words = shlex.join(sys.argv[1:])
    return f'make bench ARGS="{words}"' if words else "make bench"


def _raw(engine: str, round_: int, results: Results, seconds: float) -> None:
    words = [str(OWN_PYTHON), "-m", "benchmarks.serving.raw", engine, "--seconds", str(seconds)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(words)} failed:\n{done.stderr[-2000:]}")
    rates = json.loads(done.stdout.splitlines()[-1])
    results.append({"kind": "raw", "round": round_, "engine": engine, **rates})
    print(f"round {round_}, {ENGINES[engine]} alone: {rates['busy']:.2f} photos/s at its busiest,"
          f" {rates['single']:.2f} one by one", flush=True)  # fmt: skip


def _group(
    group: list[Contender], rounds: int, sizes: list[Size], forms: dict[str, Path],
    results: Results, *, quick: bool,
) -> None:  # fmt: skip
    """Measure contenders on one engine: all are started, then each has its turn at each size."""
    cells = [
        Cell(contender, size, round_)
        for round_ in range(1, rounds + 1)
        for size in sizes
        # Every other round backwards, so that a machine that slows down slows all alike.
        for contender in (group if round_ % 2 else group[::-1])
        if not contender.sizes or size.name in contender.sizes
    ]
    todo = [cell for cell in cells if not results.has(**cell.keys)]
    waiting = {cell.contender.name for cell in todo}
    alone = any(each.ours for each in group)  # the engine is measured, too
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for contender in group:
            if contender.name in waiting:
                try:
                    started = _started(stack, contender, forms[SIZES[0].name])
                    started.tree.pause()
                    servers[contender.name] = started
                except (RuntimeError, OSError) as error:
                    _failed(results, Cell(contender, sizes[0], 1), error)
        for cell in todo:
            engine = cell.contender.engine
            keys = {"kind": "raw", "round": cell.round, "engine": engine}
            if alone and not results.has(**keys):
                _raw(engine, cell.round, results, 2 if quick else 6)
            if server := servers.get(cell.contender.name):
                timed = 0 if quick or engine == SLOWER else cell.size.timed // rounds
                try:
                    with _awake(server, forms[SIZES[0].name]):
                        results.append(_measured(cell, server, forms, timed, quick=quick))
                except (RuntimeError, OSError, httpx.HTTPError) as error:
                    _failed(results, cell, error)


@dataclass(frozen=True)
class Cell:
    """What is measured at one time."""

    contender: Contender
    size: Size
    round: int

    @property
    def keys(self) -> Record:
        """Of its record."""
        return {
            "kind": "cell", "round": self.round, "contender": self.contender.name,
            "size": self.size.name,
        }  # fmt: skip


@dataclass(frozen=True)
class Server:
    """A contender that runs."""

    url: str
    process: "subprocess.Popen[bytes]"
    tree: Tree
    log: Path
    ready_s: float


@contextmanager
def _awake(server: Server, body: Path) -> Iterator[None]:
    """A server's turn: what it does besides, such as to poll, is not in the others' figures."""
    server.tree.go_on()
    try:
        wait_until_ready(server.url, body, server.process, server.log)
        yield
    finally:
        server.tree.pause()


def _started(stack: ExitStack, contender: Contender, body: Path) -> Server:
    port = free_port()
    url = f"http://127.0.0.1:{port}/colorize"
    log = RUNS / "logs" / f"{contender.name}.log"
    began = time.monotonic()
    process, tree = stack.enter_context(
        running(contender.words(port), contender.variables(port), log)
    )
    wait_until_ready(url, body, process, log)
    ready_s = round(time.monotonic() - began, 1)
    print(f"{contender.title}: ready in {ready_s:.1f} s", flush=True)
    return Server(url, process, tree, log, ready_s)


def _measured(
    cell: Cell, server: Server, forms: dict[str, Path], timed: int, *, quick: bool
) -> Record:
    size, body = cell.size, forms[cell.size.name]
    apart = difference(server.url, body, size, RUNS / "photos" / f"{size.width}.png")

    def say(text: str) -> None:
        print(f"round {cell.round}, {size.name}, {cell.contender.title}: {text}", flush=True)

    slower = cell.contender.engine == SLOWER  # a batch takes seconds: a short step has few
    seconds = QUICK_S if quick else size.seconds * (SLOWER_STEPS if slower else 1)
    record = measure(server.url, body, size, server.tree, seconds, timed, say)
    return {**cell.keys, "ready_s": server.ready_s, "apart": apart, **record}


def _failed(results: Results, cell: Cell, error: Exception) -> None:
    print(f"  failed: {error}", flush=True)
    results.append({"kind": "failure", "round": cell.round, "contender": cell.contender.name,
                    "message": str(error)})  # fmt: skip


if __name__ == "__main__":
    main()
