"""A hint on one frame of a film: its colour goes with the thing, and stops where the shot does."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab

from chromaserve import Colorizer, Hint, Region, colorize_film, colorize_frames
from chromaserve.errors import InvalidOptions
from tests.sample_photos import load

WIDTH, HEIGHT = 192, 128
SHOT, FRAMES = 14, 18
SIDE = 56  # of the thing
HINTED = 6
RED = "#c02020"
Frames = NDArray[np.uint8]


@pytest.fixture(scope="module")
def colorizer() -> Iterator[Colorizer]:
    with Colorizer(cache_mb=256) as opened:
        yield opened


def grey(name: str, width: int, height: int) -> Frames:
    photo = cv2.resize(load(name)[..., :3], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8)


def corner(t: int) -> tuple[int, int]:
    """Of the thing: it goes by 8 pixels a frame to the right, and a little down."""
    return 8 + 8 * t, 20 + 2 * t


def frames() -> Frames:
    """A cat's face passes before a landscape; after a cut an astronaut is seen."""
    scene, after = grey("rocket.jpg", WIDTH, HEIGHT), grey("astronaut.png", WIDTH, HEIGHT)
    thing = cv2.resize(grey("chelsea.png", 451, 300)[60:220, 120:280], (SIDE, SIDE))
    made = []
    for t in range(SHOT):
        x, y = corner(t)
        frame = scene.copy()
        frame[y : y + SIDE, x : x + SIDE] = thing[:, : max(0, WIDTH - x)]
        made.append(frame)
    return np.stack(made + [after] * (FRAMES - SHOT))


def around(t: int, **when: object) -> Region:
    x, y = corner(t)
    line = ((x, y), (x + SIDE, y), (x + SIDE, y + SIDE), (x, y + SIDE))
    return Region.model_validate({"region": line, "color": RED, **when})


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "in.mkv"
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "gray",
         "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-", "-c:v", "ffv1", str(path)],
        input=frames().tobytes(), check=True,
    )  # fmt: skip
    return path


def coloured(colorizer: Colorizer, film: Path, *hints: Hint | Region, name: str = "out") -> Frames:
    target = film.with_name(f"{name}.mkv")
    colorize_film(film, target, colorizer=colorizer, codec="ffv1", hints=hints)
    return read(target)


def read(film: Path) -> Frames:
    shown = list(imageio_ffmpeg.read_frames(film, pix_fmt="rgb24"))[1:]
    return np.stack([np.frombuffer(f, np.uint8).reshape(HEIGHT, WIDTH, 3) for f in shown])


