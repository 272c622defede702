"""Films of many kinds by the command: what of each stays as it was, by ffprobe.

    python -m benchmarks.films
    python -m benchmarks.films --film clip.mp4 another.mkv

Films are made of sample photos that move, with sound, by imageio-ffmpeg; `--film` takes some of
your own. Each goes through `chromaserve video` in a process of its own. What there is before and
after is told by ffprobe, which has to be installed, and by FFmpeg's hash of each track's packets.

- frames: how many, and the greatest difference of any frame's time;
- seconds: of the whole, before and after;
- sound, words: tracks that are the same to the byte, of how many;
- L*: mean difference of lightness, of every tenth frame as FFmpeg shows it (encoders lose some);
- a second: frames, the start of the command not counted.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import SAMPLES
from chromaserve.color.lab import srgb_to_L

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FRAMES = 48
SOUND = "-f lavfi -i sine=440:d=2 -f lavfi -i sine=660:d=2:r=48000"
WORDS = "1\n00:00:00,200 --> 00:00:01,500\nGood evening\n"


@dataclass(frozen=True)
class Kind:
    """A film to be made, by ffmpeg's options."""

    name: str
    suffix: str
    options: str
    """After the inputs: pictures, two tones, subtitles."""
    size: tuple[int, int] = (640, 360)
    rate: str = "25"
    into: str = ""
    """Suffix of the result; by default that of the film."""
    before: str = ""
    """Options of a second step that copies."""


_BOTH = "-map 0:v -map 1:a -map 2:a -map 3:s"
KINDS = (
    Kind("639 × 359 at 29.97", ".mp4", "-map 0:v -map 1:a -pix_fmt yuv444p -c:a aac",
         size=(639, 359), rate="30000/1001"),
    Kind("times that vary", ".mp4", "-map 0:v -map 1:a -c:a aac -pix_fmt yuv420p -fps_mode vfr -vf"
         " select='not(mod(n,3))+gt(n,30)',setpts='PTS+gt(N,15)*0.7/TB'"),
    Kind("HEVC, 10 bits, two sounds, subtitles", ".mkv",
         f"{_BOTH} -c:v libx265 -x265-params log-level=error -pix_fmt yuv420p10le -c:a:0 aac"
         " -c:a:1 flac -c:s srt -metadata title=Farm -metadata:s:a:1 language=nld"),
    Kind("H.264, subtitles of MP4", ".mp4", f"{_BOTH} -pix_fmt yuv420p -c:a aac -c:s mov_text"),
    Kind("ProRes, 10 bits, PCM", ".mov", "-map 0:v -map 1:a -c:v prores_ks -pix_fmt yuv422p10le"
         " -c:a pcm_s16le"),
    Kind("FFV1, FLAC", ".mkv", "-map 0:v -map 1:a -c:v ffv1 -pix_fmt yuv444p -c:a flac"),
    Kind("turned by 90°", ".mp4", "-map 0:v -map 1:a -pix_fmt yuv420p -c:a aac",
         before="-display_rotation 90"),
    Kind("MPEG-2, 16 : 15 pixels, AC-3", ".mpg", "-map 0:v -map 1:a -c:v mpeg2video -b:v 6M -bf 2"
         " -pix_fmt yuv420p -aspect 4:3 -c:a ac3", size=(720, 576), into=".mkv"),
    Kind("MPEG-4, MP3", ".avi", "-map 0:v -map 1:a -c:v mpeg4 -q:v 3 -bf 2 -pix_fmt yuv420p"
         " -c:a libmp3lame", into=".mp4"),
    Kind("VP9, Opus", ".webm", "-map 0:v -map 1:a -c:v libvpx-vp9 -b:v 2M -cpu-used 8 -deadline"
         " realtime -pix_fmt yuv420p -c:a libopus", into=".mkv"),
    Kind("full range, sound 0.5 s early", ".mkv", "-map 0:v -map 1:a -vf setpts=PTS+0.5/TB -c:v"
         " mjpeg -pix_fmt yuvj420p -q:v 2 -c:a aac"),
)  # fmt: skip


def make(kind: Kind, folder: Path) -> Path:
    """A window that moves over a sample photo, in grey."""
    width, height = kind.size
    words, path = folder / "words.srt", folder / f"film{kind.suffix}"
    words.write_text(WORDS)
    run(
        ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", kind.rate],
        ["-i", "-", *SOUND.split(), "-i", str(words)], kind.options.split(), [str(path)],
        stdin=b"".join(frame.tobytes() for frame in moving(width, height)),
    )  # fmt: skip
    if not kind.before:
        return path
    turned = folder / f"turned{kind.suffix}"
    run(kind.before.split(), ["-i", str(path), "-map", "0", "-c", "copy", str(turned)])
    return turned


def moving(width: int, height: int, frames: int = FRAMES) -> Iterator[NDArray[np.uint8]]:
    """Frames of a slow pan, uint8 [height, width]."""
    photo = cv2.imread(str(SAMPLES / "picos-de-europa.jpg"), cv2.IMREAD_GRAYSCALE)
    assert photo is not None
    scale = 1.2 * max(width / photo.shape[1], height / photo.shape[0])
    for t in range(frames):
        matrix = np.array([[scale, 0, -0.7 * t], [0, scale, -0.3 * t]])
        view = cv2.warpAffine(
            photo, matrix, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
        )
        yield np.asarray(view, np.uint8)


