"""Two tabs of one browser, which share what is kept."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Open, in_both, without_colours
from tests.page.stage import DONE, choose, photo

pytestmark = pytest.mark.slow

KEPT = "Kept in this browser until you remove them."


def kept(page: Page, said: str) -> None:
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(said)


@without_colours
@in_both
def test_what_one_tab_removes_the_other_no_longer_calls_kept(open_page: Open) -> None:
    page = open_page()
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"))
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)
    kept(page, KEPT)
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Remove cat.jpg").click()
    kept(
        page,
        "1 of 2 kept in this browser until you remove them. The others: removed in another tab.",
    )
    other.get_by_role("button", name="Clear all").click()
    kept(page, "Not kept over a reload: removed in another tab.")
    page.get_by_role("radio", name="red", exact=True).locator("..").click()
    page.locator("#stage").press("Enter")
    page.wait_for_selector(DONE)
    kept(page, "Not kept over a reload: removed in another tab.")
    other.locator("#removed").get_by_role("button", name="Undo").click()
    kept(
        page,
        "1 of 2 kept in this browser until you remove them. The others: removed in another tab.",
    )
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#shelf .name")).to_have_text(["coffee.jpg"])
