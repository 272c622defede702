"""Parts of a film: what stays of one that was cut off, and all joined with the film's sound."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from chromaserve.video.container import coloured_of, load_av


def whole_frames(part: Path) -> tuple[Fraction, int] | None:
    """Seconds at which what can be kept of a part ends, and frames before that.

    The last frame is not among them: it may have been cut off. None: nothing can be used.
    """
    av = load_av()
    times: list[Fraction] = []
    try:
        with av.open(str(part)) as file:
            for packet in file.demux(video=0):
                if packet.pts is not None:
                    times.append(packet.pts * packet.time_base)
    except (av.error.FFmpegError, OSError, IndexError):
        pass  # it is read to where it was cut off
    return (times[-1], len(times) - 1) if len(times) > 1 else None


def join(
    parts: Sequence[tuple[Path, Fraction | None]],
    source: Path,
    target: Path,
    last_s: Fraction,
    tell: Callable[[str], None],
) -> None:
    """Write a film of the parts' pictures, the last for so long, and of all else of the source.

    parts: files, and the second at which each one's frames end; None: all of them.
    """
    av = load_av()
    with (
        av.open(str(source)) as old,
        av.open(str(parts[0][0])) as first,
        av.open(
            str(target), "w", options={"movflags": "+faststart"} if target.suffix != ".mkv" else {}
        ) as new,
    ):
        new.metadata.update(old.metadata)
        # A recorded programme may begin after hours, a disc's film after half a second.
        broadcast = "mpeg" in old.format.name and old.start_time is not None
        start_s = Fraction(old.start_time, 1_000_000) if broadcast else Fraction(0)
        pictures = new.add_stream_from_template(first.streams.video[0])
        pictures.time_base = first.streams.video[0].time_base
        copied = {}
        for stream in old.streams:
            if stream is coloured_of(old):
                continue
            name = stream.codec_context.name if stream.codec_context else "unknown"
            if stream.type not in ("audio", "subtitle"):
                tell(f"left out: {stream.type} as {name}")
            elif name not in new.supported_codecs:
                tell(f"left out: {stream.type} as {name}, which {target.suffix} can't hold; "
                     "try .mkv")  # fmt: skip
            else:
                copied[stream.index] = new.add_stream_from_template(stream)
                copied[stream.index].metadata.update(stream.metadata)
                copied[stream.index].disposition = stream.disposition
        if old.chapters():
            new.set_chapters(old.chapters())
        for packet in heapq.merge(
            _lasting(_pictures(parts, pictures), last_s), _others(old, copied), key=_seconds
        ):
            shift = round(start_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            new.mux(packet)


def _seconds(packet: Any) -> float:  # noqa: ANN401
    time = packet.dts if packet.dts is not None else packet.pts
    return float(time * packet.time_base)


def _pictures(
    parts: Sequence[tuple[Path, Fraction | None]],
    stream: Any,  # noqa: ANN401
) -> Iterator[Any]:
    av = load_av()
    for path, end in parts:
        with av.open(str(path)) as file:
            for packet in file.demux(video=0):
                if packet.pts is None or (end is not None and packet.pts * packet.time_base >= end):
                    continue
                packet.dts = packet.pts
                packet.stream = stream
                yield packet


def _lasting(packets: Iterator[Any], last_s: Fraction) -> Iterator[Any]:
    """Packets that say how long each is shown: up to the next one."""
    for packet, after in pairwise(chain(packets, (None,))):
        until = after.pts if after else packet.pts + round(last_s / packet.time_base)
        packet.duration = until - packet.pts
        yield packet


def _others(file: Any, copied: dict[int, Any]) -> Iterator[Any]:  # noqa: ANN401
    if not copied:
        return
    for packet in file.demux([file.streams[i] for i in copied]):
        if packet.dts is not None:
            packet.pts = packet.dts if packet.pts is None else packet.pts
            packet.stream = copied[packet.stream.index]
            yield packet
