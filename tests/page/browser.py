"""The browsers that the page is tested in: Chromium, wherever it is, and Debian's Firefox."""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

VARIABLES = {"chromium": "CHROMASERVE_CHROMIUM", "firefox": "CHROMASERVE_FIREFOX"}
_NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "firefox": ("firefox-esr", "firefox"),
}
ROOT = Path(__file__).resolve().parent.parent.parent


def installed(kind: str = "chromium") -> str | None:
    """The path of a browser outside Playwright's own folder, None where there is none."""
    named = os.environ.get(VARIABLES[kind])
    return named or next(filter(None, map(shutil.which, _NAMES[kind])), None)


@contextmanager
def browser(kind: str = "chromium") -> Iterator[tuple[Playwright, Browser]]:
    """A browser without a window: the one that is installed, or else Playwright's own Chromium."""
    with sync_playwright() as playwright, launched(playwright, kind) as found:
        yield playwright, found


@contextmanager
def launched(playwright: Playwright, kind: str) -> Iterator[Browser]:
    """As `browser`, where Playwright runs already."""
    with tempfile.TemporaryDirectory() as folder:
        found = _firefox(playwright, Path(folder)) if kind == "firefox" else _chromium(playwright)
        try:
            yield found
        finally:
            found.close()


def _chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(
        executable_path=installed(),
        # As root, as in a container, Chromium has no sandbox.
        chromium_sandbox=os.geteuid() != 0,
        args=["--disable-gpu", "--force-color-profile=srgb"],
    )


def _firefox(playwright: Playwright, folder: Path) -> Browser:
    """Firefox as it is installed; Playwright's own has patches, this one it drives by BiDi."""
    script = folder / "firefox"
    command = shlex.join([sys.executable, "-m", "tests.page.firefox", installed("firefox") or ""])
    script.write_text(f'#!/bin/sh\ncd {shlex.quote(str(ROOT))} && exec {command} "$@"\n')
    script.chmod(0o755)
    return playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=script,
        firefox_user_prefs={
            # What Playwright asks of Chromium for each page.
            "ui.prefersReducedMotion": 1,
            "gfx.color_management.mode": 0,
            # A panel that opens at a download takes the focus.
            "browser.download.alwaysOpenPanel": False,
        },
    )


def is_there(kind: str) -> bool:
    """Whether a browser is there, installed or, of Chromium, Playwright's."""
    if installed(kind) or kind == "firefox":
        return bool(installed(kind))
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


if __name__ == "__main__":  # for the Makefile: status 0 where the browser that is named is there
    sys.exit(not is_there(sys.argv[1]))
