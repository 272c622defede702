"""The API's description in the browser: read and tried out without any other host."""

import pytest
from playwright.sync_api import expect

from tests.conftest import Server
from tests.page.conftest import Open, without_colours
from tests.page.stage import GREY

pytestmark = pytest.mark.slow


@without_colours
def test_a_photo_is_tried_out_as_it_stands(open_page: Open, small_server: Server) -> None:
    page = open_page(small_server.url + "/docs")
    page.get_by_role("button", name="POST /colorize Colorize photos").click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("input[type=file]").first.set_input_files(GREY / "cat.jpg")
    page.get_by_role("button", name="Execute").click()
    picture = page.locator(".live-responses-table img")
    expect(picture).to_have_js_property("naturalWidth", 451)
