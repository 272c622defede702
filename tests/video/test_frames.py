"""Raw frames through `colorize_frames` and the command, with a real ffmpeg at both ends."""

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve import Colorizer
from chromaserve.errors import InvalidOptions
from chromaserve.video import PixelFormat, TruncatedFrame, colorize_frames
from tests.sample_photos import lightness, load

WIDTH, HEIGHT = 160, 90
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
Frames = NDArray[np.uint8]


@pytest.fixture(scope="module")
def colorizer() -> Iterator[Colorizer]:
    with Colorizer() as opened:
        yield opened


@pytest.fixture(scope="module")
def quick(small_root: Path) -> Iterator[Colorizer]:
    """By a small network: for tests that look at no colours."""
    with Colorizer(model_root=small_root) as opened:
        yield opened


@pytest.fixture(scope="module")
def film() -> Frames:
    """A photo that moves by two pixels a frame: uint8 [12, H, W, 3]."""
    photo = load("rocket.jpg")[::3, ::3]
    frames = [photo[20 : 20 + HEIGHT, 2 * t : 2 * t + WIDTH] for t in range(12)]
    return np.ascontiguousarray(frames, np.uint8)


def coloured(
    colorizer: Colorizer,
    frames: Frames,
    *,
    pixel_format: PixelFormat = "rgb24",
    smoothing: float = 0.9,
    reference: Frames | None = None,
) -> Frames:
    sink = io.BytesIO()
    report = colorize_frames(
        io.BytesIO(frames.tobytes()),
        sink,
        WIDTH,
        HEIGHT,
        colorizer=colorizer,
        pixel_format=pixel_format,
        smoothing=smoothing,
        reference=reference,
    )
    assert report.frames == len(frames)
    return np.frombuffer(sink.getvalue(), np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


@pytest.mark.slow
def test_as_many_frames_in_their_order_with_their_lightness(
    colorizer: Colorizer, film: Frames
) -> None:
    made = coloured(colorizer, film)
    assert made.shape == film.shape
    for before, after in zip(film, made, strict=True):
        off = np.abs(lightness(after) - lightness(before))
        assert off.mean() <= 0.3
        assert off.max() <= 1
    assert np.ptp(made, axis=3).mean() > 3  # colours, and not the grey


@pytest.mark.slow
def test_a_film_gets_the_colours_of_one_of_its_frames(colorizer: Colorizer, film: Frames) -> None:
    plain, liked = coloured(colorizer, film), coloured(colorizer, film, reference=film[0])
    errors = [np.abs(each.astype(int) - film).mean() for each in (plain, liked)]
    assert errors[1] < 0.7 * errors[0]


def test_without_smoothing_a_frame_is_what_it_would_be_as_a_photo(
    quick: Colorizer, film: Frames
) -> None:
    grey = np.ascontiguousarray(film[:4, :, :, 1])
    made = coloured(quick, grey, pixel_format="gray", smoothing=0)
    for frame, result in zip(grey, made, strict=True):
        alone = quick.colorize(frame)
        assert np.abs(result.astype(int) - alone).max() <= 1


def test_a_truncated_last_frame_is_told_after_the_whole_ones(
    quick: Colorizer, film: Frames
) -> None:
    sink = io.BytesIO()
    source = io.BytesIO(film[:3].tobytes()[:-100])
    with pytest.raises(TruncatedFrame, match="within frame 3: it has 43,100 of the 43,200 bytes"):
        colorize_frames(source, sink, WIDTH, HEIGHT, colorizer=quick)
    assert len(sink.getvalue()) == 2 * film[0].size


def test_bad_numbers(quick: Colorizer) -> None:
    for width, smoothing in ((0, 0.5), (4, 1.5), (4, float("nan"))):
        with pytest.raises(InvalidOptions):
            colorize_frames(
                io.BytesIO(), io.BytesIO(), width, 4, colorizer=quick, smoothing=smoothing
            )
    empty = colorize_frames(io.BytesIO(), io.BytesIO(), 4, 4, colorizer=quick)
    assert empty.frames == 0


def test_frames_are_read_a_bounded_number_ahead(quick: Colorizer) -> None:
    """An endless stream comes out as it goes in, and stops where nobody reads."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    class Endless(io.RawIOBase):
        read_bytes = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
            count = min(len(buffer), 50_000)  # as a pipe does: less than it is asked for
            buffer[:count] = bytes(count)
            self.read_bytes += count
            return count

    class Closing(io.BytesIO):
        def write(self, data: object) -> int:
            if self.tell() >= 3 * frame.size:
                raise BrokenPipeError
            return super().write(data)  # type: ignore[arg-type]

    source, sink = Endless(), Closing()
    with pytest.raises(BrokenPipeError):
        colorize_frames(source, sink, WIDTH, HEIGHT, colorizer=quick)  # type: ignore[arg-type]
    assert len(sink.getvalue()) == 3 * frame.size
    ahead = 2 * quick.background.model.engine.max_batch + 4 * 16
    assert source.read_bytes <= (3 + ahead) * frame.size


def test_ffmpeg_to_ffmpeg_by_the_command(film: Frames, tmp_path: Path) -> None:
    clip, result = tmp_path / "in.mp4", tmp_path / "out.mkv"
    size = f"{WIDTH}x{HEIGHT}"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    subprocess.run(
        [FFMPEG, "-v", "error", *raw, "-s", size, "-r", "10", "-i", "-", "-pix_fmt", "yuv420p",
         str(clip)],
        input=film.tobytes(), check=True,
    )  # fmt: skip
    command = [
        sys.executable,
        "-c",
        "from chromaserve.command_line.main import main; main()",
        "video",
    ]
    reading = subprocess.Popen(
        [FFMPEG, "-v", "error", "-i", str(clip), *raw, "-"], stdout=subprocess.PIPE
    )
    colouring = subprocess.Popen(
        [*command, "--width", str(WIDTH), "--height", str(HEIGHT)],
        stdin=reading.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    errors: list[bytes] = []
    assert colouring.stderr is not None
    listening = threading.Thread(target=lambda: errors.append(colouring.stderr.read()))  # type: ignore[union-attr]
    listening.start()
    subprocess.run(
        [FFMPEG, "-v", "error", *raw, "-s", size, "-r", "10", "-i", "-", "-c:v", "ffv1",
         str(result)],
        stdin=colouring.stdout, check=True, timeout=120,
    )  # fmt: skip
    assert reading.wait(60) == 0
    status = colouring.wait(60)
    listening.join()
    assert status == 0, errors
    assert b"12 frames" in errors[0]
    frames = list(imageio_ffmpeg.read_frames(result))[1:]
    assert len(frames) == len(film)
