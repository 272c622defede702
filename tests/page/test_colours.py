"""The page in a real browser: photos in, colours compared, changed and hinted at."""

import io
import json
import subprocess
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, Route, expect

from tests.page.conftest import in_both, without_colours
from tests.page.stage import DONE, advanced, answer, bring, choose, chroma, photo, seen
from tests.sample_photos import load

HOUSE = photo("dust-bowl-home.jpg")


@in_both
def test_a_dropped_photo_gets_colours_and_the_slider_uncovers_them(page: Page) -> None:
    bring(page, "drop", "house.jpg", HOUSE)
    page.wait_for_selector(DONE)
    lab = seen(page)
    middle = lab.shape[1] // 2
    assert chroma(lab[:, : middle - 60]) < 1
    assert chroma(lab[:, middle + 60 :]) > 10
    page.locator("#split").press("End")
    assert chroma(seen(page)[:, :-60]) < 1
    page.locator("#split").press("Home")
    assert chroma(seen(page)[:, 60:]) > 10
    box = page.locator("#photo").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 40)
    lab = seen(page)
    assert chroma(lab[:, : int(lab.shape[1] * 0.7)]) < 1


@pytest.mark.slow
def test_vividness_is_seen_at_once_and_then_exactly(page: Page) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    slider = page.get_by_role("slider", name="Vividness")
    shown = {}
    for key in ("Home", "End"):
        slider.press(key)
        page.wait_for_selector(DONE)
        shown[key] = chroma(seen(page))
    assert shown["End"] > shown["Home"] * 1.3
    held: list[Route] = []
    left: list[Request] = []
    page.on("requestfailed", lambda request: left.append(request))
    page.route("**/colorize", lambda route: held.append(route))  # no answer for now
    for _ in range(10):
        slider.press("ArrowLeft")
    assert page.locator("#vividness-value").text_content() == "natural, 50%"
    expect(page.locator("#after img")).to_have_count(2)
    mixed = chroma(seen(page))
    assert shown["Home"] * 1.05 < mixed < shown["End"] * 0.95
    expect(page.locator("#stage")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#working")).to_be_visible()
    held[-1].continue_()
    page.wait_for_selector(DONE)
    assert len(left) == len(held) - 1, "what is not wanted any more is broken off"
    expect(page.locator("#after img")).to_have_count(1)
    slider.press("Home")
    page.wait_for_selector(DONE)
    known = page.locator("#after img").get_attribute("src")
    advanced(page)
    page.get_by_role("radio", name="flatten").check(force=True)
    expect(page.locator("#working")).to_be_visible()
    assert page.locator("#after img").get_attribute("src") == known, "meanwhile none livelier"


@in_both
def test_a_hint_colours_what_is_near_and_can_be_taken_back(page: Page) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    before = seen(page)
    red = page.get_by_role("radio", name="red", exact=True)
    red.locator("..").click()
    expect(red).to_be_checked()
    box = page.locator("#photo").bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 0.68, box["y"] + box["height"] * 0.4)
    expect(page.locator("#hints li")).to_have_count(1)
    page.wait_for_selector(DONE)
    hinted = seen(page)
    height, width = hinted.shape[:2]
    y, x = int(height * 0.4), int(width * 0.68) + 24  # beside the mark
    near = (slice(y - 6, y + 6), slice(x - 6, x + 6))
    far = (slice(height - 60, height - 20), slice(20, 80))
    assert hinted[near][..., 1].mean() > before[near][..., 1].mean() + 20
    assert abs(hinted[far] - before[far]).mean() < 1
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#hints li")).to_have_count(0)
    page.wait_for_selector(DONE)
    assert abs(seen(page)[near][..., 1].mean() - before[near][..., 1].mean()) < 1
    page.locator("#stage").press("Escape")
    at_once = """(radio) => {
        radio.dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1 }));
        return document.getElementById('place').ariaPressed;
    }"""
    assert red.evaluate(at_once) == "true", "the next click, on the photo, is not waited for"


@pytest.mark.slow
@without_colours
def test_the_border_stays_however_soon_another_photo_is_looked_at(page: Page) -> None:
    page.emulate_media(reduced_motion="no-preference")
    names = ("cat", "coffee", "rocket", "pagoda")
    choose(page, **{name: photo(f"{name}.jpg") for name in names})
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(len(names))
    for name in names[1:]:
        page.get_by_role("button", name=f"{name}.jpg Done").click()
        expect(page.get_by_role("img", name=f"{name}.jpg, in colour")).to_be_attached()
    expect(page.locator("#split")).to_have_value("50")


@pytest.mark.slow
@without_colours
def test_a_hint_at_the_very_edge_of_a_large_photo_stays_inside(page: Page) -> None:
    large = io.BytesIO()
    with Image.open(io.BytesIO(HOUSE)) as image:
        image.resize((3451, 2350)).save(large, "JPEG")  # 1327.48 pixels wide where it is looked at
    choose(page, house=large.getvalue())
    page.wait_for_selector(DONE)
    page.get_by_role("button", name="Place hints").click()
    page.locator("#stage").press("Enter")  # in the middle
    page.wait_for_selector(DONE)
    page.locator(".marker").drag_to(page.locator("#stage"), target_position={"x": 880, "y": 300})
    expect(page.locator("#hints li")).to_contain_text("sky at 3450, ")
    page.wait_for_selector(DONE)
    expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.slow
