"""Header and decoder under a fuzzer that looks for new branches: `make fuzz`, with Atheris.

Arguments are libFuzzer's: `-max_total_time=60`, folders of files to begin with and to add to.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["chromaserve.photos", "PIL"]):
    from tests.hostile.files import originals
    from tests.hostile.trial import outcome


def test_one(data: bytes) -> None:
    """Raise whatever is no refusal: the fuzzer stops, and keeps the file."""
    outcome(data)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in originals().items():
            (Path(folder) / name).write_bytes(data)
        atheris.Setup([*sys.argv, folder], test_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
