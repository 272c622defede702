"""Many hostile files through header and decoder: `python -m tests.hostile --seed 7 --count 20000`.

Prints each file that raises anything but an error for clients, and the slowest.
"""

import argparse
import sys
import time
from collections import Counter
from itertools import chain
from pathlib import Path

from tests.hostile.bombs import bombs
from tests.hostile.files import cases
from tests.hostile.trial import outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="folder for the files that fail")
    options = parser.parse_args()
    seen: Counter[str] = Counter()
    slowest, worst = 0.0, ""
    failures = 0
    for case in chain(bombs(), cases(options.seed, options.count)):
        start = time.process_time()
        try:
            seen[outcome(case.data)] += 1
        except Exception as error:
            failures += 1
            print(f"{case.name}: {type(error).__name__}: {error}")
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / case.name.replace("/", "-")).write_bytes(case.data)
        took = time.process_time() - start
        if took > slowest:
            slowest, worst = took, case.name
    print(
        f"{seen.total()} as they should, {failures} not; the slowest {slowest:.2f} s CPU: {worst}"
    )
    for kind, count in seen.most_common():
        print(f"{count:7} {kind}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
