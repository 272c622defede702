"""One browser for the tests of the page; every page is watched for what it must not do."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Route, expect

from tests.conftest import Server
from tests.page.browser import browser

Open = Callable[..., Page]
TIMEOUT_MS = 30_000

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="package")
def chromium() -> Iterator[tuple[Playwright, Browser]]:
    with browser() as launched:
        yield launched


@pytest.fixture
def open_page(chromium: tuple[Playwright, Browser], server: Server) -> Iterator[Open]:
    """Opens the page in a context of its own (options are Playwright's, as `viewport`).

    `route` has every request pass through it, as a proxy has.

    At the end: no request went to another host, nothing broke the Content-Security-Policy, no
    script failed.
    """
    faults: list[str] = []
    contexts = []

    def open_(
        url: str = server.url + "/",
        route: Callable[[Route], None] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Page:
        host = urlsplit(url).netloc

        def on_console(message: ConsoleMessage) -> None:
            # That an answer was an error is what some tests are about.
            if message.type == "error" and "the server responded with" not in message.text:
                faults.append(message.text)

        def on_request(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme != "blob" and parts.netloc != host:
                faults.append(f"a request to {request.url}")

        contexts.append(chromium[1].new_context(reduced_motion="reduce", **options))
        contexts[-1].set_default_timeout(TIMEOUT_MS)
        page = contexts[-1].new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", on_request)
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
