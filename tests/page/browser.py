"""The browser that the page is tested and pictured in: Chromium, wherever it is."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

VARIABLE = "CHROMASERVE_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """The path of a Chromium outside Playwright's own folder, None where there is none."""
    return os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def browser() -> Iterator[tuple[Playwright, Browser]]:
    """A Chromium without a window: the one that is installed, or else Playwright's own."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=installed(),
            # As root, as in a container, Chromium has no sandbox.
            chromium_sandbox=os.geteuid() != 0,
            args=["--disable-gpu", "--force-color-profile=srgb"],
        )
        try:
            yield playwright, launched
        finally:
            launched.close()


def is_there() -> bool:
    """Whether a browser is there, installed or Playwright's."""
    if installed():
        return True
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


if __name__ == "__main__":  # for the Makefile: status 0 where a browser is there
    sys.exit(not is_there())
