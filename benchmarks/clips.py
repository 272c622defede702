"""Grey clips made of sample photos, as a camera and x264 would give them; and any video file."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

SAMPLES = Path(__file__).parents[1] / "samples" / "colour"
WIDTH, HEIGHT = 640, 360
FRAMES = 48
RATE = 25
NOISE = 4.0  # standard deviation in codes of 255: a small sensor indoors
CRF = 23  # x264's default quality

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """Frames as decoded, and what they were before noise and compression, if that is known."""

    name: str
    frames: list[Grey]
    """uint8 [H, W]."""
    clean: list[Grey] | None
    cut: int | None = None
    """First frame of the second scene."""
    covered: list[NDArray[np.bool_]] | None = None
    """Where something passes before the background."""


def made_clips() -> Iterator[Clip]:
    """A tripod, a pan with zoom, an object that passes, and a cut."""
    half = FRAMES // 2
    tripod = [_view("autumn-mountain", 0, 0)] * FRAMES
    yield Clip("tripod", _as_filmed(tripod, 0), tripod)
    pan = [_view("picos-de-europa", t, t) for t in range(FRAMES)]
    yield Clip("pan and zoom", _as_filmed(pan, 1), pan)
    passing, covered = _passing("raccoon", "forest-stream")
    yield Clip("passing object", _as_filmed(passing, 2), passing, covered=covered)
    scenes = [_view(name, t, 0) for name in ("dandelions", "wine-and-drum") for t in range(half)]
    yield Clip("cut", _as_filmed(scenes, 3), scenes, cut=half)


def read_clip(path: Path, frames: int) -> Clip:
    """The first frames of a video file, in grey."""
    return Clip(path.name, _decoded(path, frames), None)


def _decoded(path: Path, frames: int) -> list[Grey]:
    reader = imageio_ffmpeg.read_frames(path, pix_fmt="gray", bits_per_pixel=8)
    width, height = next(reader)["size"]
    raw = list(islice(reader, frames))
    reader.close()
    return [np.frombuffer(frame, np.uint8).reshape(height, width) for frame in raw]


def _view(sample: str, pan: float, zoom: float) -> Grey:
    """A window on a sample that moves by 0.7 pixels and narrows by 0.2% for each step."""
    photo = cv2.imread(str(SAMPLES / f"{sample}.jpg"), cv2.IMREAD_GRAYSCALE)
    assert photo is not None
    rows, columns = photo.shape
    scale = max(WIDTH / columns, HEIGHT / rows) * 1.15 * (1 + 0.002 * zoom)
    centre_x, centre_y = columns / 2 - 0.05 * columns + 0.7 * pan / scale, rows / 2
    matrix = np.array(
        [[scale, 0, WIDTH / 2 - scale * centre_x], [0, scale, HEIGHT / 2 - scale * centre_y]]
    )
    view = cv2.warpAffine(
        photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip
    return np.asarray(view, np.uint8)


def _passing(subject: str, background: str) -> tuple[list[Grey], list[NDArray[np.bool_]]]:
    """The middle of one sample, as an oval, passes before another by 11 pixels a frame; where."""
    scene, thing = _view(background, 0, 0), _view(subject, 0, 0)
    axes = (90, 130)
    frames, covered = [], []
    for t in range(FRAMES):
        centre = (60 + 11 * t, 200)
        mask = np.zeros(scene.shape, np.float32)
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 1.0, -1)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5), np.float32)
        shift = np.array([[1, 0, centre[0] - WIDTH / 2], [0, 1, centre[1] - HEIGHT / 2]])
        moved = cv2.warpAffine(thing, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        covered.append(mask > 0)
        frames.append(np.rint(mask * moved + (1 - mask) * scene).astype(np.uint8))
    return frames, covered


def _as_filmed(clean: list[Grey], seed: int) -> list[Grey]:
    """The frames with a sensor's noise, written by x264 and read again."""
    rng = np.random.default_rng(seed)
    noisy = [
        np.clip(frame + NOISE * rng.standard_normal(frame.shape), 0, 255).astype(np.uint8)
        for frame in clean
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mkv"
        encoded(noisy, path)
        return _decoded(path, len(clean))


def encoded(frames: list[Grey], path: Path) -> None:
    """Write frames by x264, uint8 [H, W] each."""
    height, width = frames[0].shape
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", str(RATE)),
        *("-i", "-", "-c:v", "libx264", "-crf", str(CRF), "-pix_fmt", "yuv420p", str(path)),
    ]
    subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True)