@without_colours
def test_a_download_is_the_answer_of_the_api_for_the_file_itself(
    page: Page, small_http: httpx.Client, tmp_path: Path
) -> None:
    large = io.BytesIO()
    with Image.open(io.BytesIO(HOUSE)) as image:
        image.resize((2000, 1540)).save(large, "JPEG", quality=92)
    data, name = large.getvalue(), 'an "old", grey house'
    choose(page, **{name: data})
    page.wait_for_selector(DONE)
    expect(page.locator("#facts")).to_contain_text("2000 × 1540")
    # A smaller picture is sent while it is looked at whole.
    expect(page.locator("#after img")).to_have_js_property("naturalWidth", 1249)
    page.locator("#stage").press("+")
    for _ in range(5):
        page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#after img")).to_have_js_property("naturalWidth", 2000)
    page.get_by_role("button", name="Fit the whole photo").click()
    advanced(page)
    page.get_by_role("radio", name="flatten").check(force=True)
    page.get_by_role("slider", name="Vividness").press("End")
    page.get_by_role("button", name="Place hints").click()
    page.locator("#stage").press("Enter")  # in the middle
    expect(page.locator("#hints li")).to_have_count(1)
    page.wait_for_selector(DONE)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download", exact=True).click()
    started.value.save_as(tmp_path / "house.png")
    assert started.value.suggested_filename == "an _old_, grey house.png"
    hint = {"x": 1000, "y": 770, "radius": 24, "color": "#6ea6dc"}
    wanted = {"vividness": 1, "postprocess": "tv", "hints": json.dumps([hint])}
    assert (tmp_path / "house.png").read_bytes() == answer(small_http, data, **wanted)
    (tmp_path / f"{name}.jpg").write_bytes(data)
    command = page.locator("#command").inner_text()
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / f"{name}.png").read_bytes() == (tmp_path / "house.png").read_bytes()


@without_colours
@in_both
def test_many_photos_are_coloured_a_few_at_once_and_saved_as_one_zip(
    page: Page, small_http: httpx.Client, tmp_path: Path
) -> None:
    names = ("cat", "coffee", "dahlia", "rocket", "pagoda")
    photos = {name: photo(f"{name}.jpg") for name in names}
    at_once, most = 0, 0

    def count(change: int) -> None:
        nonlocal at_once, most
        at_once += change
        most = max(most, at_once)

    page.on("request", lambda r: count(+1) if r.url.endswith("/colorize") else None)
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda r: count(-1) if r.url.endswith("/colorize") else None)
    choose(page, **photos, broken=photos["cat"][:9000])
    expect(page.locator("#shelf li[data-state=done]")).to_have_count(5)
    expect(page.locator("#shelf li[data-state=failed]")).to_have_count(1)
    expect(page.locator("#live")).to_have_text("5 of 6 photos are done, 1 failed.")
    expect(page.locator("#tally")).to_have_text("5 of 6 done,1 failed")
    page.get_by_role("button", name="1 failed").click()
    expect(page.get_by_role("alert")).to_contain_text("Damaged photo")
    expect(page.get_by_role("button", name="Download", exact=True)).to_be_hidden()
    page.get_by_role("button", name="cat.jpg Done").click()
    page.locator("#format").select_option("jpeg")
    with page.expect_download() as started:
        page.get_by_role("button", name="All as ZIP").click()
    expect(page.locator("#saving")).to_contain_text("broken.jpg: Damaged photo")
    started.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {
        f"{name}.jpg": answer(small_http, data, vividness=0.65, postprocess="guided", format="jpeg")
        for name, data in photos.items()
    }
    assert most <= 4  # two, the looks of the one that is shown, and one that has just ended


@pytest.mark.slow
@in_both
def test_a_row_of_colourings_is_there_to_pick_from(page: Page, http: httpx.Client) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    expect(page.locator("#looks img:visible:not(.stale)")).to_have_count(3)
    page.get_by_role("button", name="Other colourings").click()
    row = page.get_by_role("group", name="Colourings").get_by_role("button")
    expect(row).to_have_count(5)
    expect(row.nth(4)).to_be_enabled()
    shown = page.locator("#after img").get_attribute("src") or ""
    expect(row.first.locator("img")).to_have_attribute("src", shown)
    expect(row.first).to_have_attribute("aria-pressed", "true")
    first = seen(page)
    row.nth(2).click()
    page.wait_for_selector(DONE)
    expect(row.nth(2)).to_have_attribute("aria-pressed", "true")
    third = seen(page)
    assert np.hypot(*np.moveaxis((third - first)[..., 1:], -1, 0)).mean() > 3
    page.locator("#format").select_option("png")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    saved = Path(download.value.path()).read_bytes()
    assert saved == answer(http, HOUSE, proposal=3, vividness=0.65, postprocess="guided")
    row.first.click()
    page.wait_for_selector(DONE)
    assert np.abs(seen(page) - first).mean() < 0.5
    page.get_by_role("button", name="Place hints").click()
    page.locator("#stage").press("Enter")  # in the middle
    page.get_by_role("button", name="Renew colourings").click()
    page.get_by_role("button", name="Hide colourings").click()
    expect(row).to_have_count(0)