def run(*arguments: list[str], stdin: bytes | None = None) -> bytes:
    """What ffmpeg writes to its standard output."""
    command = [FFMPEG, "-v", "error", "-y", *(word for part in arguments for word in part)]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def probe(film: Path) -> dict[str, Any]:
    """Streams, format, and the time of every frame of the pictures, by ffprobe."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format"]
    command += [
        "-show_frames",
        "-select_streams",
        "v:0",
        "-show_entries",
        "frame=best_effort_timestamp_time",
    ]
    told: dict[str, Any] = json.loads(subprocess.check_output([*command, str(film)]))
    everything = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format"]
    told |= json.loads(subprocess.check_output([*everything, str(film)]))
    return told


def tracks(film: Path, kind: str) -> list[str]:
    """Hashes of the packets of each track of a kind, `a` or `s`."""
    told = run(["-i", str(film), "-map", f"0:{kind}?", "-c", "copy", "-f", "streamhash", "-"])
    # With nothing of that kind everything comes.
    return [line.rpartition("=")[2] for line in told.decode().splitlines() if f",{kind}," in line]


def lightness(film: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """L* of every tenth frame, as FFmpeg shows it: upright, square pixels or not."""
    raw = run(["-i", str(film), "-vf", "select='not(mod(n,10))'", "-fps_mode", "passthrough"],
              ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])  # fmt: skip
    frames = np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3)
    return np.stack([srgb_to_L(frame) for frame in frames])


@dataclass(frozen=True)
class Row:
    """What became of a film."""

    pictures: str
    frames: str
    seconds: str
    sound: str
    words: str
    off: str
    speed: str

    def __str__(self) -> str:
        cells = (self.pictures, self.frames, self.seconds, self.sound, self.words, self.off)
        return " | ".join((*cells, self.speed))


def compared(film: Path, result: Path, speed: str) -> Row:
    """A film held against what was made of it."""
    before, after = probe(film), probe(result)
    one, other = (_pictures(told) for told in (before, after))
    times = [
        np.array([float(f.get("best_effort_timestamp_time", "nan")) for f in told["frames"]])
        for told in (before, after)
    ]
    if "mpeg" in before["format"]["format_name"]:  # such a film begins anywhere, its result at 0
        times[0] -= float(before["format"]["start_time"])
    apart = np.nanmax(abs(times[0] - times[1])) if len(times[0]) == len(times[1]) else np.nan
    turned = abs(_rotation(one)) == 90
    size = (other["width"], other["height"])
    shown = size[::-1] if turned else size
    assert (one["width"], one["height"]) == shown, (one, other)
    off = abs(lightness(film, size) - lightness(result, size)).mean()

    def kept(kind: str) -> str:
        there, now = tracks(film, kind), tracks(result, kind)
        return f"{sum(track in now for track in there)} of {len(there)}" if there else ""

    return Row(
        f"{one['codec_name']} {one['pix_fmt']} → {other['codec_name']} {other['pix_fmt']}",
        f"{len(times[0])} → {len(times[1])}, {1000 * apart:.1f} ms",
        f"{_seconds(before):.3f} → {_seconds(after):.3f}",
        kept("a"), kept("s"), f"{off:.2f}", speed,
    )  # fmt: skip


def _pictures(told: dict[str, Any]) -> dict[str, Any]:
    return next(s for s in told["streams"] if s["codec_type"] == "video")


def _seconds(told: dict[str, Any]) -> float:
    return float(told["format"]["duration"])


def _rotation(stream: dict[str, Any]) -> int:
    sides = stream.get("side_data_list", [])
    return round(next((side["rotation"] for side in sides if "rotation" in side), 0))


def colorized(film: Path, result: Path) -> str:
    """Colorize by the command; frames a second, as it tells."""
    command = [sys.executable, "-m", "chromaserve", "video", str(film), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{film}: {done.stderr}")
    for line in done.stderr.splitlines()[:-1]:
        print(f"  {line}", file=sys.stderr)
    return done.stderr.splitlines()[-1].rpartition(", ")[2].removesuffix(" a second")


def table(films: list[Path], word: str) -> None:
    """Print what became of films, or of those made whose kind's name has this in it."""
    print("| film | pictures | frames, greatest difference of a time | seconds | sound | words |"
          " L* | a second |")  # fmt: skip
    print("| --- |" + " --- |" * 7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for film in films:
            result = folder / f"{film.stem}-colour.mkv"
            print(f"| {film.name} | {compared(film, result, colorized(film, result))} |")
        for kind in () if films else [kind for kind in KINDS if word in kind.name]:
            film = make(kind, folder)
            result = folder / f"result{kind.into or kind.suffix}"
            row = compared(film, result, colorized(film, result))
            print(f"| {kind.name} ({kind.suffix} → {result.suffix}) | {row} |", flush=True)
            result.unlink()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--film", type=Path, nargs="+", default=[], help="in place of those made")
    parser.add_argument("--kind", default="", metavar="WORD", help="of those made, some alone")
    arguments = parser.parse_args()
    if shutil.which("ffprobe") is None:
        raise SystemExit("ffprobe is not installed: it comes with ffmpeg")
    table(arguments.film, arguments.kind)


if __name__ == "__main__":
    main()
