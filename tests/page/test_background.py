"""Photos that the service does in the background, as jobs, whether the page is open or not."""

import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Dialog, Error, Page, Route, expect

from tests.conftest import Server, serving
from tests.page.conftest import Open, in_both
from tests.page.stage import DONE, answer, choose, chroma, photo, seen
from tests.sample_photos import raw

pytestmark = pytest.mark.slow

NAMES = ("cat", "coffee", "dahlia", "rocket", "pagoda")
DESK = {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that keeps jobs, of six photos, and whose requests hold three."""
    folder = tmp_path_factory.mktemp("keeping")
    with serving(folder, jobs=folder / "jobs", jobs_photos=6, max_photos=3) as server:
        yield server


class Gate:
    """What passes through to the service; some of it can be held."""

    def __init__(self, held: str) -> None:
        self.held: str | None = held
        self.waiting: list[Route] = []
        self.seen: list[str] = []

    def __call__(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path.startswith(("/jobs", "/colorize")):
            self.seen.append(f"{route.request.method} {path}")
        if self.held and path.endswith(self.held) and route.request.method != "DELETE":
            self.waiting.append(route)
        else:
            route.continue_()

    def open(self) -> None:
        self.held = None
        for route in self.waiting:
            route.continue_()


def states(page: Page, state: str, count: int) -> None:
    expect(page.locator(f"#shelf li[data-state={state}]")).to_have_count(count)


@in_both
def test_more_than_a_request_holds_are_done_also_while_the_page_is_closed(
    open_page: Open, keeping: Server, tmp_path: Path
) -> None:
    gate = Gate("/events")
    page = open_page(keeping.url + "/", gate, **DESK)
    photos = {name: photo(f"{name}.jpg") for name in NAMES}
    choose(page, **photos, broken=photos["cat"][:9000])
    expect(page.locator("#background")).to_contain_text(
        "6 in the background: you can close this page."
    )
    states(page, "background", 6)
    dialogs: list[str] = []

    def accept(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    gate.held = None
    page.reload()
    assert not dialogs, "nothing would be lost"
    states(page, "done", 5)
    states(page, "failed", 1)
    expect(page.locator("#background")).to_be_hidden()
    assert [each for each in gate.seen if each.startswith("POST /jobs")] == ["POST /jobs"]
    page.get_by_role("button", name="cat.jpg Done").click()
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    assert chroma(seen(page)) > 2
    page.get_by_role("button", name="1 failed").click()
    expect(page.get_by_role("alert")).to_contain_text("Damaged photo")
    gate.seen.clear()
    with page.expect_download() as started:
        page.get_by_role("button", name="All as ZIP").click()
    started.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    with httpx.Client(base_url=keeping.url, timeout=60) as http:
        assert found == {
            f"{name}.png": answer(http, data, vividness=0.65, postprocess="guided", format="png")
            for name, data in photos.items()
        }
    results = [each for each in gate.seen if each.startswith("GET /jobs") and "/results/" in each]
    assert len(results) == 5, "what the job has made is not made again"


def test_what_is_in_the_background_is_stopped_and_done_here(
    open_page: Open, keeping: Server
) -> None:
    gate = Gate("/jobs")
    page = open_page(keeping.url + "/", gate, **DESK)
    choose(page, **{f"{name}-{n}": photo(f"{name}.jpg") for name in NAMES[:4] for n in (1, 2)})
    expect(page.locator("#background")).to_contain_text("8 in the background, still being sent.")
    page.locator("#background").get_by_role("button", name="Stop").press("Enter")
    states(page, "failed", 8)
    expect(page.get_by_role("button", name="cat-1.jpg Failed")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("Stopped")
    page.get_by_role("button", name="Try again").click()
    states(page, "done", 1)
    states(page, "failed", 7)
    assert gate.seen.count("POST /jobs") == 1, "the second job, of the other two, is not sent"

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear all").click()
    gate.waiting.clear()
    gate.held = "/events"
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES})
    states(page, "background", 5)
    with page.expect_response(lambda response: response.request.method == "DELETE") as ended:
        page.locator("#background").get_by_role("button", name="Stop").click()
    job = ended.value.json()
    gate.open()
    states(page, "done", job["done"])
    states(page, "failed", 5 - job["done"])


def test_what_is_removed_for_good_is_not_coloured(open_page: Open, keeping: Server) -> None:
    page = open_page(keeping.url + "/", Gate("/events"), **DESK)
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES})
    states(page, "background", 5)
    page.get_by_role("button", name="Clear all").click()
    with page.expect_response(lambda response: response.request.method == "DELETE") as ended:
        page.get_by_role("button", name="Dismiss").click()
    assert ended.value.ok
    expect(page.locator("#removed")).to_be_hidden()


def test_what_is_removed_goes_on_until_it_is_taken_back(open_page: Open, keeping: Server) -> None:
    gate = Gate("/events")
    page = open_page(keeping.url + "/", gate, **DESK)
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[:4]})
    states(page, "background", 4)
    page.get_by_role("button", name="Remove cat.jpg").click()
    gate.open()
    states(page, "done", 3)
    expect(page.locator("#background")).to_be_hidden()
    page.locator("#removed").get_by_role("button", name="Undo").click()
    states(page, "done", 4)


def test_what_is_taken_back_while_kept_colours_come_back_has_its_turn(
    open_page: Open, keeping: Server
) -> None:
    slow = """
        const real = createImageBitmap;
        const gate = new Promise((resolve) => { window.release = resolve; });
        if (!sessionStorage.hold) {
            release();
        }
        window.createImageBitmap = async (...given) => { await gate; return real(...given); };
    """
    page = open_page(keeping.url + "/", script=slow, **DESK)
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[:4]})
    states(page, "done", 4)
    expect(page.locator("#kept[aria-busy=false]")).to_contain_text("Kept in this browser")
    page.evaluate("sessionStorage.hold = 1")
    page.reload()
    page.get_by_role("button", name="Remove rocket.jpg").click()
    page.locator("#removed").get_by_role("button", name="Undo").click()
    page.evaluate("release()")
    states(page, "done", 4)


def test_stop_leaves_nothing_of_what_was_removed_going(open_page: Open, keeping: Server) -> None:
    gate = Gate("/jobs")
    page = open_page(keeping.url + "/", gate, **DESK)
    choose(page, **{f"{name}-{n}": photo(f"{name}.jpg") for name in NAMES[:4] for n in (1, 2)})
    expect(page.locator("#background")).to_contain_text("8 in the background, still being sent.")
    page.get_by_role("button", name="Remove cat-1.jpg").click()
    with page.expect_event("requestfailed") as ended:
        page.locator("#background").get_by_role("button", name="Stop").click()
    assert ended.value.url.endswith("/jobs")
    gate.held = None
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[:4]})
    states(page, "done", 4)
    states(page, "failed", 7)


def test_events_of_many_jobs_leave_the_browser_connections(
    open_page: Open, keeping: Server
) -> None:
    counted = """
        const real = fetch;
        let streams = 0;
        window.most = 0;
        window.fetch = (address, how) => {
            if (String(address).endsWith('/events')) {
                streams += 1;
                window.most = Math.max(window.most, streams);
                how.signal.addEventListener('abort', () => { streams -= 1; });
            }
            return real(address, how);
        };
    """
    gate = Gate("/events")
    page = open_page(keeping.url + "/", gate, script=counted, **DESK)
    choose(page, **{f"{name}-{n}": photo(f"{name}.jpg") for name in NAMES for n in (1, 2, 3)})
    states(page, "background", 15)  # in three jobs
    gate.held = None
    for route in gate.waiting:
        with suppress(Error):  # it may have left, for another's turn
            route.continue_()
    states(page, "done", 15)
    assert page.evaluate("most") == 2


def test_a_result_whose_connection_breaks_is_fetched_again(
    open_page: Open, keeping: Server
) -> None:
    breaks = """
        const { blob } = Response.prototype;
        let broken = false;
        Response.prototype.blob = function () {
            if (broken || !this.url.includes('/results/')) {
                return blob.call(this);
            }
            broken = true;
            return Promise.reject(new TypeError('network error'));
        };
    """
    gate = Gate("/nothing")
    page = open_page(keeping.url + "/", gate, script=breaks, **DESK)
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[:4]})
    states(page, "done", 4)
    assert sum("/results/" in each for each in gate.seen) == 5


def test_who_is_refused_goes_on_with_the_job_and_without_one_the_page_colours_them(
    open_page: Open, keeping: Server
) -> None:
    gate = Gate("/events")
    page = open_page(keeping.url + "/", gate, **DESK)
    for status, failed in ((500, 4), (404, 0)):
        gate.held = "/events"
        choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[:4]})
        states(page, "background", 4)
        gate.seen.clear()
        gate.held = None
        gate.waiting.pop().fulfill(status=status)
        states(page, "failed", failed)
        if failed:
            page.get_by_role("button", name="Try again").click()
        states(page, "done", 4)
        results = [each for each in gate.seen if "/results/" in each]
        assert len(results) == failed, "what the job has made is not made again"
        page.get_by_role("button", name="Clear all").click()


def test_photos_that_are_to_be_like_another_one_are_done_in_the_background_too(
    open_page: Open, keeping: Server
) -> None:
    page = open_page(keeping.url + "/", **DESK)
    choose(page, cat=photo("cat.jpg"), rocket=photo("rocket.jpg"))
    states(page, "done", 2)
    liked = raw("coffee.png")
    page.set_input_files(
        "#reference-chooser", {"name": "liked.png", "mimeType": "image/png", "buffer": liked}
    )
    page.wait_for_selector(DONE)
    page.get_by_role("button", name="Use these options for all photos").click()
    states(page, "done", 2)
    with page.expect_request(lambda request: request.url.endswith("/jobs")):
        choose(page, **{f"coffee-{n}": photo("coffee.jpg") for n in range(4)})
    states(page, "done", 6)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download", exact=True).click()
    with httpx.Client(base_url=keeping.url, timeout=60) as http:
        wanted = http.post(
            "/colorize",
            files={"file": photo("coffee.jpg"), "reference": liked},
            data={"vividness": "0.65", "postprocess": "guided"},
        )
    assert Path(started.value.path()).read_bytes() == wanted.content


def test_a_few_are_sent_to_the_background_by_a_button(open_page: Open, keeping: Server) -> None:
    gate = Gate("/colorize")
    page = open_page(keeping.url + "/", gate, **DESK)
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[:3]})
    states(page, "uploading", 2)  # as long as they are not answered
    expect(page.locator("#to-background")).to_be_hidden()
    choose(page, **{name: photo(f"{name}.jpg") for name in NAMES[3:]})
    page.get_by_role("button", name="Finish in the background").click()
    states(page, "done", 3)
    assert gate.seen.count("POST /colorize") == 2
    gate.open()
    states(page, "done", 5)
    expect(page.get_by_role("button", name="Finish in the background")).to_be_hidden()
