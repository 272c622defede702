"""Hints of a film: on which frames they are, and their colours in the frames before these."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, pairwise
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.look import network_look
from chromaserve.color.reference import Seen
from chromaserve.errors import InvalidOptions
from chromaserve.library.colorizer import Colorizer
from chromaserve.photos.in_memory import read_array
from chromaserve.photos.photo import Float, Photo
from chromaserve.pipeline.hint_photos import check_inside
from chromaserve.pipeline.hints import AnyHint
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import hint_planes
from chromaserve.pipeline.reference import features, seen_of
from chromaserve.store.contract import NETWORK_SIZE, squeeze
from chromaserve.video.ahead import ahead
from chromaserve.video.carrying import Carried, Kept, between, laid
from chromaserve.video.container import FilmReader
from chromaserve.video.frames import Frame
from chromaserve.video.steady import Motion

REACH = 1500
"""Frames before a hinted one, at most, that get its colours: 50 KB are held of each."""
_NOWHERE = 50  # frames in which nothing has a hint's colour: further back it is not looked for


@dataclass
class FilmHints:
    """Hints by their frames. A frame's key is a number that grows: which, or its time."""

    at: Mapping[int, tuple[AnyHint, ...]] = field(default_factory=dict)
    """In the order of the keys."""
    before: Kept | None = None
    """Planes that hinted frames bring to those before them."""
    until: Mapping[int, int] = field(default_factory=dict)
    """How many frames it is from one of those to the next hint."""
    since: int | None = None
    """The hinted frame from which colours come to where a film is continued."""
    _over: float = -inf
    """Where the latest shot with hints ended."""

    def close(self) -> None:
        """Let go of what is kept."""
        if self.before:
            self.before.close()

    def wants_features(self, key: int) -> bool:
        """Whether a frame may be matched with one before it; asked ahead of `carried`."""
        return any(self._over <= hinted <= key for hinted in self.at)

    def carried(
        self, frames: Iterable[tuple[int, Photo, Float, Float | None]]
    ) -> Iterator[tuple[int, Photo, Float, Float | None]]:
        """Frames, the network's ab, and planes of the hints' colours where there are some.

        Args:
            frames: in their order: key, frame, the network's ab and, where they were wanted, the
                features that it saw.

        Raises:
            InvalidOptions: after the last frame, where a hint's was not among them.
        """
        carried, since, key = Carried(), 0, -1
        for key, photo, ab, row in frames:
            L = photo.thumbnail
            seen = None if row is None else _seen(L, row)
            planes, since = carried(L, seen), since + 1
            if planes is None:
                self._over = key
            if (hints := self.at.get(key)) and seen is not None:
                planes, since = carried.lay(_planes(hints, photo.size, L), L, seen), 0
            after = self.before.get(key) if self.before else None
            if after is not None:
                until = self.until[key]
                planes = (
                    after if planes is None else between(planes, after, since / (since + until))
                )
            yield key, photo, ab, planes
        late = [hints[0].frame for hinted, hints in self.at.items() if hinted > key]
        if late:
            raise InvalidOptions(f"hints: one is on frame {late[0]}, and {key + 1} frames came.")


def of_numbered(order: Order, size: tuple[int, int]) -> FilmHints:
    """Hints of frames that come once, and have no times.

    Args:
        order: whose hints they are.
        size: width and height of the frames.

    Raises:
        InvalidOptions: one has no frame, or lies outside.
    """
    hints = order.hints
    _check(order, size)
    for number, hint in enumerate(hints, 1):
        if hint.frame is None:
            raise InvalidOptions(
                f"hints: hint {number} has a time, and frames of a stream have none. Give it frame."
            )
    numbers = sorted({hint.frame for hint in hints if hint.frame is not None})
    return FilmHints({n: tuple(hint for hint in hints if hint.frame == n) for n in numbers})


def of_film(
    film: Path, colorizer: Colorizer, order: Order, resume_at: Fraction | None
) -> FilmHints:
    """Hints of a film, which is read up to the last of them.

    Args:
        film: is read anew.
        colorizer: whose network sees the frames before hinted ones.
        order: whose hints they are.
        resume_at: second at which a film is continued.

    Raises:
        InvalidOptions: a hint has no frame, is on one that there is not, or lies outside.
    """
    if not order.hints:
        return FilmHints()
    with closing(FilmReader(film)) as reader:
        _check(order, (reader.look.width, reader.look.height))
        look = _Look(reader, colorizer, order)
        try:
            return look.taken(resume_at)
        except BaseException:
            look.close()
            raise


