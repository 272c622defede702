"""The library: every kind of photo in and out, as the service does it."""

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from chromaserve import (
    BodyTooLarge,
    Colorizer,
    DamagedPhoto,
    Hint,
    InvalidOptions,
    ModelNotFound,
    TooManyPixels,
    UnsupportedFormat,
    UnsupportedSamples,
    verify,
)
from tests.sample_photos import encoded, lightness, small
from tests.saved_models import publish

SAMPLES = Path(__file__).parents[2] / "samples"
CAT = SAMPLES / "grey" / "cat.jpg"


@pytest.fixture(scope="module")
def colorizer(small_root: Path) -> Iterator[Colorizer]:
    """By a small network, for tests that look at no colours."""
    with Colorizer(model_root=small_root, max_pixels=4_000_000) as made:
        yield made


@pytest.fixture(scope="module")
def bundled(model_root: Path) -> Iterator[Colorizer]:
    with Colorizer(model_root=model_root) as made:
        yield made


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(data)))


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, ""),
        (
            {"vividness": 0.2, "postprocess": "tv", "format": "jpeg"},
            "?vividness=0.2&postprocess=tv&format=jpeg",
        ),
        (
            {"hints": [{"x": 100, "y": 80, "color": "#2e6b3a"}], "format": "webp"},
            '?hints=[{"x":100,"y":80,"color":"%232e6b3a"}]&format=webp',
        ),
    ],
    ids=["default", "options", "hints"],
)
def test_bytes_become_the_bytes_of_the_service(
    bundled: Colorizer, http: httpx.Client, options: dict[str, object], query: str
) -> None:
    data = CAT.read_bytes()
    answer = http.post(f"/colorize{query}", content=data, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    assert bundled.colorize(data, **options) == answer.content  # type: ignore[arg-type]


def test_a_path_becomes_a_file(colorizer: Colorizer, tmp_path: Path) -> None:
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(CAT.read_bytes())
    beside = colorizer.colorize(photo)
    assert beside == tmp_path / "cat-colour.png"
    assert beside.read_bytes() == colorizer.colorize(CAT.read_bytes())
    long = f"{'n' * 250}.webp"  # as long as names can be
    named = colorizer.colorize(photo, output=str(tmp_path / "new" / long))
    assert Image.open(named).format == "WEBP"
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"cat.jpg", "cat-colour.png", "new", long}, "nothing else is left"
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    colour_sample().save(photo)  # small: the result must fit into the pipe
    colorizer.colorize(photo, output=pipe)
    assert pipe.is_fifo(), "it is written to, not replaced"
    assert os.read(reading, 4) == b"\x89PNG"
    os.close(reading)


def grey_sample() -> NDArray[np.uint8]:
    return np.asarray(Image.open(CAT))


def colour_sample() -> Image.Image:
    with Image.open(SAMPLES / "colour" / "coffee.jpg") as image:
        return image.convert("RGB").resize((90, 60))


def image_files() -> dict[str, bytes]:
    """Files whose pixels are not simply sRGB: the library must read an image as the file."""
    colour = colour_sample()
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = colour.copy()
    alpha.putalpha(colour.convert("L"))
    return {
        "exif.jpg": encoded(colour, "JPEG", exif=exif),
        "exif.tiff": encoded(colour, "TIFF", exif=exif),
        "palette.png": encoded(colour.quantize(32), "PNG"),
        "cmyk.jpg": encoded(colour.convert("CMYK"), "JPEG"),
        "alpha.png": encoded(alpha, "PNG"),
        "bits.png": encoded(colour.convert("1"), "PNG"),
    }


@pytest.mark.parametrize("name", image_files())
def test_a_pillow_image_is_read_as_its_file(colorizer: Colorizer, name: str) -> None:
    data = image_files()[name]
    with Image.open(BytesIO(data)) as image:
        result = colorizer.colorize(image)
    expected = Image.open(BytesIO(colorizer.colorize(data)))
    assert result.mode == expected.mode
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
def test_an_array_keeps_its_depth_and_alpha(colorizer: Colorizer, channels: int) -> None:
    grey = grey_sample()[:120, :160]
    given = grey if channels == 0 else np.dstack([grey] * channels)
    narrow = colorizer.colorize(given)
    wide = colorizer.colorize(given.astype(">u2") * np.uint16(257))
    assert [narrow.dtype.name, wide.dtype.name] == ["uint8", "uint16"]
    assert narrow.shape == wide.shape == (120, 160, 4 if channels == 4 else 3)
    if channels == 4:
        np.testing.assert_array_equal(narrow[..., 3], grey)
        np.testing.assert_array_equal(wide[..., 3] / 257, grey)
    of_file = pixels(colorizer.colorize(encoded(Image.fromarray(grey), "PNG"))).astype(float)
    assert np.abs(narrow[..., :3] - of_file).max() <= 1
    assert np.abs(wide[..., :3] / 257 - of_file).max() <= 1


