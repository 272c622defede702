"""Renew the generated parts of the documentation: `python -m docs.generator [--check]`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from docs.generator.blocks import Maker, renew
from docs.generator.commands import command_line
from docs.generator.http_api import headers_table, options_table, problems_table, routes
from docs.generator.settings import settings_table

PAGES = Path(__file__).resolve().parent.parent
MAKERS: dict[str, Maker] = {
    "settings": settings_table,
    "options": options_table,
    "headers": headers_table,
    "problems": problems_table,
    "routes": routes,
    "command-line": command_line,
}


def stale_pages() -> Iterator[tuple[Path, str]]:
    """Pages under docs that are not as the code makes them, and what they should be."""
    for path in sorted(PAGES.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        renewed = renew(page, MAKERS)
        if renewed != page:
            yield path, renewed


def main() -> int:
    """Renew every stale page; with --check only tell which ones are."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if stale")
    check = parser.parse_args().check
    stale = list(stale_pages())
    for path, renewed in stale:
        print(f"{path}: {'not up to date; run `make reference`' if check else 'renewed'}")
        if not check:
            path.write_text(renewed, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
