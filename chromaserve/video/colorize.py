"""Raw frames from a stream to a stream: the way of a photo, for one frame after another."""

import time
from collections.abc import Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar, Unpack

import numpy as np

from chromaserve.errors import InvalidOptions
from chromaserve.library.colorizer import Colorizer
from chromaserve.library.colour_options import ColourOptions
from chromaserve.photos.in_memory import read_array
from chromaserve.photos.photo import Float, Photo, Pixels
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Pipeline
from chromaserve.pipeline.recolor import Looks, prepare, recolor
from chromaserve.video.ahead import ahead
from chromaserve.video.carrying import coloured_by
from chromaserve.video.frames import Frame, PixelFormat, read_frames, write_frame
from chromaserve.video.hints import FilmHints, of_numbered
from chromaserve.video.steady import DEFAULT_SMOOTHING, SteadyColours, steadied

T = TypeVar("T")


@dataclass(frozen=True)
class FrameReport:
    """What became of a stream."""

    frames: int
    """Written."""
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """On average, from the first byte asked for to the last one written."""
        return self.frames / self.seconds if self.seconds else 0.0


def colorize_frames(
    source: BinaryIO,
    sink: BinaryIO,
    width: int,
    height: int,
    *,
    colorizer: Colorizer,
    pixel_format: PixelFormat = "rgb24",
    smoothing: float = DEFAULT_SMOOTHING,
    **options: Unpack[ColourOptions],
) -> FrameReport:
    """Colorize raw frames: as many out as in, in their order, in rgb24.

    Every frame keeps its lightness, as a photo does. The model takes several frames at once: three
    batches or so are read before the first frame is written, and no more are in memory.

    Args:
        source: frames one after another, without anything between.
        sink: takes the coloured frames.
        width: of every frame, in pixels.
        height: of every frame, in pixels.
        colorizer: its model and threads are used; others may use them at the same time.
        pixel_format: of the source.
        smoothing: 0..1, see `SteadyColours`; at 0 a frame becomes what it would be as a photo.
        options: as for a photo. Each of `hints` has the frame that it was made on, from 0; its
            colour follows the thing through the rest of the shot.

    Returns:
        How many frames there were, and how long they took.

    Raises:
        TruncatedFrame: the stream ends within a frame; the whole ones are written.
        InvalidOptions: a number is out of range, or an option not for films; or a hint's frame did
            not come, which is told after the last one.
        EngineFailed: the model failed on a frame.
        OSError: an error of the streams; BrokenPipeError where the sink's reader has gone.
    """
    if min(width, height) < 1:
        raise InvalidOptions(f"A frame has at least 1 × 1 pixels, not {width} × {height}.")
    order = colorizer.order(**options)
    check_film(order, smoothing)
    hints = of_numbered(order, (width, height))
    start = time.perf_counter()
    written = 0
    frames_in = enumerate(read_frames(source, width, height, pixel_format))
    with closing(coloured(frames_in, colorizer, order, smoothing, hints)) as frames:
        for _, frame in frames:
            write_frame(sink, frame)
            written += 1
    sink.flush()
    return FrameReport(written, time.perf_counter() - start)


def check_film(order: Order, smoothing: float) -> None:
    """Raise InvalidOptions where that is not for films, before anything is begun."""
    if order.proposal > 1:
        raise InvalidOptions("Films have one colouring. Leave proposal out.")
    if order.confidence:
        raise InvalidOptions("Confidence is told of photos. Leave it out for films.")
    if order.look == "tiles":
        raise InvalidOptions("Films are looked at whole. Leave look out.")
    if order.colour == "keep":
        raise InvalidOptions("Films get new colours, whatever they have. Leave colour out.")
    SteadyColours(smoothing)  # which knows its range


def coloured(
    frames: Iterable[tuple[int, Frame]],
    colorizer: Colorizer,
    order: Order,
    smoothing: float,
    hints: FilmHints,
) -> Generator[tuple[int, Pixels], None, None]:
    """Frames, uint8 or uint16 [H, W, 1 or 3], in their colours [H, W, 3], steady over time.

    Each has a key, which goes along: a number that grows, by which hints know it.
    """
    way = _Way(colorizer, order, hints)
    answers = hints.carried(way.answers(frames))
    given = (((key, photo, planes), photo.thumbnail, ab) for key, photo, ab, planes in answers)
    steady = (
        ((key, photo), ab if planes is None else coloured_by(planes, ab))
        for (key, photo, planes), ab in steadied(given, smoothing)
    )
    return way.coloured(steady)


class _Way:
    """The stages of a photo's way, each taking its frames ahead of what the next one asks for."""

    def __init__(self, colorizer: Colorizer, order: Order, hints: FilmHints) -> None:
        self._background = colorizer.background
        self._order = order
        self._hints = hints

    def answers(
        self, frames: Iterable[tuple[int, Frame]]
    ) -> Iterator[tuple[int, Photo, Float, Float | None]]:
        """Each frame with the network's chroma for it, and its features if hints want them."""
        photos = ahead(self._read, frames, self._pipeline.decoding.threads)
        enough = 2 * self._order.model.photos_at_once
        return ahead(self._infer, photos, enough)

    def coloured(
        self, frames: Iterable[tuple[tuple[int, Photo], Float]]
    ) -> Generator[tuple[int, Pixels], None, None]:
        """Each frame in its colours, [H, W, 3]."""
        return ahead(self._recolor, frames, self._pipeline.encoding.threads)

    def _read(self, given: tuple[int, Frame]) -> "Future[tuple[int, Photo]]":
        async def read() -> tuple[int, Photo]:
            key, frame = given
            return key, await self._pipeline.decoding.run(self, read_array, frame)

        return self._start(read())

    def _infer(self, given: tuple[int, Photo]) -> "Future[tuple[int, Photo, Float, Float | None]]":
        key, photo = given
        features = self._hints.wants_features(key)

        async def infer() -> tuple[int, Photo, Float, Float | None]:
            looks = Looks(prepare(photo))
            answer = await self._pipeline.answer(looks, self._order, self, features=features)
            ab = np.asarray(answer.inference.ab, np.float32)
            return key, photo, ab, answer.features if features else None

        return self._start(infer())

    def _recolor(self, frame: tuple[tuple[int, Photo], Float]) -> "Future[tuple[int, Pixels]]":
        (key, photo), ab = frame
        guided = self._order.model.description.guided_filter

        def recolored() -> tuple[int, Pixels]:
            return key, recolor(photo, ab, self._order.postprocess, guided).pixels()

        return self._start(self._pipeline.encoding.run(self, recolored))

    @property
    def _pipeline(self) -> Pipeline:
        return self._background.pipeline

    def _start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return self._background.start(work)
