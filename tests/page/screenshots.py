"""Pictures of the page for the documentation: `make screenshots`, into docs/images."""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import running
from tests.page.browser import browser
from tests.page.stage import DONE, ROOT, choose, photo

DESKTOP = {"width": 1280, "height": 800}


def main() -> None:
    """Start a service and picture its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--all", action="store_true", help="more than the documentation shows")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as start,
        browser() as (playwright, chromium),
    ):
        server, keeping = start(), start(jobs=Path(folder) / "jobs", max_photos=3)
        server.wait_ready()
        keeping.wait_ready()

        def page(url: str = server.url, **options: object) -> Page:
            opened = chromium.new_context(reduced_motion="reduce", **options).new_page()  # type: ignore[arg-type]
            opened.goto(url)
            return opened

        desktop = page(viewport=DESKTOP)
        if arguments.all:
            _save(desktop, out / "page-welcome.jpg")
        names = ("dust-bowl-home", "alpine-landscape", "nagasaki-boats", "admiral", "forest-stream")
        _fill(desktop, *names)
        _save(desktop, out / "page.jpg")
        _hint(desktop)
        _save(desktop, out / "page-hints.jpg")
        _job(page(keeping.url, viewport=DESKTOP), out, *names)
        phone = page(**playwright.devices["Pixel 7"] | {"device_scale_factor": 1.5})
        _fill(phone, "nagasaki-boats", "dust-bowl-home")
        _save(phone, out / "page-phone.jpg")
        if not arguments.all:
            return
        choose(desktop, **{"half-a-photo": photo("cat.jpg")[:9000]})
        desktop.get_by_role("button", name="half-a-photo.jpg Failed").click()
        _save(desktop, out / "page-error.jpg")
        dark = page(viewport=DESKTOP, color_scheme="dark")
        _fill(dark, "alpine-landscape", "admiral")
        _save(dark, out / "page-dark.jpg")


def _fill(page: Page, *names: str) -> None:
    choose(page, **{name: photo(f"{name}.jpg") for name in names})
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(len(names), timeout=60_000)
    page.wait_for_selector(DONE)
    expect(page.locator("#looks img:visible:not(.stale)")).to_have_count(3, timeout=60_000)
    page.locator("#stage").evaluate("(stage) => stage.blur()")


def _job(page: Page, out: Path, *names: str) -> None:
    """Photos that are done in the background, before and after the end."""
    choose(page, **{name: photo(f"{name}.jpg") for name in names})
    done = page.locator("#shelf li[data-state=done]")
    expect(done).not_to_have_count(0, timeout=60_000)
    expect(page.locator("#background")).to_be_visible()
    _save(page, out / "page-jobs.jpg")
    expect(done).to_have_count(len(names), timeout=60_000)
    expect(page.locator("#background")).to_be_hidden()
    page.wait_for_selector(DONE)
    _save(page, out / "page-jobs-done.jpg")


def _hint(page: Page) -> None:
    """A brick red house, under a sky that is left alone."""
    page.get_by_role("radio", name="brick").locator("..").click()
    box = page.locator("#photo").bounding_box()
    assert box
    for count, (x, y) in enumerate(((0.62, 0.42), (0.74, 0.52), (0.88, 0.55), (0.56, 0.52)), 1):
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        expect(page.locator("#hints li")).to_have_count(count)
    page.wait_for_selector(DONE)
    expect(page.locator("#looks img:visible:not(.stale)")).to_have_count(3, timeout=60_000)


def _save(page: Page, path: Path) -> None:
    """A screenshot as a JPEG, a third of a PNG's bytes; its colours at full resolution."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(path, quality=82, subsampling=0, optimize=True)


if __name__ == "__main__":
    main()
