"""What surrounds the network: CPU time of a photo in the service whose answer is kept.

    python -m benchmarks.surroundings --photos 600

Starts the service and sends one photo again and again, 16 at a time (h2load), so that the network
never runs. The event loop's thread holds Python's lock nearly all its time: a second by its ms is
the most photos that one process can serve, however many cores there are.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.serving.load import closed_loop, require_h2load
from benchmarks.serving.photos import SIZES, form, jpeg
from benchmarks.serving.processes import service

CLIENTS, WARM_UP = 16, 64


def threads(pid: int) -> tuple[float, float]:
    """CPU seconds so far of the event loop's thread, and of all others that live."""
    loop = others = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9  # proc(5)
        except OSError:
            continue
        if task.name == str(pid):
            loop = seconds
        else:
            others += seconds
    return loop, others


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=600, help="of 256², a round; a tenth of 1 MP")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    require_h2load()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as served:
        url, process = served.url, served.process
        for size, share in zip(SIZES, (1, 10), strict=False):
            photos = max(CLIENTS, options.photos // share)
            body = Path(folder) / "photo.form"
            body.write_bytes(form(jpeg(size)))
            closed_loop(url + "/colorize", body, CLIENTS, WARM_UP)
            rounds = []
            for _ in range(options.rounds):
                before = threads(process.pid)
                answers = closed_loop(url + "/colorize", body, CLIENTS, photos)
                assert len(answers.took_s) == photos, answers.failed
                loop, others = (
                    1000 * (after - start) / photos
                    for after, start in zip(threads(process.pid), before, strict=True)
                )
                rounds.append((loop, others, photos / answers.ended_s))
            loop, others, rate = map(median, zip(*rounds, strict=True))
            told = {
                "photo": size.name,
                "ms CPU of the event loop": round(loop, 2),
                "ms CPU of other threads": round(others, 2),
                "photos/s, network not run": round(rate, 1),
                "photos/s at most by the event loop": round(1000 / loop),
            }
            print(json.dumps(told, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
