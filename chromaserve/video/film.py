"""A film in, the same film in colour out: sound, subtitles and times as they were."""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Unpack

from chromaserve.errors import InvalidOptions
from chromaserve.library.colorizer import Colorizer
from chromaserve.library.colour_options import ColourOptions
from chromaserve.library.files import give_name, write_whole
from chromaserve.locks import alone
from chromaserve.video.colorize import check_film, coloured
from chromaserve.video.container import (
    Codec,
    FilmReader,
    PartWriter,
    check_codec,
)
from chromaserve.video.hints import FilmHints, of_film
from chromaserve.video.parts import join, whole_frames
from chromaserve.video.steady import AHEAD, DEFAULT_SMOOTHING


@dataclass(frozen=True)
class FilmReport:
    """What became of a film."""

    frames: int
    """Coloured by this call."""
    kept: int
    """Taken over from a call before, which was stopped."""
    damaged: int
    """Packets that could not be decoded; the frame before each stands for longer."""
    seconds: float


def colorize_film(
    source: Path,
    target: Path,
    *,
    colorizer: Colorizer,
    codec: Codec | None = None,
    smoothing: float = DEFAULT_SMOOTHING,
    replace: bool = True,
    progress: Callable[[int, int], None] = lambda *_: None,
    tell: Callable[[str], None] = lambda _: None,
    **options: Unpack[ColourOptions],
) -> FilmReport:
    """Colorize a film, with all that it has beside its pictures copied as it is.

    Frames keep their times, whether the rate is constant or not, their size and their lightness;
    films of more than 8 bits a channel come out with 10. A phone's turned film comes out upright.
    What is done lies in the folder TARGET.part: a call that was stopped is continued by the next.
    One call at a time works there.

    Args:
        source: whatever FFmpeg reads.
        target: .mp4, .m4v, .mov or .mkv.
        colorizer: its model and threads are used.
        codec: by default h264, for more than 8 bits h265.
        smoothing: 0..1, see `SteadyColours`.
        replace: what is there when the film is whole.
        progress: told of frames done, and of how many there are or 0.
        tell: told of what doesn't fit into the target, and of what was begun and is of no use.
        options: as for a photo. Each of `hints` has the frame, from 0, or the time that it was made
            on; its colour follows the thing through the shot, back and forth.

    Raises:
        UnsupportedFormat: the source is no film, or PyAV is not installed.
        UnsupportedSamples: its range is high (PQ, HLG).
        InvalidOptions: an option is not for films; the target can't be that, or is the source; a
            hint's frame is none of it; another call is making the target.
        DamagedPhoto: no frame can be decoded.
        FileExistsError: there is a file at the target, and it isn't to be replaced. What is done
            stays.
        OSError: a file cannot be read or written.
    """
    if target.exists() and target.samefile(source):
        raise InvalidOptions(f"{target} is the film itself. Give the result another name.")
    start = time.perf_counter()
    order = colorizer.order(**options)
    check_film(order, smoothing)
    with closing(FilmReader(source)) as reader:
        chosen: Codec = codec or ("h265" if reader.look.bits > 8 else "h264")
        check_codec(target, chosen)
        stat = source.stat()
        job: dict[str, object] = {
            "source": [stat.st_size, stat.st_mtime_ns], "codec": chosen, "smoothing": smoothing,
            "model": order.model.version, "hints": str(order.hints),
            "options": {k: str(v) for k, v in options.items() if k not in ("hints", "reference")},
        }  # fmt: skip
        if order.reference:  # by its colours: it may be a picture, or a file that was edited
            job["reference"] = hashlib.sha256(order.reference.ab.tobytes()).hexdigest()
        written = 0
        with (
            closing(_Work(target.with_name(f"{target.name}.part"), job)) as work,
            closing(of_film(source, colorizer, order, work.resume_at)) as hints,
        ):
            work.begin(tell)
            frames = reader.frames(_start(reader, work.resume_at, hints))
            with (
                closing(PartWriter(work.next_part(), reader, chosen)) as writer,
                closing(coloured(frames, colorizer, order, smoothing, hints)) as results,
            ):
                for pts, pixels in results:
                    if work.resume_at and pts * reader.stream.time_base < work.resume_at:
                        continue  # seen again as the past of the first new one
                    writer.write(pts, pixels)
                    written += 1
                    progress(work.kept + written, reader.look.frames)
            whole = work.folder / f"whole{target.suffix}"
            join(work.parts, source, whole, reader.last_s, tell)
            give_name(whole, target, replace=replace)
            work.remove()
        return FilmReport(written, work.kept, reader.damaged, time.perf_counter() - start)


def _start(reader: FilmReader, resume_at: Fraction | None, hints: FilmHints) -> Fraction | None:
    """Where reading begins: of a film that is continued before that, at what colours come from."""
    if resume_at is None:
        return None
    start = resume_at - AHEAD / reader.look.rate
    return start if hints.since is None else min(start, hints.since * reader.stream.time_base)


class _Work:
    """The folder of a film that is not yet whole: its parts, and what they were made with.

    Raises:
        InvalidOptions: another run has it.
    """

    def __init__(self, folder: Path, job: dict[str, object]) -> None:
        self.folder = folder
        self._alone = ExitStack()
        try:
            self._alone.enter_context(alone(folder))
        except BlockingIOError:
            made = folder.with_suffix("")
            raise InvalidOptions(f"{made} is being made by another run.") from None
        self._about = folder / "job.json"
        self._job = json.dumps(job)
        self.parts: list[tuple[Path, Fraction | None]] = []
        """Files in order, and the second at which each one's frames end."""
        self.resume_at: Fraction | None = None
        self.kept = 0
        """Frames of the parts that stay, and the time that they end at."""
        for part in sorted(folder.glob("*.part")) if self._is_same() else []:
            if found := whole_frames(part):
                self.resume_at, frames = found
                self.kept += frames
                self.parts.append((part, self.resume_at))

    def begin(self, tell: Callable[[str], None]) -> None:
        """Remove what cannot be used."""
        if not self._is_same():
            if any(self.folder.glob("*.part")):
                tell(f"{self.folder} is of other options or of another film, and begins anew")
            self.remove()
            write_whole(self._about, self._job.encode())
        for part in set(self.folder.glob("*.part")) - {path for path, _ in self.parts}:
            part.unlink()

    def _is_same(self) -> bool:
        return self._about.exists() and self._about.read_text() == self._job

    def next_part(self) -> Path:
        """The file for what comes now."""
        path = self.folder / f"{len(self.parts):05d}.part"
        self.parts.append((path, None))
        return path

    def remove(self) -> None:
        """Delete what was made here, first what it says of the parts: some alone are no film."""
        self._about.unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.suffix == ".part" or path.stem == "whole":
                path.unlink()

    def close(self) -> None:
        """Let others have the folder, which goes if nothing is in it."""
        self._alone.close()
        with suppress(OSError):  # parts are left, or another run has begun
            self.folder.rmdir()
