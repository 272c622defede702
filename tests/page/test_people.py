"""The page for everyone: keyboard, screen reader, phone, dark mode."""

import io
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Dialog, Page, Playwright, Route, expect

from tests.page.conftest import Open, in_both, without_colours
from tests.page.stage import DONE, GREY, advanced, bring, choose, chroma, photo, seen
from tests.sample_photos import encoded, small

TURNED = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@without_colours
@in_both
def test_by_keyboard_alone(page: Page) -> None:
    keyboard = page.keyboard
    page.on("filechooser", lambda _: None)  # from now on choosers are the test's
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the photos")).to_be_focused()
    keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    chooser.value.set_files(GREY / "cat.jpg")
    page.wait_for_selector(DONE)
    stage = page.locator("#stage")
    expect(stage).to_be_focused()
    keyboard.press("ArrowRight")
    expect(page.locator("#split")).to_have_value("52")
    whole = shown(page)
    level = page.locator("#zoom-level")
    before = level.inner_text()
    keyboard.press("+")
    expect(level).not_to_have_text(before)
    assert abs(shown(page) / whole - 1.25) < 0.01
    keyboard.press("1")
    expect(level).to_have_text("100%")
    keyboard.press("0")
    expect(level).to_have_text(before)
    assert shown(page) == whole
    keyboard.press("Tab")
    expect(page.locator("#split")).to_be_focused()
    page.get_by_role("button", name="Place hints").focus()
    keyboard.press("Enter")
    expect(stage).to_be_focused()
    expect(page.locator("#crosshair")).to_be_visible()
    keyboard.press("Shift+ArrowUp")
    keyboard.press("Enter")
    expect(page.locator("#live")).to_have_text("Hint 1 placed.")
    keyboard.press("Escape")
    expect(page.get_by_role("button", name="Place hints")).to_be_focused()
    page.wait_for_selector(DONE)
    page.get_by_role("button", name="Remove hint 1").press("Enter")
    expect(page.locator("#hints li")).to_have_count(0)
    with page.expect_download():
        page.get_by_role("button", name="Download", exact=True).press("Enter")
    page.get_by_role("button", name="Remove cat.jpg").press("Enter")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()
    page.get_by_role("button", name="Undo").last.press("Enter")
    expect(page.get_by_role("button", name="cat.jpg Done")).to_be_focused()
    page.wait_for_selector(DONE)


@pytest.mark.slow
@without_colours
@in_both
def test_the_focus_stays_where_somebody_works(open_page: Open) -> None:
    """Also where the control that had it goes, or has nothing more to do."""
    answered = True

    def network(route: Route) -> None:
        if answered or not route.request.url.endswith("/colorize"):
            route.continue_()

    page = open_page(route=network, viewport={"width": 1280, "height": 800})
    said = page.locator("#live")
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"), rocket=photo("rocket.jpg"))
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(3)
    place = page.get_by_role("button", name="Place hints")
    for button, words in (("Undo", "Undone."), ("Clear", "Hints cleared.")):
        place.press("Enter")
        page.locator("#stage").press("Enter")
        page.locator("#stage").press("Escape")
        page.locator("#panel").get_by_role("button", name=button, exact=True).press("Enter")
        expect(place).to_be_focused()
        expect(said).to_have_text(words)
        page.wait_for_selector(DONE)
    page.get_by_role("button", name="Use these options for all photos").press("Enter")
    expect(said).to_have_text("All photos have these options.")
    answered = False
    for name in ("Download", "All as ZIP"):
        again = page.get_by_role("button", name=name, exact=True)
        again.press("Enter")
        page.get_by_role("button", name="Stop", exact=True).press("Enter")
        expect(again).to_be_focused()
    page.get_by_role("button", name="Remove rocket.jpg").press("Enter")
    page.get_by_role("button", name="Dismiss").press("Enter")
    expect(page.get_by_role("button", name="cat.jpg Done")).to_be_focused()
    page.get_by_role("button", name="Clear all").press("Enter")
    page.get_by_role("button", name="Dismiss").press("Enter")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()


def shown(page: Page) -> float:
    """How large the photo is, in pixels of the screen to one of its own; the page says the same."""
    # Two frames: without motion the first one has transitions of no time before them.
    frame = "() => new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)))"
    page.evaluate(frame)
    page.evaluate(frame)
    width, own, said = page.evaluate("""[
        document.getElementById('photo').getBoundingClientRect().width,
        document.getElementById('before').naturalWidth,
        document.getElementById('zoom-level').textContent,
    ]""")
    assert abs(int(said.removesuffix("%")) - 100 * width / own) < 1
    return float(width / own)


@pytest.mark.slow
def test_the_original_is_seen_while_its_button_is_held(page: Page) -> None:
    choose(page, house=photo("dust-bowl-home.jpg"))
    page.wait_for_selector(DONE)
    page.get_by_role("button", name="Place hints").click()  # in colour everywhere
    assert chroma(seen(page)) > 10
    hold = page.get_by_role("button", name="Hold for original")
    hold.hover()

    def held(pressed: str) -> float:
        expect(hold).to_have_attribute("aria-pressed", pressed)
        return chroma(seen(page))

    page.mouse.down()
    assert held("true") < 1
    page.mouse.up()
    assert held("false") > 10
    page.locator("#stage").focus()
    page.keyboard.down("o")
    assert held("true") < 1
    page.keyboard.up("o")
    assert held("false") > 10


