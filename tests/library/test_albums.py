"""`colorize_many` with `album`: by the library and the client, of every kind of photo."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve import (
    Client,
    Colorizer,
    Hint,
    InvalidOptions,
    ProblemError,
    Result,
    colorize_frames,
)
from tests.app.test_album import results, send, views
from tests.conftest import Server


@pytest.fixture(scope="module")
def colorizer(model_root: Path) -> Iterator[Colorizer]:
    with Colorizer(model_root=model_root) as made:
        yield made


HINT = Hint(x=440, y=230, color="#b03030", photo=0)


def pixels(photo: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(photo)))


@pytest.mark.slow
def test_all_kinds_of_photos_agree_as_by_the_service(
    colorizer: Colorizer, http: httpx.Client, tmp_path: Path
) -> None:
    photos = views()
    told = results(send(http, photos, album="true", hints=f"[{HINT.model_dump_json()}]"))
    wanted = [told[f"{i}.png"] for i in range(3)]
    assert list(colorizer.colorize_many(photos, album=True, hints=[HINT])) == wanted
    arrays = list(colorizer.colorize_many(iter(map(pixels, photos)), album=True, hints=[HINT]))
    for array, data in zip(arrays, wanted, strict=True):
        np.testing.assert_array_equal(array, pixels(data))
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, photo in zip(paths, photos, strict=True):
        path.write_bytes(photo)
    named = [HINT.model_copy(update={"photo": "0.png"})]
    written = colorizer.colorize_many(paths, output=tmp_path / "colour", album=True, hints=named)
    assert [path.read_bytes() for path in written] == wanted


@pytest.mark.slow
def test_the_client_sends_an_album_in_one_request(
    server: Server, http: httpx.Client, tmp_path: Path
) -> None:
    photos = views()
    told = results(send(http, photos, album="true", hints=f"[{HINT.model_dump_json()}]"))
    missing = tmp_path / "missing.png"
    with Client(server.url) as client:
        hints = [HINT.model_copy(update={"photo": 1})]
        found = [
            outcome
            for _, _, outcome in client.colorize_many(
                [missing, *photos], per_request=1, album=True, hints=hints
            )
        ]
        assert isinstance(found[0], FileNotFoundError)
        assert [each.data for each in found[1:] if isinstance(each, Result)] == [
            told[f"{i}.png"] for i in range(3)
        ]
        with pytest.raises(ProblemError, match="may hold"):
            list(client.colorize_many([photos[0]] * 9, album=True))
        with pytest.raises(ValueError, match="album=True"):
            list(client.colorize_many(photos, hints=hints))


def test_wrong_albums_are_refused_before_anything_is_done(colorizer: Colorizer) -> None:
    photos = views()[:2]
    with pytest.raises(InvalidOptions, match="64"):
        colorizer.colorize_many([photos[0]] * 65, album=True)
    hints = [HINT.model_copy(update={"photo": 2})]
    with pytest.raises(InvalidOptions, match="photo 2, and 2 came"):
        colorizer.colorize_many(photos, album=True, hints=hints)


def test_a_hint_of_a_film_says_of_which_frame(colorizer: Colorizer) -> None:
    frames = io.BytesIO(bytes(3 * 16 * 16))
    with pytest.raises(InvalidOptions, match="hint 1 has no frame"):
        colorize_frames(frames, io.BytesIO(), 16, 16, colorizer=colorizer, hints=[HINT])