def streamed(colorizer: Colorizer, given: Frames, *hints: Hint | Region) -> Frames:
    sink = io.BytesIO()
    colorize_frames(
        io.BytesIO(given.tobytes()), sink, WIDTH, HEIGHT,
        colorizer=colorizer, pixel_format="gray", hints=hints,
    )  # fmt: skip
    return np.frombuffer(sink.getvalue(), np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


def redness(frame: Frames, t: int) -> float:
    """The median a* in the middle of the thing; that of the hint is about 60."""
    x, y = corner(t)
    middle = frame[y + SIDE // 4 : y + 3 * SIDE // 4, x + SIDE // 4 : x + 3 * SIDE // 4]
    return float(np.median(rgb2lab(middle)[..., 1]))


@pytest.fixture(scope="module")
def plain(colorizer: Colorizer, film: Path) -> Frames:
    return coloured(colorizer, film, name="plain")


@pytest.fixture(scope="module")
def hinted(colorizer: Colorizer, film: Path) -> Frames:
    return coloured(colorizer, film, around(HINTED, frame=HINTED), name="hinted")


@pytest.mark.slow
def test_the_colour_goes_with_the_thing_back_and_forth(plain: Frames, hinted: Frames) -> None:
    for t in range(SHOT):
        assert redness(plain[t], t) < 20
        assert redness(hinted[t], t) > 40, t


@pytest.mark.slow
def test_it_does_not_stay_where_the_thing_was(plain: Frames, hinted: Frames) -> None:
    for t in (0, SHOT - 1):
        x, y = corner(HINTED)
        there = np.s_[t, y : y + SIDE, x : x + SIDE]
        seen = np.ones((HEIGHT, WIDTH), bool)
        x, y = corner(t)
        seen[max(0, y - 12) : y + SIDE + 12, max(0, x - 12) : x + SIDE + 12] = False
        off = np.abs(hinted[there].astype(int) - plain[there])[seen[there[1:]]]
        assert off.mean() < 2


@pytest.mark.slow
def test_after_the_cut_it_is_gone(plain: Frames, hinted: Frames) -> None:
    assert np.array_equal(hinted[SHOT:], plain[SHOT:])


@pytest.mark.slow
def test_it_is_as_steady_as_colours_are(plain: Frames, hinted: Frames) -> None:
    steps = []
    for made in (plain, hinted):
        reds = [redness(made[t], t) for t in range(1, SHOT - 1)]
        steps.append(np.abs(np.diff(reds)).mean())
    assert steps[1] < max(2.3, 1.5 * steps[0])


@pytest.mark.slow
def test_a_time_is_of_the_frame_that_is_seen_then(
    colorizer: Colorizer, film: Path, hinted: Frames
) -> None:
    made = coloured(colorizer, film, around(HINTED, time=HINTED / 25 + 0.03), name="time")
    assert np.array_equal(made, hinted)


@pytest.mark.slow
def test_a_later_hint_takes_over(colorizer: Colorizer, film: Path) -> None:
    green = Region(region=around(10).region, color="#208020", frame=10)
    made = coloured(colorizer, film, around(2, frame=2), green, name="two")
    assert redness(made[2], 2) > 40
    assert redness(made[10], 10) < 0
    assert redness(made[SHOT - 1], SHOT - 1) < 0


@pytest.mark.slow
def test_a_film_that_is_continued_has_it_too(colorizer: Colorizer, film: Path) -> None:
    target = film.with_name("continued.mkv")
    hints = [around(1, frame=1)]

    def stop(done: int, _: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, target, colorizer=colorizer, codec="ffv1", hints=hints, progress=stop)
    report = colorize_film(film, target, colorizer=colorizer, codec="ffv1", hints=hints)
    assert report.kept > 0
    made = read(target)
    assert len(made) == FRAMES
    assert redness(made[12], 12) > 40


@pytest.mark.slow
def test_in_a_stream_it_goes_on_from_its_frame() -> None:
    with Colorizer(engine="ncnn", device="cpu") as colorizer:
        made = streamed(colorizer, frames()[:8], around(2, frame=2))
    assert len(made) == 8
    for t in range(2, 8):
        assert redness(made[t], t) > 40, t


def test_a_frame_that_never_comes(colorizer: Colorizer) -> None:
    sink = io.BytesIO()
    with pytest.raises(InvalidOptions, match="frame 9, and 3 frames came"):
        colorize_frames(
            io.BytesIO(frames()[:3].tobytes()), sink, WIDTH, HEIGHT,
            colorizer=colorizer, pixel_format="gray", hints=[around(0, frame=9)],
        )  # fmt: skip
    assert len(sink.getvalue()) == 3 * 3 * WIDTH * HEIGHT
    with pytest.raises(InvalidOptions, match="hint 1 has a time, and frames of a stream have none"):
        streamed(colorizer, frames()[:1], around(0, time=0.0))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"x": 5, "y": 5}, "hint 1 has no frame"),
        ({"x": 5, "y": 5, "frame": 1, "time": 0.1}, "hint 1 has a frame and a time"),
        ({"x": 5, "y": 5, "frame": 18}, "hint 1 is on frame 18, and the film has 18 frames"),
        ({"x": 5, "y": 5, "time": 0.8}, "hint 1 is on second 0.8, and the film has 18 frames"),
        ({"x": 193, "y": 5, "frame": 1}, "outside the frame, which is 192 × 128"),
        ({"x": 5, "y": 5, "frame": 1, "photo": 0}, "hint 1 has a photo"),
        ({"x": 5, "y": 5, "frame": -1}, "frame of hint 1 must be a frame's number"),
    ],
)
def test_hints_that_cannot_be_used(
    colorizer: Colorizer, film: Path, given: dict[str, object], fault: str
) -> None:
    target = film.with_name("never.mkv")
    hints = json.dumps([{"color": RED, **given}])
    with pytest.raises(InvalidOptions, match=fault):
        colorize_film(film, target, colorizer=colorizer, hints=hints)
    assert not list(film.parent.glob("never*"))


@pytest.mark.slow
def test_a_wrong_hint_or_option_harms_no_film_that_is_half_done(
    colorizer: Colorizer, film: Path
) -> None:
    target = film.with_name("half.mkv")

    def stop(done: int, _: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, target, colorizer=colorizer, codec="ffv1", progress=stop)
    wrong: list[dict[str, Any]] = [
        {"hints": [around(0, frame=99)]}, {"proposal": 2}, {"confidence": "figure"},
        {"look": "tiles"}, {"colour": "keep"}, {"smoothing": 1.5},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(InvalidOptions):
            colorize_film(film, target, colorizer=colorizer, codec="ffv1", **options)
    assert colorize_film(film, target, colorizer=colorizer, codec="ffv1").kept > 0


def test_photos_have_no_frames(colorizer: Colorizer) -> None:
    with pytest.raises(InvalidOptions, match="hint 1 has a frame, which is of films"):
        colorizer.colorize(frames()[0], hints=[Hint(x=5, y=5, color=RED, frame=0)])


@pytest.mark.slow
def test_the_command_takes_them_from_a_file(film: Path) -> None:
    hints, target = film.with_name("hints.json"), film.with_name("command.mkv")
    command = [sys.executable, "-m", "chromaserve", "video", str(film), str(target)]
    command += ["--codec", "ffv1", "--hints", f"@{hints}"]
    for given, status in (({"frame": 900}, 2), ({"frame": HINTED}, 0)):
        hint = around(HINTED).model_dump(exclude_none=True) | given
        hints.write_text(json.dumps([hint]))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        if status:
            assert "hint 1 is on frame 900, and the film has 18 frames" in done.stderr
            assert not target.exists()
    assert redness(read(target)[SHOT - 2], SHOT - 2) > 40