class _Look:
    """A first look at a film, up to its last hint."""

    def __init__(self, reader: FilmReader, colorizer: Colorizer, order: Order) -> None:
        self._reader = reader
        self._colorizer = colorizer
        self._order = order
        self._left = list(enumerate(order.hints, 1))
        self._at: dict[int, tuple[AnyHint, ...]] = {}
        self._before = Kept()
        self._until: dict[int, int] = {}
        self._held: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=REACH + 1)

    def taken(self, resume_at: Fraction | None) -> FilmHints:
        """All that is to be known of the hints before the first frame is coloured."""
        base: Fraction = self._reader.stream.time_base
        first: int | None = None
        since: int | None = None
        stop, count, motion, last = Fraction(0), 0, Motion(), np.zeros(0, np.float32)
        frames: Iterator[tuple[int, Frame] | None] = chain(self._reader.frames(), (None,))
        for now, after in pairwise(frames):
            assert now  # what is None comes last
            pts, frame = now
            first = pts if first is None else first
            second = (pts - first) * base
            stop = (after[0] - first) * base if after else second + self._reader.last_s
            again = resume_at is not None and pts * base <= resume_at
            if not self._left and not (again and since is not None):
                break
            if since is not None or self._is_near(count, second):
                L = read_array(frame).thumbnail
                alive = since is None or motion.carried(L, last, L[..., np.newaxis]) is not None
                since = since if alive or not again else None
                last = L
                self._held.append((pts, np.rint(2.55 * L).astype(np.uint8)))
                here = [each for each in self._left if _is_on(each[1], count, second, stop)]
                if here:
                    self._left = [each for each in self._left if each not in here]
                    self._at[pts] = tuple(hint for _, hint in here)
                    self._back(self._at[pts])
                    since = pts if again and since is None else since
            else:
                self._held.clear()
            count += 1
        if self._left:
            number, hint = self._left[0]
            where = f"frame {hint.frame}" if hint.time is None else f"second {hint.time:g}"
            raise InvalidOptions(
                f"hints: hint {number} is on {where}, and the film has {count} frames, in"
                f" {float(stop):.3f} seconds, the first being frame 0."
            )
        return FilmHints(self._at, self._before, self._until, since)

    def close(self) -> None:
        """Let go of what is kept, where nothing came of it."""
        self._before.close()

    def _is_near(self, number: int, second: Fraction) -> bool:
        """Whether a hint is so soon that its colours may come back to here."""
        rate = self._reader.look.rate
        return any(
            hint.frame - number <= REACH
            if hint.frame is not None
            else ((hint.time or 0) - second) * rate <= REACH
            for _, hint in self._left
        )

    def _back(self, hints: tuple[AnyHint, ...]) -> None:
        """Carry a frame's colours back to those before it that are held."""
        carried, steps, nowhere = Carried(), 0, 0
        pipeline, model = self._colorizer.background.pipeline, self._order.model

        async def look(held: tuple[int, NDArray[np.uint8]]) -> tuple[int, Float, Seen]:
            L = np.asarray(held[1] / 2.55, np.float32)
            found = await pipeline.infer(
                model, network_look(L)[..., np.newaxis], 0.0, self, None, features
            )
            return held[0], L, _seen(L, found.ab)

        def start(held: tuple[int, NDArray[np.uint8]]) -> "Future[tuple[int, Float, Seen]]":
            return self._colorizer.background.start(look(held))

        size = self._reader.look.width, self._reader.look.height
        with closing(ahead(start, reversed(self._held), 2 * model.photos_at_once)) as frames:
            for steps, (pts, L, seen) in enumerate(frames):
                if steps == 0:
                    carried.lay(_planes(hints, size, L), L, seen)
                    continue
                planes = carried(L, seen)
                nowhere = 0 if planes is not None and planes[..., 0].any() else nowhere + 1
                if planes is None or nowhere == _NOWHERE:
                    break
                nearer = self._before.get(pts)
                self._before.keep(pts, planes if nearer is None else laid(nearer, planes))
                self._until.setdefault(pts, steps)


def _check(order: Order, size: tuple[int, int]) -> None:
    """Raise InvalidOptions where a hint has no frame, or lies outside of it."""
    hints = order.hints
    if hints and not order.model.engine.has_features:
        raise InvalidOptions(
            f"Model {order.model.version} cannot match frames with each other. Leave hints out."
        )
    for number, hint in enumerate(hints, 1):
        if (hint.frame is None) == (hint.time is None):
            which = "no frame" if hint.frame is None else "a frame and a time"
            raise InvalidOptions(
                f"hints: hint {number} has {which}. Give it frame, a number from 0, or time, in"
                " seconds, of the one that it was made on."
            )
        if hint.photo is not None:
            raise InvalidOptions(
                f"hints: hint {number} has a photo. Of films give it frame or time."
            )
    try:
        check_inside(hints, *size, "frame")
    except ValueError as error:
        raise InvalidOptions(f"hints: {error}.") from error


def _is_on(hint: AnyHint, number: int, second: Fraction, stop: Fraction) -> bool:
    if hint.time is None:
        return hint.frame == number
    return second <= hint.time < stop


def _seen(L: Float, row: Float) -> Seen:
    return seen_of(network_look(L)[..., np.newaxis], row)


def _planes(hints: tuple[AnyHint, ...], size: tuple[int, int], L: Float) -> Float:
    planes = squeeze(hint_planes(hints, size, L), NETWORK_SIZE, NETWORK_SIZE)
    planes[..., 1:] *= planes[..., :1]
    return planes
