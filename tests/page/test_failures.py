"""What is wrong on the page: said in words, and a service that is away or busy is waited for."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.conftest import Start
from tests.page.conftest import Open, without_colours
from tests.page.stage import DONE, answer, choose, photo
from tests.sample_photos import encoded

pytestmark = pytest.mark.slow


@without_colours
@pytest.mark.parametrize(
    ("data", "title"),
    [
        (photo("cat.jpg")[:9000], "Damaged photo"),
        (b"not a photo", "Unsupported image format"),
        (photo("cat.jpg") + bytes(8 << 20), "Photo too large"),
        (encoded(Image.new("1", (30_001, 1)), "PNG"), "Photo too large"),
    ],
    ids=["damaged", "not a photo", "too many bytes", "too many pixels"],
)
def test_what_is_wrong_is_said_in_words(page: Page, data: bytes, title: str) -> None:
    """What a smaller picture would hide until the download too."""
    choose(page, bad=data)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(title)
    assert len(alert.locator("#notice-text").inner_text()) > 30
    alert.get_by_role("button", name="Remove this photo").click()
    expect(page.get_by_role("heading", name="Give grey photos colour")).to_be_visible()


@without_colours
def test_what_is_left_of_a_damaged_photo_is_had_by_a_click(
    page: Page, small_http: httpx.Client
) -> None:
    data = photo("cat.jpg")[:9000]
    choose(page, half=data)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("about 72% of its pixels are missing.")
    expect(alert).not_to_contain_text("damaged=")
    alert.get_by_role("button", name="Colour what is left").click()
    page.wait_for_selector(DONE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    wanted = answer(small_http, data, damaged="accept", vividness=0.65, postprocess="guided")
    assert Path(download.value.path()).read_bytes() == wanted


@without_colours
def test_what_the_page_has_refused_is_not_sent_for_a_zip(page: Page) -> None:
    too_large = photo("dust-bowl-home.jpg") + bytes(8 << 20)
    choose(page, big=too_large, notes=b"not a photo", cat=photo("cat.jpg"))
    expect(page.locator("#shelf li[data-state=failed]")).to_have_count(2)
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(1)
    thumb = page.locator("#shelf li").first
    image, name = thumb.locator("img").bounding_box(), thumb.locator(".name").bounding_box()
    assert image
    assert name
    assert image["y"] + image["height"] <= name["y"], "what failed has a name that can be read"
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    with page.expect_download():
        page.get_by_role("button", name="All as ZIP").click()
    expect(page.locator("#saving-text")).to_have_text(
        "Saved 1 photo. big.jpg: Photo too large; notes.jpg: Unsupported image format"
    )
    assert len([each for each in sent if each.startswith("POST")]) == 1


@without_colours
@pytest.mark.parametrize("how", ["drop", "paste"])
def test_what_comes_without_a_photo_is_said(page: Page, how: str) -> None:
    """A picture of another page, which comes as its address alone."""
    page.evaluate(
        """(how) => {
            const transfer = new DataTransfer();
            transfer.setData('text/uri-list', 'https://example.org/a.jpg');
            const given = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(how === 'drop'
                ? new DragEvent('drop', { ...given, dataTransfer: transfer })
                : new ClipboardEvent('paste', { ...given, clipboardData: transfer }));
        }""",
        how,
    )
    expect(page.locator("#untaken")).to_contain_text("There was no photo in what you")
    choose(page, cat=photo("cat.jpg"))
    expect(page.locator("#untaken")).to_be_hidden()


@without_colours
def test_a_sample_that_does_not_come_is_said(open_page: Open) -> None:
    def network(route: Route) -> None:
        if route.request.resource_type == "fetch" and "/samples/" in route.request.url:
            route.fulfill(status=502)
        else:
            route.continue_()

    page = open_page(route=network)
    page.get_by_role("button", name="Portrait, 1984").click()
    expect(page.get_by_text("The sample did not come.")).to_be_visible()
    choose(page, cat=photo("cat.jpg"))
    expect(page.get_by_text("The sample did not come.")).to_be_hidden()


@without_colours
def test_a_download_is_stopped_also_by_who_has_clicked_twice(open_page: Open) -> None:
    answered = True

    def network(route: Route) -> None:
        if answered or not route.request.url.endswith("/colorize"):
            route.continue_()

    page = open_page(route=network)
    choose(page, cat=photo("cat.jpg"))
    page.wait_for_selector(DONE)
    answered = False
    button = page.get_by_role("button", name="Download", exact=True)
    button.click()
    button.dispatch_event("click")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#saving-text")).to_have_text("Stopped.")


@without_colours
def test_a_service_that_is_away_for_minutes_is_waited_for(open_page: Open) -> None:
    away = ["/healthz", "/colorize"]

    def network(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in away:
            if "/healthz" not in away:
                away.clear()
            route.fulfill(status=502, body="a proxy's")
        else:
            route.continue_()

    page = open_page(route=network)
    page.clock.install()
    choose(page, cat=photo("cat.jpg"))
    item = page.locator("#shelf li")
    for _ in range(12):  # four attempts, then looks
        expect(item).to_have_attribute("data-state", "waiting")
        page.clock.fast_forward(20_000)
    expect(page.locator("#away")).to_contain_text("Service out of reach")
    expect(item).to_have_attribute("data-state", "waiting")
    away.remove("/healthz")  # it comes back between a request and the look for it
    page.clock.fast_forward(20_000)
    expect(item).to_have_attribute("data-state", "done")
    expect(page.locator("#away")).to_be_hidden()


@without_colours
def test_who_has_no_key_is_asked_once_for_all_photos(start_server: Start, open_page: Open) -> None:
    server = start_server(api_keys="lantern-and-lens")
    server.wait_for("/readyz")
    page = open_page(server.url + "/")
    choose(page, **{f"cat-{n}": photo("cat.jpg") for n in range(9)})
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#shelf li[data-state=failed]")).to_have_count(9)
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    dialog.get_by_label("Key").fill("lantern-and-lens")
    dialog.get_by_role("button", name="Use this key").click()
    page.wait_for_selector(DONE)


@without_colours
def test_a_key_that_no_request_can_carry_is_asked_for_again(
    start_server: Start, open_page: Open
) -> None:
    server = start_server(api_keys="lantern-and-lens")
    server.wait_for("/readyz")
    page = open_page(server.url + "/")
    page.evaluate("sessionStorage.setItem('chromaserve-key', 'schlüssel–')")
    page.reload()
    choose(page, cat=photo("cat.jpg"))
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog).to_contain_text("This service wants an API key.")
    for given in ("schlüssel–", "lantern and lens", "\u200b"):
        dialog.get_by_label("Key").fill(given)
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("No key has spaces, or letters and signs beyond those of")
    dialog.get_by_label("Key").fill("\u200blantern-and-lens\ufeff")  # as pages have them
    dialog.get_by_role("button", name="Use this key").click()
    page.wait_for_selector(DONE)


def test_a_service_behind_a_proxy_with_a_key_that_is_not_ready_yet(
    start_server: Start, open_page: Open
) -> None:
    server = start_server(api_keys="lantern-and-lens", root_path="/colours")
    server.wait_for("/healthz")
    not_ready = httpx.get(server.url + "/readyz")
    assert not_ready.status_code == 503
    refusals = [not_ready]

    def proxy(route: Route) -> None:
        request = route.request
        path = urlsplit(request.url).path
        assert path == "/colours" or path.startswith("/colours/")
        if request.method == "POST" and "lens" in request.headers.get("x-api-key", "") and refusals:
            said = refusals.pop()  # however soon the service is ready
            route.fulfill(status=503, headers=dict(said.headers), body=said.content)
        else:
            route.continue_(url=server.url + (path.removeprefix("/colours") or "/"))

    page = open_page(server.url + "/colours", proxy)
    choose(page, cat=photo("cat.jpg"))
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key").fill("wrong-wrong-wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_contain_text("did not take this key. That key is not known.")
    expect(dialog).not_to_contain_text("Authorization")  # that is for programs
    dialog.get_by_label("Key").fill("lantern-and-lens")
    dialog.get_by_role("button", name="Use this key").click()
    expect(page.locator("#notice")).to_contain_text("Not ready. Trying again in")
    page.wait_for_selector(DONE)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert page.url == server.url + "/colours/"
    page.on("dialog", lambda dialog: dialog.accept())  # nothing was saved
    page.get_by_role("link", name="API").click()
    expect(page.get_by_role("button", name="Authorize")).to_be_visible()
