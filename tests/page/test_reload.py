"""What the page keeps in the browser: photos, hints and colours, until they are removed."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.page.conftest import Open, in_both, without_colours
from tests.page.stage import DONE, choose, chroma, photo, seen

pytestmark = pytest.mark.slow

KEPT = "Kept in this browser until you remove them."


def reload(page: Page) -> list[str]:
    """Load the page again, and list what is asked of the service from then on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.method)

    page.on("dialog", lambda dialog: dialog.accept())  # leave, nothing was saved
    page.on("request", note)
    page.reload()
    return asked


@without_colours
@in_both
def test_photos_hints_and_colours_survive_a_reload(page: Page) -> None:
    choose(page, cat=photo("cat.jpg"), house=photo("dust-bowl-home.jpg"))
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)
    page.get_by_role("button", name="house.jpg Done").click()
    page.locator("#split").press("Home")
    page.get_by_role("radio", name="red", exact=True).locator("..").click()
    page.locator("#stage").press("Enter")  # in the middle
    page.locator("#stage").press("Escape")
    page.wait_for_selector(DONE)
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(KEPT)
    coloured = chroma(seen(page))
    expect(page.locator("#looks img:visible:not(.stale)")).to_have_count(3)
    asked = reload(page)
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)
    expect(page.locator("#shelf .name")).to_have_text(["cat.jpg", "house.jpg"])
    expect(page.locator("#hints li")).to_contain_text("red at ")
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    assert abs(chroma(seen(page)) - coloured) < 0.1
    expect(page.locator("#looks img:visible:not(.stale)")).to_have_count(3)
    assert asked.count("POST") == 2, "what was known is not asked for, the two other looks are"
    page.get_by_role("button", name="Remove cat.jpg").click()
    expect(page.locator("#shelf li")).to_have_count(1)
    page.reload()
    expect(page.locator("#shelf .name")).to_have_text(["house.jpg"])
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_role("heading", name="Give grey photos colour")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Give grey photos colour")).to_be_visible()


@without_colours
def test_reloads_before_the_service_answers_lose_nothing_that_is_kept(open_page: Open) -> None:
    held: list[Route] | None = None

    def network(route: Route) -> None:
        if held is not None and route.request.url.endswith("/models"):
            held.append(route)
        else:
            route.continue_()

    known = """
        const { getAll } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.getAll = function (...given) {
            const request = getAll.apply(this, given);
            request.addEventListener('success', () => setTimeout(() => { window.known = true; }));
            return request;
        };
    """
    page = open_page(route=network, script=known)
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"))
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(KEPT)
    page.on("dialog", lambda dialog: dialog.accept())
    held = []
    page.reload()
    page.wait_for_function("window.known")
    page.reload()
    held = None
    page.reload()
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)


@without_colours
def test_what_is_removed_before_the_service_answers_is_not_sent(open_page: Open) -> None:
    held: dict[str, list[Route]] = {"/models": [], "/colorize": []}

    def network(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in held:
            held[path].append(route)  # photos are never answered
        else:
            route.continue_()

    page = open_page(route=network)
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"))
    expect(page.locator("#shelf li")).to_have_count(2)
    page.get_by_role("button", name="Clear all").click()
    for route in held.pop("/models"):
        route.continue_()
    choose(page, pagoda=photo("pagoda.jpg"))
    expect(page.locator("#shelf li[data-state=uploading]")).to_have_count(1)
    assert len(held["/colorize"]) == 1
    page.locator("#removed").get_by_role("button", name="Undo").click()
    expect(page.locator("#shelf li[data-state=uploading]")).to_have_count(2)


@without_colours
def test_all_that_was_cleared_can_be_taken_back(page: Page) -> None:
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"))
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#removed")).to_contain_text("2 photos removed.")
    page.locator("#removed").get_by_role("button", name="Undo").click()
    expect(page.locator("#shelf .name")).to_have_text(["cat.jpg", "coffee.jpg"])


@without_colours
def test_what_is_cleared_keeps_nothing_else_waiting_and_has_its_turn_when_it_is_taken_back(
    open_page: Open,
) -> None:
    held: list[Route] | None = []

    def network(route: Route) -> None:
        if held is not None and route.request.method == "POST":
            held.append(route)  # and never answered
        else:
            route.continue_()

    page = open_page(route=network)
    choose(page, **{name: photo(f"{name}.jpg") for name in ("cat", "coffee", "rocket")})
    expect(page.locator("#shelf li[data-state=uploading]")).to_have_count(2)
    page.get_by_role("button", name="Clear all").click()
    held = None
    choose(page, pagoda=photo("pagoda.jpg"))
    page.wait_for_selector(DONE)
    page.locator("#removed").get_by_role("button", name="Undo").click()
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(4)


@without_colours
def test_where_there_is_no_room_what_was_kept_is_let_go_of_all_the_same(open_page: Open) -> None:
    full = """
        const [put, commit] = [IDBObjectStore.prototype.put, IDBTransaction.prototype.commit];
        const growing = new WeakSet();
        IDBObjectStore.prototype.put = function (...given) {
            growing.add(this.transaction);
            return put.apply(this, given);
        };
        IDBTransaction.prototype.commit = function () {
            return window.full && growing.has(this) ? this.abort() : commit.call(this);
        };
    """
    page = open_page(script=full)
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"))
    page.wait_for_selector(DONE)
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(KEPT)
    page.evaluate("window.full = true")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove cat.jpg").click()
    choose(page, rocket=photo("rocket.jpg"))
    expect(page.locator("#kept[aria-busy=false]")).to_have_text(
        "Not kept over a reload: this browser has no room."
    )
    page.get_by_role("button", name="Clear all").click()
    page.reload()
    expect(page.get_by_role("heading", name="Give grey photos colour")).to_be_visible()


@without_colours
def test_a_browser_that_keeps_nothing_is_no_obstacle(open_page: Open) -> None:
    refused = """
        const refuse = () => { throw new DOMException('', 'SecurityError'); };
        indexedDB.open = refuse;
        Object.defineProperty(window, 'sessionStorage', { get: refuse });
    """
    page = open_page(script=refused)
    choose(page, cat=photo("cat.jpg"))
    page.wait_for_selector(DONE)
    expect(page.locator("#kept")).to_have_text("")