@pytest.mark.slow
def test_what_is_guessed_is_shaded_and_a_place_asked_about_takes_a_colour(page: Page) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    before = seen(page)
    asks = page.get_by_role("button", name="Tell the colour at place")
    page.get_by_role("button", name="Show what is guessed").click()
    expect(asks).to_have_count(3)
    said = page.locator("#doubt-says")
    expect(said).to_contain_text("sure; what is dark is guessed")
    told = said.text_content()
    assert seen(page)[..., 0].mean() < before[..., 0].mean() - 5
    asks.first.click()
    page.get_by_role("radio", name="red", exact=True).locator("..").click()
    expect(page.locator("#hints li")).to_have_count(1)
    expect(said).not_to_have_text(told or "")
    expect(asks).to_have_count(3)
    choose(page, broken=b"no photo")
    page.get_by_role("button", name="broken.jpg Failed").click()
    expect(said).to_have_text("")  # of another photo
    page.get_by_role("button", name="house.jpg Done").click()
    expect(asks).to_have_count(3)
    page.get_by_role("button", name="Show what is guessed").click()
    expect(asks).to_have_count(0)
    page.wait_for_selector(DONE)
    assert np.abs(seen(page) - before)[..., 1:].mean() > 0.1


@pytest.mark.slow
@without_colours
def test_places_to_ask_about_are_reached_by_keys(page: Page) -> None:
    choose(page, house=HOUSE)
    page.wait_for_selector(DONE)
    page.get_by_role("button", name="Show what is guessed").press("Enter")
    second = page.get_by_role("button", name="Tell the colour at place 2")
    second.press("Enter")
    expect(page.get_by_role("radio", name="sky", exact=True)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="sea", exact=True)).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator("#hints li")).to_contain_text("sea at ")


@pytest.mark.slow
@in_both
def test_a_photo_gets_the_colours_of_another_one(
    page: Page, http: httpx.Client, tmp_path: Path
) -> None:
    left, right = two_views(tmp_path)
    choose(page, left=left.read_bytes())
    page.wait_for_selector(DONE)
    page.locator("#split").press("Home")
    first = seen(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose it").click()
    chooser.value.set_files(right)
    says = page.locator("#reference-says")
    expect(says).to_have_text("What looks like the right, too.png gets its colours.")
    expect(page.locator("#reference-image")).to_be_visible()
    page.wait_for_selector(DONE)
    liked = seen(page)
    assert np.hypot(*np.moveaxis((liked - first)[..., 1:], -1, 0)).mean() > 3
    page.locator("#format").select_option("png")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    wanted = http.post(
        "/colorize",
        files={"file": left.read_bytes(), "reference": right.read_bytes()},
        data={"vividness": "0.65", "postprocess": "guided"},
    )
    assert Path(download.value.path()).read_bytes() == wanted.content
    advanced(page)
    expect(page.locator("#command")).to_contain_text("-F 'reference=@\"the right, too.png\"'")
    page.on("dialog", lambda dialog: dialog.accept())
    expect(page.locator("#kept[aria-busy=false]")).to_contain_text("Kept in this browser")
    page.reload()
    page.wait_for_selector(DONE)
    expect(says).to_have_text("What looks like the right, too.png gets its colours.")
    page.locator("#split").press("Home")
    assert np.abs(seen(page) - liked).mean() < 0.5
    page.get_by_role("button", name="Without it").click()
    page.wait_for_selector(DONE)
    assert np.abs(seen(page) - first).mean() < 0.5
    expect(page.get_by_role("button", name="Without it")).to_be_hidden()


@pytest.mark.slow
@without_colours
def test_a_grey_photo_as_the_other_one_is_said_to_be_that(page: Page, tmp_path: Path) -> None:
    left, _ = two_views(tmp_path)
    choose(page, left=left.read_bytes())
    page.wait_for_selector(DONE)
    page.set_input_files("#reference-chooser", left)
    expect(page.locator("#notice-text")).to_contain_text("this photo is grey")
    page.get_by_role("button", name="Without it").click()
    page.wait_for_selector(DONE)
    expect(page.locator("#notice")).to_be_hidden()


def two_views(folder: Path) -> tuple[Path, Path]:
    """A grey photo, and another view of the same in colour."""
    whole = Image.fromarray(load("astronaut.png"))
    left, right = folder / "left.png", folder / "the right, too.png"
    whole.crop((0, 0, 340, 512)).convert("L").save(left)
    whole.crop((172, 0, 512, 512)).save(right)
    return left, right
