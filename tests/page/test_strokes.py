"""The page in a real browser: strokes and regions, by pointer, by finger and by keys."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.page.conftest import Open, in_both, without_colours
from tests.page.stage import DONE, answer, choose, photo, seen

pytestmark = pytest.mark.slow

HOUSE = photo("dust-bowl-home.jpg")
Places = list[tuple[float, float]]
LASSO: Places = [(0.6, 0.3), (0.9, 0.3), (0.9, 0.5), (0.75, 0.6), (0.6, 0.5), (0.6, 0.32)]


def pick(page: Page, colour: str, kind: str) -> None:
    page.get_by_role("radio", name=colour, exact=True).locator("..").click()
    page.get_by_role("radio", name=kind, exact=True).locator("..").click()


def on_screen(page: Page, places: Places) -> Places:
    """Parts of the photo's width and height as pixels of the screen."""
    box = page.locator("#photo").bounding_box()
    assert box
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]


def draw(page: Page, places: Places) -> None:
    first, *others = on_screen(page, places)
    page.mouse.move(*first)
    page.mouse.down()
    for place in others:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def sent(page: Page) -> list[dict[str, Any]]:
    """The hints, as the command beside the photo has them."""
    command = page.locator("#command").text_content() or ""
    found: list[dict[str, Any]] = json.loads(command.split("hints=")[1].split("'")[0])
    return found


@in_both
def test_a_region_is_lassoed_and_has_its_colour_and_nothing_else_has(
    page: Page, http: httpx.Client
) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    before = seen(page)
    pick(page, "red", "region")
    draw(page, LASSO)
    expect(page.locator("#hints li")).to_contain_text("red region at ")
    page.wait_for_selector(DONE)
    (hint,) = sent(page)
    assert 4 <= len(hint["region"]) <= 30, "a line drawn by hand has a few corners"
    page.get_by_role("button", name="Stop placing").click()
    page.locator("#split").press("Home")
    for marks in ("#drawn", "#markers"):
        page.locator(marks).evaluate("(marks) => { marks.style.visibility = 'hidden'; }")
    after = seen(page)
    height, width = after.shape[:2]
    inside = np.s_[int(0.36 * height) : int(0.46 * height), int(0.66 * width) : int(0.84 * width)]
    assert after[inside][..., 1].mean() > before[inside][..., 1].mean() + 15
    for outside in (np.s_[:, : int(0.56 * width)], np.s_[int(0.66 * height) :]):
        assert np.abs(after[outside] - before[outside]).mean() < 0.3
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    wanted = {"vividness": 0.65, "postprocess": "guided", "hints": json.dumps([hint])}
    assert Path(download.value.path()).read_bytes() == answer(http, HOUSE, **wanted)


@without_colours
@in_both
def test_a_stroke_can_be_moved_taken_back_and_is_there_after_a_reload(page: Page) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    pick(page, "red", "stroke")
    draw(page, [(0.3, 0.3), (0.5, 0.3)])
    expect(page.locator("#hints li")).to_contain_text("red stroke at ")
    page.wait_for_selector(DONE)
    (first,) = sent(page)
    draw(page, [(0.3, 0.3), (0.4, 0.5)])  # from its mark: that moves it
    page.wait_for_selector(DONE)
    (moved,) = sent(page)
    shifts = np.subtract(moved["stroke"], first["stroke"])
    assert len(moved["stroke"]) == len(first["stroke"])
    assert np.ptp(shifts, axis=0).max() < 0.2
    assert shifts[:, 1].min() > 50
    page.get_by_role("button", name="Undo").click()
    assert sent(page) == [first]
    page.mouse.click(*on_screen(page, [(0.7, 0.7)])[0])
    expect(page.locator("#hints li")).to_have_count(2)
    assert "x" in sent(page)[1], "a stroke of no length is a point"
    page.wait_for_selector(DONE)
    expect(page.locator("#kept[aria-busy=false]")).to_contain_text("Kept in this browser")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#hints li")).to_have_count(2)
    expect(page.locator("#hints li").first).to_contain_text("red stroke at ")
    expect(page.locator("#drawn polyline.line")).to_have_count(1)


@without_colours
def test_a_region_is_drawn_by_keys_corner_by_corner(page: Page) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.get_by_role("radio", name="region").press("Space")
    page.get_by_role("button", name="Place hints").press("Enter")
    stage, said = page.locator("#stage"), page.locator("#live")
    expect(said).to_contain_text("Drawing a region.")
    stage.press("Enter")
    expect(said).to_have_text("Corner 1 set.")
    stage.press("Shift+ArrowRight")
    stage.press("Enter")
    stage.press("Shift+ArrowDown")
    stage.press("Enter")
    expect(said).to_have_text("Corner 3 set.")
    stage.press("Delete")
    stage.press("Enter")
    stage.press("Enter")
    expect(said).to_have_text("Hint 1 placed.")
    expect(page.locator("#hints li")).to_contain_text("sky region at ")
    assert len(sent(page)[0]["region"]) == 3
    stage.press("Enter")
    stage.press("Escape")
    expect(said).to_have_text("The line is gone.")
    expect(page.get_by_role("button", name="Stop placing")).to_be_visible()
    page.wait_for_selector(DONE)
    stage.press("Enter")
    stage.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Draw around all that has the colour.")
    stage.press("Escape")
    expect(page.get_by_role("button", name="Place hints")).to_be_focused()
    expect(page.get_by_role("alert")).to_be_hidden()


@without_colours
def test_a_finger_draws(open_page: Open, engine: tuple[Playwright, Browser]) -> None:
    page = open_page(**engine[0].devices["Pixel 7"])
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.get_by_role("radio", name="red").locator("..").tap()
    page.get_by_role("radio", name="stroke").locator("..").tap()
    expect(page.locator("#stage")).to_be_in_viewport(ratio=0.99)
    places = on_screen(page, [(0.3 + 0.02 * i, 0.4) for i in range(20)])
    touches = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(places):
        touches.send(
            "Input.dispatchTouchEvent",
            {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]},
        )
    touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page.locator("#hints li")).to_contain_text("red stroke at ")
    (hint,) = sent(page)
    assert np.ptp(hint["stroke"], axis=0)[0] > 100


@in_both
def test_the_panel_has_room_beside_a_scrollbar(page: Page) -> None:
    choose(page, house=HOUSE, cat=photo("cat.jpg"))
    page.wait_for_selector(DONE)
    buttons = ("#format", "#download", "#download-all")
    boxes = [page.locator(each).bounding_box() for each in buttons]
    assert len({round(box["y"]) for box in boxes if box}) == 1
    own = page.locator("#palette input[type=color]").screenshot()
    with Image.open(io.BytesIO(own)) as image:
        ring = np.asarray(image.convert("RGB"), int)[6:-6, 6:-6]
    assert (np.ptp(ring, axis=-1) > 80).mean() > 0.5  # any colour, not the one that it has
