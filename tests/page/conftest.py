"""Browsers for the tests of the page; every page is watched for what it must not do."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    Route,
    expect,
    sync_playwright,
)

from tests.conftest import Server
from tests.page.browser import installed, launched

Open = Callable[..., Page]
TIMEOUT_MS = 60_000

ALLOWED = (
    # That an answer is an error, or a photo damaged, is what some tests are about.
    "the server responded with",
    "Image corrupt or truncated",
    # That a file has changed, too.
    "net::ERR_UPLOAD_FILE_CHANGED",
    # The style `body {}`, which Playwright puts in for its screenshots of Firefox.
    "sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT+SmwNZWA=",
)

expect.set_options(timeout=TIMEOUT_MS)


# For tests of what every browser has to do; the others run in Chromium.
in_both = pytest.mark.parametrize(
    "engine", ["chromium", pytest.param("firefox", marks=pytest.mark.slow)], indirect=True
)

# For tests that look at no colours: their page is of a service with a small network.
without_colours = pytest.mark.parametrize("served", ["small_server"], indirect=True, ids=["small"])


@pytest.fixture(scope="package")
def browsers() -> Iterator[Callable[[str], tuple[Playwright, Browser]]]:
    """Each is launched when a test first asks for it, and stays."""
    with sync_playwright() as playwright, ExitStack() as running:

        @cache
        def find(kind: str) -> tuple[Playwright, Browser]:
            return playwright, running.enter_context(launched(playwright, kind))

        yield find


@pytest.fixture
def engine(
    request: pytest.FixtureRequest, browsers: Callable[[str], tuple[Playwright, Browser]]
) -> tuple[Playwright, Browser]:
    kind = getattr(request, "param", "chromium")
    if kind == "firefox" and not installed(kind):
        pytest.skip(
            "no Firefox is installed: apt install firefox-esr, or name one in CHROMASERVE_FIREFOX"
        )
    return browsers(kind)


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Server:
    """The service that the page is of."""
    server: Server = request.getfixturevalue(getattr(request, "param", "server"))
    return server


@pytest.fixture
def open_page(engine: tuple[Playwright, Browser], served: Server) -> Iterator[Open]:
    """Opens the page in a context of its own (options are Playwright's, as `viewport`).

    `route` has every request pass through it, as a proxy has; `script` runs before the page's own.

    At the end: no request went to another host, nothing broke the Content-Security-Policy, no
    script failed.
    """
    faults: list[str] = []
    contexts = []

    def open_(
        url: str = served.url + "/",
        route: Callable[[Route], None] | None = None,
        script: str = "",
        **options: Any,  # noqa: ANN401
    ) -> Page:
        host = urlsplit(url).netloc

        def on_error(said: str) -> None:
            if not any(each in said for each in ALLOWED):
                faults.append(said)

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error":
                on_error(message.text)

        def on_request(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme != "blob" and parts.netloc != host:
                faults.append(f"a request to {request.url}")

        contexts.append(engine[1].new_context(reduced_motion="reduce", **options))
        contexts[-1].set_default_timeout(TIMEOUT_MS)
        page = contexts[-1].new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: on_error(str(error)))
        page.on("request", on_request)
        if script:
            page.add_init_script(script)
        if route:
            page.route("**/*", route)
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def page(open_page: Open) -> Page:
    """The page, wide enough for the options to stand beside the photo."""
    return open_page(viewport={"width": 1280, "height": 800})
