"""chromaserve and its peers side by side: the same SavedModel, photos, load and machine.

    make bench                     all of it, writes docs/measurements/benchmarks.md
    make bench ARGS=--quick        a few seconds each, to see whether all works

Every server is started once a round and measured with each size of photo; rounds interleave the
contenders. Lines go to the results file as they come: a run that was interrupted goes on where it
stopped, `--fresh` begins anew, `--report` only writes the page.
"""

import argparse
import json
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from benchmarks.serving.contenders import CONTENDERS, ENGINES, EVERYONE, OWN_PYTHON, Contender
from benchmarks.serving.load import require_h2load
from benchmarks.serving.measure import difference, measure, wait_until_ready
from benchmarks.serving.photos import ROOT, SIZES, Size, write_forms
from benchmarks.serving.processes import running
from benchmarks.serving.report import page
from benchmarks.serving.results import Results, describe_run

RUNS = ROOT / "runs" / "bench"
PAGE = ROOT / "docs" / "measurements" / "benchmarks.md"
QUICK_S = 4.0


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
    rounds = arguments.rounds or (1 if arguments.quick else 2)
    sizes = [size for size in SIZES if size.name in arguments.sizes]
    for round_ in range(1, rounds + 1):
        # Every other round backwards, so that a machine that slows down slows all alike.
        for contender in chosen if round_ % 2 else chosen[::-1]:
            if contender.ours and not results.has(
                kind="raw", round=round_, engine=contender.engine
            ):
                _raw(contender.engine, round_, results, 2 if quick else 6)
            try:
                _contender(contender, round_, results, forms, sizes, 0 if quick else rounds)
            except (RuntimeError, OSError, httpx.HTTPError) as error:
                print(f"  failed: {error}", flush=True)
                results.append({"kind": "failure", "round": round_, "contender": contender.name,
                                "message": str(error)})  # fmt: skip
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


def _contender(
    contender: Contender, round_: int, results: Results, forms: dict[str, Path],
    chosen: list[Size], rounds: int,
) -> None:  # fmt: skip
    """Measure one; of no rounds, quickly."""
    keys = {"kind": "cell", "round": round_, "contender": contender.name}
    sizes = [size for size in chosen if not contender.sizes or size.name in contender.sizes]
    todo = [size for size in sizes if not results.has(**keys, size=size.name)]
    if not todo:
        return
    print(f"round {round_}, {contender.title}", flush=True)
    port = _free_port()
    url = f"http://127.0.0.1:{port}/colorize"
    log = RUNS / "logs" / f"{contender.name}-{round_}.log"
    began = time.monotonic()
    with running(contender.words(port), contender.variables(port), log) as (process, tree):
        wait_until_ready(url, forms[SIZES[0].name], process, log)
        ready_s = time.monotonic() - began
        for size in todo:
            body = forms[size.name]
            apart = difference(url, body, size, RUNS / "photos" / f"{size.width}.png")
            seconds, timed = (size.seconds, size.timed // rounds) if rounds else (QUICK_S, 0)

            def say(text: str, name: str = size.name) -> None:
                print(f"  {name}: {text}", flush=True)

            cell = measure(url, body, size, tree, seconds, timed, say)
            results.append({**keys, "size": size.name, "ready_s": round(ready_s, 1),
                            "apart": apart, **cell})  # fmt: skip


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


if __name__ == "__main__":
    main()
