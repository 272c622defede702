"""The photos that are sent: a sample at three sizes with a camera's grain, the same every time."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "grey" / "picos-de-europa.jpg"
GRAIN = 4.0  # standard deviation in 8-bit codes, as a camera's at middling sensitivity
QUALITY = 92
BOUNDARY = "photo"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Size:
    """A size of photo and how it is measured."""

    name: str
    width: int
    height: int
    seconds: float
    """That requests are sent for, a step."""
    common_rate: float
    """Photos a second sent to every contender alike."""
    clients: int
    """In the closed loop that warms up and gives the first estimate."""
    warm_up: int
    """Requests of that loop."""
    timed: int
    """Requests whose latency is told at 80% of saturation, in all rounds together."""


SIZES = (
    Size("256²", 256, 256, seconds=9, common_rate=4, clients=16, warm_up=40, timed=1000),
    Size("1 MP", 1152, 864, seconds=9, common_rate=3, clients=16, warm_up=32, timed=240),
    Size("12 MP", 4000, 3000, seconds=12, common_rate=0.6, clients=6, warm_up=8, timed=30),
)


def jpeg(size: Size) -> bytes:
    """The photo as a grey JPEG."""
    sample = cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)
    assert sample is not None, SAMPLE
    photo = cv2.resize(sample, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(0).normal(0, GRAIN, (size.height, size.width))
    pixels = np.clip(photo + grain, 0, 255).round().astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def form(photo: bytes) -> bytes:
    """The body of a multipart upload of one photo; its type is `CONTENT_TYPE`."""
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()


def write_forms(folder: Path) -> dict[str, Path]:
    """Write each size's body; by the size's name, the file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for size in SIZES:
        paths[size.name] = folder / f"{size.width}x{size.height}.form"
        paths[size.name].write_bytes(form(jpeg(size)))
    return paths