@pytest.mark.slow
def test_three_looks_to_choose_from(page: Page) -> None:
    choose(page, house=photo("dust-bowl-home.jpg"))
    page.wait_for_selector(DONE)
    looks = page.get_by_role("group", name="Looks").get_by_role("button")
    expect(looks.locator("img:visible:not(.stale)")).to_have_count(3)
    page.locator("#split").press("Home")
    colours = []
    for name in ("Calm", "Default", "Lively"):
        look = page.get_by_role("button", name=name, exact=True)
        look.click()
        expect(look).to_have_attribute("aria-pressed", "true")
        page.wait_for_selector(DONE)
        colours.append(chroma(seen(page)))
    assert colours == sorted(colours)
    assert colours[0] * 1.2 < colours[2]
    expect(page.locator("#vividness-value")).to_have_text("vivid, 100%")
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("button", name="Default", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )


@pytest.mark.slow
@without_colours
def test_leaving_with_what_was_not_saved_asks(page: Page) -> None:
    choose(page, house=photo("dust-bowl-home.jpg"))
    page.wait_for_selector(DONE)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.locator("#stage").click()  # browsers ask for people who did something
    page.evaluate("location.href = 'docs'")
    expect(page.locator("#stage")).to_be_visible()
    with page.expect_download():
        page.get_by_role("button", name="Download", exact=True).click()
    expect(page.locator("#saving")).to_contain_text("Saved.")
    page.get_by_role("link", name="API").click()
    expect(page.get_by_role("link", name="Back to the photos")).to_be_visible()
    assert asked == ["beforeunload"]


@without_colours
def test_everything_has_a_name_and_contrast(page: Page) -> None:
    def violations(page: Page) -> list[Any]:
        return [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in Axe().run(page).response["violations"]
        ]

    assert violations(page) == []
    choose(page, house=photo("dust-bowl-home.jpg"), broken=b"not a photo")
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(1)
    page.get_by_role("button", name="broken.jpg Failed", exact=False).first.click()
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    page.get_by_role("button", name="house.jpg Done").click()
    page.emulate_media(color_scheme="light")
    page.wait_for_selector(DONE)
    assert violations(page) == []
    expect(page.get_by_role("main")).to_match_aria_snapshot("""
        - main:
          - region "house.jpg":
            - application "Photo viewer":
              - img "house.jpg, as it was"
              - img "house.jpg, in colour"
            - slider "Border between before and after"
            - group "Zoom":
              - button "Zoom out"
              - button "Zoom in"
              - button "Fit the whole photo"
          - region "Photos":
            - button "Add photos"
            - list:
              - listitem:
                - button "house.jpg Done"
                - button "Remove house.jpg"
              - listitem
          - form "Options":
            - group "Looks":
              - button "Calm" [pressed=false]
              - button "Default" [pressed=true]
              - button "Lively" [pressed=false]
            - slider "Vividness"
            - group "Colour hints":
              - button "Place hints" [pressed=false]
            - combobox "Save as"
            - button "Download"
        """)


@pytest.mark.slow
@without_colours
@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "JPEG", "JPEG with EXIF", "PNG"])
def test_a_pasted_photo_that_only_the_service_reads_is_seen_too(page: Page, kind: str) -> None:
    """Browsers know no TIFF, and leave a WebP as it lies, and what XMP alone would turn."""
    turned = Image.Exif()
    turned[0x0112] = 6
    camera = Image.Exif()
    camera[0x010F] = "A maker"  # and nothing of how it lies
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", TURNED)
    said: dict[str, dict[str, object]] = {
        "JPEG": {"xmp": TURNED.encode()},
        "JPEG with EXIF": {"xmp": TURNED.encode(), "exif": camera},
        "PNG": {"pnginfo": texts},
    }
    how = said.get(kind, {"exif": turned})
    bring(page, "paste", "scan", encoded(small("L", (1500, 1000)), kind.split()[0], **how))
    page.wait_for_selector(DONE)
    expect(page.locator("#facts")).to_contain_text("1000 × 1500")
    before = page.get_by_role("img", name="scan, as it was")
    expect(before).to_have_js_property("naturalWidth", 895)
    advanced(page)
    page.get_by_role("radio", name="flatten").check(force=True)
    expect(page.locator("#after img")).to_have_js_property("naturalWidth", 895)
    for _ in range(5):
        page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#after img")).to_have_js_property("naturalWidth", 1000)
    expect(before).to_have_js_property("naturalWidth", 895)


@pytest.mark.slow
@without_colours
def test_on_a_phone_in_dark_mode(open_page: Open, engine: tuple[Playwright, Browser]) -> None:
    page = open_page(**engine[0].devices["Pixel 7"], color_scheme="dark")
    width = page.viewport_size["width"] if page.viewport_size else 0
    for _ in ("welcome", "photo"):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with Image.open(io.BytesIO(page.screenshot())) as image:
            assert np.median(np.asarray(image.convert("L"))) < 60
        choose(page, **{f"a-photo-with-a-long-name-{i}": photo("cat.jpg") for i in range(4)})
        page.wait_for_selector(DONE)
    box = page.locator("#stage").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] * 0.25, box["y"] + 30)
    assert abs(float(page.locator("#split").input_value()) - 25) < 3
    page.get_by_role("radio", name="red").locator("..").tap()
    expect(page.locator("#stage")).to_be_in_viewport(ratio=0.99)
    page.locator("#stage").tap()
    expect(page.get_by_label("Colour of hint 1")).to_have_value("#c02a30")


@pytest.mark.slow
@without_colours
def test_text_of_twice_the_size_has_room(page: Page) -> None:
    choose(page, cat=photo("cat.jpg"), coffee=photo("coffee.jpg"))
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(2)
    before = page.locator("#shelf .name").first.bounding_box()
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    after = page.locator("#shelf .name").first.bounding_box()
    assert before
    assert after
    assert after["height"] > 1.9 * before["height"], "the reader's size counts"
    thumb = page.locator("#shelf .thumb").first.bounding_box()
    assert thumb
    assert after["y"] + after["height"] <= thumb["y"] + thumb["height"]
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
