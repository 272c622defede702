"""Photos of one scene on the page: their colours agree, and hints on one count in the others."""

import base64
import io
import json
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, Request, expect
from skimage.color import rgb2lab

from tests.app.test_album import views
from tests.conftest import Start
from tests.page.conftest import Open, in_both, without_colours
from tests.page.stage import DONE, choose, photo

pytestmark = pytest.mark.slow

SAUCER = 440, 230
"""In the first view."""
DESK = {"viewport": {"width": 1280, "height": 800}}


def put_in(page: Page) -> dict[str, bytes]:
    """Two views of one scene and a photo of another, as the page has them when they are done."""
    given = dict(zip(("left", "right", "other"), views(), strict=True))
    choose(page, **given)
    all_done(page, 3)
    return {f"{name}.jpg": data for name, data in given.items()}


def all_done(page: Page, count: int) -> None:
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(count)
    page.wait_for_selector(DONE)


def look_at(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"{name}.jpg Done").click()
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")


def shown(page: Page) -> NDArray[np.float64]:
    """The colours that are looked at, in CIE Lab [H, W, 3], at the photo's own size."""
    url = page.evaluate(
        """() => {
            const image = document.querySelector('#after img:last-child');
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.toDataURL('image/png');
        }"""
    )
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(rgb2lab(np.asarray(image.convert("RGB"))))


def album(http: httpx.Client, given: dict[str, bytes], **options: str) -> dict[str, bytes]:
    chosen = {"vividness": "0.65", "postprocess": "guided", "format": "png", "album": "true"}
    files = [("file", each) for each in given.items()]
    told = http.post("/colorize", files=files, data=chosen | options, timeout=120)
    assert told.status_code == 200, told.text
    folder = zipfile.ZipFile(io.BytesIO(told.content))
    return {name: folder.read(name) for name in folder.namelist() if name != "manifest.json"}


def downloaded(page: Page, path: Path) -> dict[str, bytes]:
    with page.expect_download() as started:
        page.get_by_role("button", name="All as ZIP").click()
    started.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def requests(page: Page) -> list[Request]:
    """Those for colours, from now on."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if request.url.endswith("/colorize"):
            found.append(request)

    page.on("request", note)
    return found


@in_both
def test_colours_agree_and_hints_on_one_photo_count_in_the_others(
    page: Page, http: httpx.Client, tmp_path: Path
) -> None:
    given = put_in(page)
    look_at(page, "right")
    alone = shown(page)
    expect(page.locator("#hints-carry")).to_be_hidden()
    scene = page.get_by_role("checkbox", name="Same scene: colours agree")
    scene.focus()
    page.keyboard.press("Space")
    expect(scene).to_be_checked()
    expect(page.locator("#live")).to_have_text("Colours of all photos will agree.")
    page.wait_for_selector(DONE)
    all_done(page, 3)
    agreed = shown(page)
    assert np.abs(agreed - alone).mean() > 0.3
    assert downloaded(page, tmp_path / "one.zip") == album(http, given)

    look_at(page, "left")
    expect(page.get_by_text("Hints on one photo are used in all of them.")).to_be_visible()
    page.get_by_role("radio", name="red", exact=True).locator("..").click()
    box = page.locator("#photo").bounding_box()
    assert box
    scale = box["width"] / 500
    page.mouse.click(box["x"] + SAUCER[0] * scale, box["y"] + SAUCER[1] * scale)
    expect(page.locator("#hints li")).to_have_count(1)
    all_done(page, 3)
    page.locator("#stage").press("Escape")
    look_at(page, "right")
    expect(page.locator("#hints li")).to_have_count(0)
    hinted, there = shown(page), np.s_[220:240, 330:350]
    assert hinted[there][..., 1].mean() > agreed[there][..., 1].mean() + 8
    told = downloaded(page, tmp_path / "two.zip")
    assert told["right.png"] != album(http, given)["right.png"]
    sent = page.evaluate("document.getElementById('command').textContent")
    assert "album=true" in sent
    assert sent.count("file=@") == 3
    hints = sent.split("hints=")[1].split("'")[0]
    assert json.loads(hints)[0]["photo"] == 0
    assert told == album(http, given, hints=hints)

    scene.uncheck()
    all_done(page, 3)
    np.testing.assert_allclose(shown(page), alone, atol=0.6)


@without_colours
def test_options_are_for_all_of_a_scene_and_it_is_kept_over_a_reload(page: Page) -> None:
    put_in(page)
    look_at(page, "left")
    page.get_by_role("checkbox", name="Same scene").check()
    all_done(page, 3)
    page.get_by_role("button", name="Lively").click()
    all_done(page, 3)
    expect(page.get_by_role("button", name="Use these options for all photos")).to_be_hidden()
    look_at(page, "right")
    expect(page.locator("#vividness-value")).to_have_text("vivid, 100%")
    expect(page.locator("#kept[aria-busy=false]")).to_contain_text("Kept")
    sent = requests(page)
    page.reload()
    all_done(page, 3)
    expect(page.get_by_role("checkbox", name="Same scene")).to_be_checked()
    assert sent == []
    page.get_by_role("button", name="Remove left.jpg").click()
    expect(page.locator("#working")).to_be_hidden()
    all_done(page, 2)
    assert [request.method for request in sent] == ["POST"], "the others, anew"


@without_colours
def test_a_photo_that_fails_leaves_the_others_to_agree(open_page: Open) -> None:
    slow = """
        const { createImageBitmap } = window;
        window.createImageBitmap = async (...given) => {
            await new Promise((resolve) => setTimeout(resolve, 500));
            return createImageBitmap(...given);
        };
    """
    # A slow browser: the others are still being shown when the photo is tried again.
    page = open_page(script=slow, **DESK)
    put_in(page)
    page.get_by_role("checkbox", name="Same scene").check()
    choose(page, torn=photo("cat.jpg")[:9000])
    expect(page.locator("#shelf li[data-state=failed]")).to_have_count(1)
    all_done(page, 3)
    page.get_by_role("button", name="1 failed").click()
    page.get_by_role("button", name="Colour what is left").click()
    all_done(page, 4)
    expect(page.get_by_role("checkbox", name="Same scene")).to_be_checked()


@without_colours
def test_it_is_for_several_photos_and_no_more_than_agree(
    open_page: Open, start_small: Start
) -> None:
    server = start_small(max_photos=3)
    server.wait_ready()
    page = open_page(server.url + "/", **DESK)
    scene = page.get_by_role("checkbox", name="Same scene")
    names = ("cat", "coffee", "dahlia", "rocket")
    choose(page, cat=photo("cat.jpg"))
    all_done(page, 1)
    expect(scene).to_be_hidden()
    choose(page, **{name: photo(f"{name}.jpg") for name in names[1:3]})
    scene.check()
    all_done(page, 3)
    choose(page, rocket=photo("rocket.jpg"))
    expect(scene).to_be_disabled()
    expect(scene).not_to_be_checked()
    expect(scene).to_have_accessible_description(
        "Up to 3 photos can agree; here are 4. Remove some, and it can be chosen."
    )
    all_done(page, 4)
    page.get_by_role("button", name="Remove rocket.jpg").click()
    expect(scene).to_be_enabled()
    page.close()  # the service ends before other pages do


@without_colours
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(open_page: Open, engine: tuple[Playwright, Browser], scheme: str) -> None:
    page = open_page(**engine[0].devices["Pixel 7"], color_scheme=scheme)
    put_in(page)
    scene = page.get_by_role("checkbox", name="Same scene")
    scene.tap()
    expect(scene).to_be_checked()
    all_done(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