def test_sixteen_bit_greys_of_pillow(colorizer: Colorizer) -> None:
    wide = grey_sample()[:64, :64].astype(np.uint16) * 257
    of_wide = colorizer.colorize(Image.fromarray(wide))
    of_int = colorizer.colorize(Image.fromarray(wide.astype(np.int32)))
    assert of_wide.mode == of_int.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(of_wide), np.asarray(of_int))
    narrow = colorizer.colorize(Image.fromarray((wide // 257).astype(np.uint8)))
    assert np.abs(np.asarray(of_wide, int) - np.asarray(narrow, int)).max() <= 1


def test_many_come_in_order_and_are_read_lazily(colorizer: Colorizer) -> None:
    taken: list[int] = []

    def photos() -> Iterator[NDArray[np.uint8]]:
        for number in range(200):
            taken.append(number)
            yield np.full((20 + number, 24), 128, np.uint8)

    results = colorizer.colorize_many(photos())
    assert [next(results).shape[0] for _ in range(3)] == [20, 21, 22]
    assert len(taken) < 100, "a bounded number is read ahead"
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert colorizer.colorize(np.zeros((8, 8), np.uint8)).shape == (8, 8, 3)


def test_errors_of_many_are_raised_or_returned(colorizer: Colorizer) -> None:
    photos = [CAT.read_bytes(), b"no photo", CAT.read_bytes()[:4000], CAT.read_bytes()]
    first, second, third, fourth = colorizer.colorize_many(photos, errors="return")
    assert first == fourth == colorizer.colorize(photos[0])
    assert isinstance(second, UnsupportedFormat)
    assert isinstance(third, DamagedPhoto)
    results = colorizer.colorize_many(photos)
    assert next(results) == first
    with pytest.raises(UnsupportedFormat):
        next(results)


def test_many_files_go_into_a_folder(colorizer: Colorizer, tmp_path: Path) -> None:
    photos = [CAT, CAT.with_name("missing.jpg"), SAMPLES / "colour" / "cat.jpg"]
    done, missing, other = colorizer.colorize_many(photos, output=tmp_path, errors="return")
    assert (done, other) == (tmp_path / "cat.png", tmp_path / "cat-2.png")
    assert isinstance(missing, FileNotFoundError)
    (tmp_path / "cat.jpg").write_bytes(CAT.read_bytes())
    given = [tmp_path / "cat.jpg", tmp_path / "cat.png"]  # their own folder: none is overwritten
    assert [path.name for path in colorizer.colorize_many(given, output=str(tmp_path))] == [
        "cat-colour.png",
        "cat-colour-2.png",
    ]


def test_no_photo_is_replaced(colorizer: Colorizer, tmp_path: Path) -> None:
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for photo in (first, second):
        photo.write_bytes(encoded(colour_sample(), "PNG"))
    before = first.read_bytes()
    (tmp_path / "link").symlink_to(".")
    for output in (first, tmp_path / "link" / "a.png", f"{tmp_path}/link/link/a.png"):
        with pytest.raises(InvalidOptions, match="take the place of a photo"):
            colorizer.colorize(first, output=output)
    in_link = colorizer.colorize_many([first, second], output=tmp_path / "link")
    assert [path.name for path in in_link] == ["a-colour.png", "b-colour.png"]
    onto_the_next = colorizer.colorize_many(
        [first, second], output=lambda photo: second if photo == first else tmp_path / "new.png",
        errors="return",
    )  # fmt: skip
    refused, made = onto_the_next
    assert isinstance(refused, InvalidOptions)
    assert made == tmp_path / "new.png"
    assert first.read_bytes() == second.read_bytes() == before


def test_a_path_may_be_text(colorizer: Colorizer, tmp_path: Path) -> None:
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(CAT.read_bytes())
    made = colorizer.colorize(str(photo))
    assert made == str(tmp_path / "cat-colour.png")
    assert list(colorizer.colorize_many([str(photo)])) == [made]


def test_what_never_ends_is_not_read(colorizer: Colorizer, tmp_path: Path) -> None:
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(12 * 10**9)  # of which the disk holds nothing
    endless, large, cat = colorizer.colorize_many(
        [Path("/dev/zero"), tmp_path / "large.jpg", CAT], output=tmp_path, errors="return"
    )
    assert isinstance(endless, OSError)
    assert isinstance(large, BodyTooLarge)
    assert cat == tmp_path / "cat.png"


def test_threads_may_share_an_image_that_is_not_loaded_yet(colorizer: Colorizer) -> None:
    with Image.open(SAMPLES / "grey" / "forest-stream.jpg") as image:
        first, *others = colorizer.colorize_many([image] * 8)
    assert all(other.tobytes() == first.tobytes() for other in others)


def test_what_cannot_be_colorized_is_refused(colorizer: Colorizer) -> None:
    with pytest.raises(TooManyPixels):
        colorizer.colorize(np.zeros((2001, 2000), np.uint8))
    with pytest.raises(UnsupportedSamples):
        colorizer.colorize(np.zeros((4, 4), np.float32))  # type: ignore[type-var]
    with pytest.raises(UnsupportedSamples):
        colorizer.colorize(Image.new("F", (4, 4)))
    with pytest.raises(InvalidOptions, match="vividness"):
        colorizer.colorize(b"", vividness=2)
    with pytest.raises(InvalidOptions, match="'model'"):
        colorizer.colorize(b"", model="2")  # type: ignore[call-arg]
    with pytest.raises(InvalidOptions, match="'jpeg'"):
        colorizer.colorize(b"", format="gif")  # type: ignore[arg-type]
    with pytest.raises(InvalidOptions, match=r"not \.bmp"):
        colorizer.colorize(CAT, output=Path("cat.bmp"))
    with pytest.raises(TypeError, match="output"):
        colorizer.colorize(b"", output=Path("cat.png"))
    with pytest.raises(InvalidOptions, match="transparency"):
        colorizer.colorize(encoded(Image.new("LA", (4, 4)), "PNG"), format="jpeg")
    with pytest.raises(TypeError, match="not int"):
        colorizer.colorize(7)  # type: ignore[type-var]
    with pytest.raises(IsADirectoryError):
        colorizer.colorize(SAMPLES)
    with pytest.raises(ModelNotFound):
        Colorizer(model=999)


def test_threads_share_it(colorizer: Colorizer) -> None:
    expected = colorizer.colorize(CAT.read_bytes())
    results: list[bytes] = []

    def work() -> None:
        results.extend(colorizer.colorize_many([CAT.read_bytes()] * 3))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 12


@pytest.mark.slow
def test_a_closed_one_says_so_and_holds_no_model(model_root: Path) -> None:
    colorizer = Colorizer(model_root=model_root)
    engine = weakref.ref(colorizer.background.model.engine)
    results = colorizer.colorize_many([CAT.read_bytes()] * 3)
    next(results)
    colorizer.close()
    colorizer.close()
    assert colorizer.model_version >= 1
    with pytest.raises(RuntimeError, match="closed"):
        next(results)
    with pytest.raises(RuntimeError, match="closed"):
        colorizer.colorize(CAT.read_bytes())
    gc.collect()
    assert engine() is None


def test_pillows_limit_is_the_programs(
    colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert colorizer.colorize(CAT.read_bytes()).startswith(b"\x89PNG")
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.slow
def test_proposals_are_distinct_photos_of_one_lightness(bundled: Colorizer) -> None:
    data = CAT.read_bytes()
    made = [bundled.colorize(data, proposal=n) for n in (1, 2, 3)]
    assert made[0] == bundled.colorize(data)
    assert made[1] == bundled.colorize(data, proposal=2)
    for n, one in enumerate(made):
        np.testing.assert_allclose(lightness(pixels(one)), lightness(pixels(made[0])), atol=1)
        for other in made[:n]:
            apart = pixels(one).astype(int) - pixels(other)
            assert np.abs(apart).max(-1).mean() > 4
    assert "proposal 3" in Image.open(BytesIO(made[2])).getexif()[0x131]
    with pytest.raises(InvalidOptions, match="proposal"):
        bundled.colorize(data, proposal=9)


def test_a_model_without_a_distribution_has_one_proposal(tmp_path: Path) -> None:
    publish(lambda L, vividness: tf.repeat(L * vividness / 10, 2, -1), tmp_path)
    with Colorizer(model_root=tmp_path / "store", device="cpu") as made:
        assert made.colorize(CAT.read_bytes(), proposal=1)
        with pytest.raises(InvalidOptions, match="one colouring"):
            made.colorize(CAT.read_bytes(), proposal=2)


@pytest.mark.slow
def test_confidence_is_told_of_photos_of_every_kind(bundled: Colorizer, tmp_path: Path) -> None:
    data = CAT.read_bytes()
    told = bundled.confidence(data)
    assert told.map.dtype == np.uint8
    assert told.map.shape == pixels(data).shape[:2]
    assert told.figure == pytest.approx(told.map.mean() / 255, abs=0.02)
    width, height = told.map.shape[::-1]
    assert len(told.hint_places) == 3
    assert all(type(each) is float for place in told.hint_places for each in place)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in told.hint_places)
    photo = tmp_path / "cat.jpg"
    photo.write_bytes(data)
    with Image.open(photo) as image:
        for given in (photo, str(photo), image, pixels(data)):
            again = bundled.confidence(given)
            np.testing.assert_allclose(again.map.astype(int), told.map, atol=1)
            assert again.hint_places == told.hint_places
    assert list(tmp_path.iterdir()) == [photo], "nothing is written"
    with pytest.raises(InvalidOptions, match="confidence"):
        bundled.colorize(data, confidence="jpeg")  # type: ignore[arg-type]


@pytest.mark.slow
def test_livelier_colours_are_less_sure_and_hints_are_sure(bundled: Colorizer) -> None:
    data = CAT.read_bytes()
    calm, lively = (bundled.confidence(data, vividness=v).figure for v in (0, 1))
    assert calm is not None
    assert lively is not None
    assert calm > lively
    x, y = bundled.confidence(data).hint_places[0]
    hinted = bundled.confidence(data, hints=[{"x": x, "y": y, "color": "#806040"}])
    assert hinted.map[int(y), int(x)] > 230


def test_a_model_without_a_calibration_tells_no_confidence(tmp_path: Path) -> None:
    publish(lambda L, vividness: tf.repeat(L * vividness / 10, 2, -1), tmp_path)
    with (
        Colorizer(model_root=tmp_path / "store", device="cpu") as made,
        pytest.raises(InvalidOptions, match="how sure"),
    ):
        made.confidence(CAT.read_bytes())


def test_pages_each_by_itself(colorizer: Colorizer, tmp_path: Path) -> None:
    book = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L", (60, 40))])
    first, second = colorizer.pages(book)
    assert second == colorizer.colorize(book, page=2)
    assert Image.open(BytesIO(second)).size == (60, 40)
    assert first != second
    path = tmp_path / "book.tif"
    path.write_bytes(book)
    places = list(colorizer.pages(path, format="jpeg"))
    assert places == [tmp_path / f"book-colour-page-{n}.jpg" for n in (1, 2)]
    assert Image.open(places[1]).size == (60, 40)
    leaf = tmp_path / "leaf.png"
    leaf.write_bytes(encoded(small("L"), "PNG"))
    assert list(colorizer.pages(str(leaf))) == [str(tmp_path / "leaf-colour.png")]
    with pytest.raises(InvalidOptions, match="by its page"):
        colorizer.colorize(book, pages="all")


@pytest.mark.slow
def test_a_reference_of_every_kind_gives_its_colours(bundled: Colorizer, tmp_path: Path) -> None:
    data = CAT.read_bytes()
    other = SAMPLES / "colour" / "cat.jpg"
    truth = pixels(other.read_bytes()).astype(int)
    plain, liked = bundled.colorize(data), bundled.colorize(data, reference=other)
    errors = [np.abs(pixels(each) - truth).mean() for each in (plain, liked)]
    assert errors[1] < 0.7 * errors[0]
    np.testing.assert_allclose(lightness(pixels(liked)), lightness(pixels(plain)), atol=1)
    with Image.open(other) as image:
        for given in (other.read_bytes(), str(other), image, pixels(other.read_bytes())):
            again = pixels(bundled.colorize(data, reference=given)).astype(int)
            assert np.abs(again - pixels(liked)).mean() < 0.5
    photos = [data, data]
    assert list(bundled.colorize_many(photos, reference=other)) == [liked, liked]
    with pytest.raises(InvalidOptions, match="reference: this photo is grey"):
        bundled.colorize(data, reference=CAT)
    with pytest.raises(DamagedPhoto, match="reference"):
        bundled.colorize(data, reference=other.read_bytes()[:4000])
    mine = tmp_path / "print.jpg"
    mine.write_bytes(other.read_bytes())
    with pytest.raises(InvalidOptions, match="take the place"):
        bundled.colorize(CAT, reference=mine, output=mine)
    assert mine.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_both_engines_give_the_colours_of_a_reference(
    bundled: Colorizer, model_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMASERVE_MAX_BATCH", "1")  # it tries every size of batch as it starts
    other = SAMPLES / "colour" / "cat.jpg"
    photo = pixels(CAT.read_bytes())
    with Colorizer(model_root=model_root, device="cpu", engine="savedmodel") as original:
        theirs = original.colorize(photo, reference=other).astype(int)
    apart = np.abs(bundled.colorize(photo, reference=other).astype(int) - theirs)
    assert np.quantile(apart, 0.99) <= 2


def test_a_model_without_features_takes_no_reference(tmp_path: Path) -> None:
    publish(lambda L, vividness: tf.repeat(L * vividness / 10, 2, -1), tmp_path)
    with (
        Colorizer(model_root=tmp_path / "store", device="cpu") as made,
        pytest.raises(InvalidOptions, match="cannot match photos with a reference"),
    ):
        made.colorize(CAT.read_bytes(), reference=SAMPLES / "colour" / "cat.jpg")


def test_photos_before_a_broken_listing_are_done(colorizer: Colorizer) -> None:
    def listing() -> Iterator[NDArray[np.uint8]]:
        yield from [grey_sample()[:32, :32]] * 2
        raise KeyError("listing broke")

    results = colorizer.colorize_many(listing(), errors="return")
    assert all(isinstance(next(results), np.ndarray) for _ in range(2))
    with pytest.raises(KeyError, match="listing broke"):
        next(results)
    assert next(results, None) is None


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ([(10, 20, "#ff0000")], "hint 1 must be an object with x, y"),
        ({"x": 1, "y": 1, "color": "#ff0000"}, "must be a list"),
        (Hint(x=1, y=1, color="#ff0000"), "must be a list"),
        (5, "must be a list"),
        (
            [{"x": 1, "y": 1, "color": "#ff0000"}, {"x": 1, "y": 1, "color": "red"}],
            "color of hint 2 must be six hexadecimal digits",
        ),
        ([{"x": 1, "y": 1, "colour": "#ff0000"}], "hint 1 has no color"),
        ([{"x": 1, "y": 1, "color": "#ff0000", 7: 8}], "hint 1"),
    ],
)
def test_wrong_hints_are_told_of_in_sentences(
    colorizer: Colorizer, hints: object, said: str
) -> None:
    with pytest.raises(InvalidOptions) as told:
        colorizer.colorize(grey_sample(), hints=hints)  # type: ignore[arg-type]
    assert said in told.value.detail
    assert not {"discriminator", "pattern"} & set(told.value.detail.split())


def test_an_image_whose_file_is_closed_is_told_of(colorizer: Colorizer) -> None:
    with Image.open(CAT) as image:
        pass
    with pytest.raises(DamagedPhoto, match="its file is closed"):
        colorizer.colorize(image)


def test_no_photo_and_one_photo_for_many_are_told_of(colorizer: Colorizer, tmp_path: Path) -> None:
    for nothing in (Path(), Path("/")):
        with pytest.raises(IsADirectoryError):
            colorizer.colorize(nothing)
        with pytest.raises(IsADirectoryError):
            next(colorizer.pages(nothing))
        with pytest.raises(IsADirectoryError):
            colorizer.colorize(str(nothing).strip("."))
        (told,) = colorizer.colorize_many([nothing], output=tmp_path, errors="return")
        assert isinstance(told, IsADirectoryError)
    given: list[Any] = ["abc.jpg", Path("abc.jpg"), b"abc", bytearray(b"abc"), BytesIO(b"abc")]
    for one in given:
        with pytest.raises(TypeError, match="a list of photos"):
            colorizer.colorize_many(one)


def test_masked_pixels_are_not_coloured(colorizer: Colorizer) -> None:
    grey = grey_sample()[:32, :32]
    masked = np.ma.masked_array(grey, mask=np.eye(32, dtype=bool))
    for refused in (colorizer.colorize, lambda photo: verify(photo, grey)):
        with pytest.raises(UnsupportedSamples, match="masked"):
            refused(masked)
    assert colorizer.colorize(np.ma.masked_array(grey, mask=False)).shape == (32, 32, 3)


@pytest.mark.slow
def test_a_place_that_is_named_twice_has_one_result(colorizer: Colorizer, tmp_path: Path) -> None:
    photos = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for photo in photos:
        Image.fromarray(grey_sample()[:32, :32]).save(photo)
    places = iter(
        [tmp_path / "same.png", tmp_path / "new" / ".." / "same.png", tmp_path / "c2.png"]
    )
    first, second, third = colorizer.colorize_many(
        photos, output=lambda _: next(places), errors="return"
    )
    assert (first, third) == (tmp_path / "same.png", tmp_path / "c2.png")
    assert isinstance(second, InvalidOptions)
    to_nowhere = colorizer.colorize_many(photos, output=lambda _: Path("/dev/null"))
    assert list(to_nowhere) == [Path("/dev/null")] * 3
