"""The option `mirror`: colours averaged over a photo and its mirror image."""

import httpx
import numpy as np
from PIL import Image

from tests.app.photos import decoded, encoded, load, raw
from tests.app.test_postprocess import colorize


def test_a_mirrored_photo_gets_mirrored_colours(http: httpx.Client) -> None:
    photo = load("coffee.png")
    flipped = encoded(Image.fromarray(photo[:, ::-1]), "PNG")
    options: dict[str, str | float] = {"mirror": "true", "vividness": 1, "postprocess": "none"}
    one = decoded(colorize(http, raw("coffee.png"), **options))
    other = decoded(colorize(http, flipped, **options))
    # Without it the network answers otherwise for a mirror image; with it, alike.
    assert np.abs(one.astype(int) - other[:, ::-1]).max() <= 1
    plain = decoded(colorize(http, raw("coffee.png"), vividness=1, postprocess="none"))
    assert np.abs(one.astype(int) - plain).max() > 3


def test_it_is_said_in_the_manifest_and_refused_where_it_is_not_a_choice(
    http: httpx.Client,
) -> None:
    files = {"file": raw("coffee.png")}
    told = http.post("/colorize?mirror=true", files=files, headers={"Accept": "application/json"})
    assert told.json()["mirror"] is True
    refused = http.post("/colorize?mirror=perhaps", files=files)
    assert refused.status_code == 422
    assert refused.json()["type"] == "/problems/invalid-options"
