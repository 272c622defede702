"""Files of the disk that are changed, moved or removed while they are on the page."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.conftest import Open, without_colours
from tests.page.stage import DONE, GREY

pytestmark = pytest.mark.slow

KEPT = "Kept in this browser until you remove them."
LONG_AGO = (1e9, 1e9)
KEEPS_NOTHING = "indexedDB.open = () => { throw new DOMException('', 'SecurityError'); };"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        Path(shutil.copy(GREY / f"{name}.jpg", tmp_path)) for name in ("cat", "coffee", "rocket")
    ]


def done(page: Page, count: int) -> None:
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(count)


@without_colours
def test_a_file_that_changed_is_no_service_out_of_reach(open_page: Open, files: list[Path]) -> None:
    page = open_page(script=KEEPS_NOTHING)
    page.set_input_files("#chooser", files[:1])
    page.wait_for_selector(DONE)
    os.utime(files[0], LONG_AGO)
    page.get_by_role("button", name="Download", exact=True).click()
    expect(page.locator("#saving-text")).to_have_text(
        "File changed or gone. cat.jpg was changed, moved or removed since it was chosen."
        " Choose it again."
    )
    expect(page.locator("#away")).to_be_hidden()


@without_colours
def test_a_file_that_goes_before_its_turn_leaves_the_others_theirs(
    open_page: Open, files: list[Path]
) -> None:
    held: dict[str, list[Route]] = {"/models": [], "/colorize": []}

    def network(route: Route) -> None:
        waiting = next((held[path] for path in held if route.request.url.endswith(path)), None)
        if waiting is None:
            route.continue_()
        else:
            waiting.append(route)

    page = open_page(route=network)
    page.set_input_files("#chooser", files)
    files[0].unlink()
    for route in held.pop("/models"):
        route.continue_()
    expect(page.get_by_role("alert")).to_contain_text("File changed or gone")
    expect(page.get_by_role("alert")).not_to_contain_text("Load the page again")
    expect(page.locator("#shelf img:visible")).to_have_count(2)
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(
        "2 of 3 kept in this browser until you remove them. The others: the file could not be read."
    )
    for route in held.pop("/colorize"):
        route.continue_()
    done(page, 2)


@without_colours
@pytest.mark.parametrize("reloaded", [False, True], ids=["as it is", "reloaded"])
def test_what_is_kept_needs_the_disk_no_more(page: Page, files: list[Path], reloaded: bool) -> None:
    """Also in a private window, as these are, whose database has no copies of its own."""
    page.set_input_files("#chooser", files[:2])
    done(page, 2)
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(KEPT)
    data = files[0].read_bytes()
    files[0].unlink()
    os.utime(files[1], LONG_AGO)
    if reloaded:
        page.on("dialog", lambda dialog: dialog.accept())
        page.reload()
        done(page, 2)
    sent: list[bytes] = []

    def note(route: Route) -> None:
        sent.append(route.request.post_data_buffer or b"")
        route.continue_()

    for n, name in enumerate(("cat.jpg", "coffee.jpg")):
        page.get_by_role("button", name=f"{name} Done").click()
        page.wait_for_selector(DONE)
        expect(page.get_by_role("img", name=f"{name}, as it was")).to_have_js_property(
            "complete", True
        )
        assert natural_width(page), n
    page.get_by_role("button", name="cat.jpg Done").click()
    page.route("**/colorize", note)
    with page.expect_download():
        page.get_by_role("button", name="Download", exact=True).click()
    assert any(data in each for each in sent)


def natural_width(page: Page) -> Any:  # noqa: ANN401
    return page.locator("#before").evaluate(
        "(image) => image.decode().then(() => image.naturalWidth)"
    )
