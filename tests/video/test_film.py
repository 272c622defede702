"""Films as files: what a person has, with sound, odd sizes, odd times and ten bits."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from chromaserve import Colorizer
from chromaserve.command_line.main import command
from chromaserve.errors import DamagedPhoto, InvalidOptions, UnsupportedFormat, UnsupportedSamples
from chromaserve.video import colorize_film
from chromaserve.video.parts import join
from tests.command_line.command import files
from tests.sample_photos import encoded, lightness, load, small

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FRAMES = 10


@pytest.fixture(scope="module")
def colorizer(small_root: Path) -> Iterator[Colorizer]:
    """By a small network: its colours are looked at in one test."""
    with Colorizer(model_root=small_root) as opened:
        yield opened


def make(path: Path, *arguments: str, width: int = 96, height: int = 64, before: str = "") -> Path:
    """A grey film of FRAMES frames at 29.97 with a tone: a photo that moves."""
    photo = load("rocket.jpg")[::3, ::3].mean(axis=2).astype(np.uint8)
    frames = [photo[20 : 20 + height, 2 * t : 2 * t + width] for t in range(FRAMES)]
    subprocess.run(
        [FFMPEG, "-v", "error", *before.split(), "-f", "rawvideo", "-pix_fmt", "gray",
         "-s", f"{width}x{height}", "-r", "30000/1001", "-i", "-",
         "-f", "lavfi", "-i", "sine=440:d=0.3", *arguments, str(path)],
        input=np.ascontiguousarray(frames).tobytes(), check=True,
    )  # fmt: skip
    return path


def pictures(path: Path, form: str = "rgb24") -> tuple[list[float], NDArray[Any]]:
    """Seconds and pixels of all frames."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
        return [float(f.time) for f in frames], np.stack(
            [f.to_ndarray(format=form) for f in frames]
        )


def luma(path: Path) -> NDArray[np.uint16]:
    """The first plane of films of more than 8 bits, as they have it."""
    with av.open(str(path)) as file:
        planes = [(frame.planes[0], frame.width) for frame in file.decode(video=0)]
        rows = [
            np.frombuffer(bytes(p), "<u2").reshape(p.height, -1)[:, :width] for p, width in planes
        ]
        return np.stack(rows)


def lasts(path: Path) -> float:
    """Seconds of the pictures, the last one's too."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        return float(stream.duration * stream.time_base)


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def stop_at(frame: int) -> Callable[[int, int], None]:
    """A progress that ends the call as Ctrl-C does, when so many frames are done."""

    def stop(done: int, _: int) -> None:
        if done == frame:
            raise KeyboardInterrupt

    return stop


@pytest.mark.slow
def test_an_odd_size_at_29_97_with_its_sound(tmp_path: Path) -> None:
    film = make(tmp_path / "in.mkv", "-c:v", "ffv1", "-c:a", "aac", width=95, height=63)
    result = tmp_path / "out.mp4"
    seen: list[tuple[int, int]] = []
    with Colorizer() as colorizer:
        colorize_film(film, result, colorizer=colorizer, progress=lambda *told: seen.append(told))
    before, grey = pictures(film)
    after, colour = pictures(result)
    assert colour.shape == grey.shape == (FRAMES, 63, 95, 3)
    assert after == pytest.approx(before, abs=0.001)  # Matroska has milliseconds
    assert sound(result) == sound(film)
    assert [done for done, _ in seen] == list(range(1, FRAMES + 1))
    assert np.ptp(colour, axis=3).mean() > 3
    assert np.abs(lightness(colour[5]) - lightness(grey[5])).mean() < 1  # x264 is lossy
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.mkv", "out.mp4"]


def test_times_that_vary_stay(colorizer: Colorizer, tmp_path: Path) -> None:
    late = "setpts=PTS+gt(N\\,4)*0.5/TB"
    film = make(tmp_path / "in.mp4", "-vf", late, "-fps_mode", "vfr", "-pix_fmt", "yuv420p")
    colorize_film(film, tmp_path / "out.mov", colorizer=colorizer)
    before, after = pictures(film)[0], pictures(tmp_path / "out.mov")[0]
    assert max(np.diff(before)) > 0.5
    assert after == pytest.approx(before, abs=1e-4)
    assert lasts(tmp_path / "out.mov") == pytest.approx(lasts(film), abs=1e-3)


def test_a_recorded_programme_begins_at_its_beginning(colorizer: Colorizer, tmp_path: Path) -> None:
    film = make(
        tmp_path / "in.ts", "-c:v", "mpeg2video", "-pix_fmt", "yuv420p", "-c:a", "ac3",
        "-output_ts_offset", "7200",
    )  # fmt: skip
    colorize_film(film, tmp_path / "out.mkv", colorizer=colorizer)
    before, after = pictures(film)[0], pictures(tmp_path / "out.mkv")[0]
    assert before[0] > 7200
    assert 0 <= after[0] < 1
    assert np.diff(after) == pytest.approx(np.diff(before), abs=0.002)
    assert sound(tmp_path / "out.mkv") == sound(film)


def test_ten_bits_stay_ten_bits(colorizer: Colorizer, tmp_path: Path) -> None:
    film = make(tmp_path / "in.mkv", "-vf", "scale,format=yuv444p10le,gblur=3", "-c:v", "ffv1")
    colorize_film(film, tmp_path / "out.mkv", colorizer=colorizer, codec="ffv1")
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv444p10le"
    fine = luma(tmp_path / "out.mkv")
    assert len(np.unique(fine)) > 256
    off = np.abs(fine.astype(int) - luma(film))
    assert off.mean() < 12  # of 1,023: luma of a colour isn't quite the grey's


@pytest.mark.parametrize("name", ["out.mov", "out.mkv"])
def test_prores_keeps_times_and_goes_on(colorizer: Colorizer, tmp_path: Path, name: str) -> None:
    film = make(tmp_path / "in.mp4", "-vf", "setpts=PTS+0.5/TB", "-pix_fmt", "yuv420p")
    with pytest.raises(KeyboardInterrupt):
        colorize_film(
            film, tmp_path / name, colorizer=colorizer, codec="prores", progress=stop_at(6)
        )
    assert colorize_film(film, tmp_path / name, colorizer=colorizer, codec="prores").kept == 5
    before, after = pictures(film), pictures(tmp_path / name)
    assert np.diff(after[0]) == pytest.approx(np.diff(before[0]), abs=0.002)
    with av.open(str(tmp_path / name)) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("prores", "yuv422p10le")
        assert (context.colorspace, context.color_range) == (5, 1)


def test_a_turned_film_comes_out_upright(colorizer: Colorizer, tmp_path: Path) -> None:
    film = make(tmp_path / "in.mp4", "-pix_fmt", "yuv420p")
    turned = tmp_path / "turned.mp4"
    subprocess.run(
        [FFMPEG, "-v", "error", "-display_rotation", "90", "-i", film, "-c", "copy", turned],
        check=True,
    )
    colorize_film(turned, tmp_path / "out.mp4", colorizer=colorizer)
    shown = subprocess.run(  # ffmpeg turns it as a player does
        [FFMPEG, "-v", "error", "-i", turned, "-f", "rawvideo", "-pix_fmt", "gray", "-"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    colour = pictures(tmp_path / "out.mp4", "gray")[1]
    expected = np.frombuffer(shown, np.uint8).reshape(FRAMES, 96, 64)
    assert np.abs(colour.astype(int) - expected).mean() < 6


@pytest.mark.slow
def test_a_stopped_film_is_continued(colorizer: Colorizer, tmp_path: Path) -> None:
    film = make(tmp_path / "in.mkv", "-c:v", "ffv1")
    whole, result = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    colorize_film(film, whole, colorizer=colorizer, codec="ffv1")
    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, result, colorizer=colorizer, codec="ffv1", progress=stop_at(6))
    assert not result.exists()
    (tmp_path / "out.mkv.part" / "lock").touch()  # as one that is killed leaves it
    report = colorize_film(film, result, colorizer=colorizer, codec="ffv1")
    assert (report.kept, report.frames) == (5, 5)
    assert pictures(result)[0] == pictures(whole)[0]
    off = np.abs(pictures(result)[1].astype(int) - pictures(whole)[1])
    assert off.mean() < 1  # the frames seen again stand in for the whole past
    # Other options: nothing of what was begun is taken over.
    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, result, colorizer=colorizer, codec="ffv1", progress=stop_at(6))
    told: list[str] = []
    report = colorize_film(
        film, result, colorizer=colorizer, codec="ffv1", vividness=0, tell=told.append
    )
    assert (report.kept, report.frames) == (0, FRAMES)
    assert told == [f"{result}.part is of other options or of another film, and begins anew"]
    assert files(tmp_path) == {"in.mkv", "out.mkv", "whole.mkv"}


def test_one_run_at_a_time_makes_a_film(colorizer: Colorizer, tmp_path: Path) -> None:
    film, result = make(tmp_path / "in.mkv", "-c:v", "ffv1"), tmp_path / "out.mkv"
    refused: list[float | None] = []

    def begin_another(done: int, _: int) -> None:
        if done == 5:
            for vividness in (None, 0.0):
                with pytest.raises(InvalidOptions, match=r"out\.mkv is being made by another run"):
                    colorize_film(film, result, colorizer=colorizer, vividness=vividness)
                refused.append(vividness)

    report = colorize_film(film, result, colorizer=colorizer, codec="ffv1", progress=begin_another)
    assert refused == [None, 0.0]
    assert (report.kept, report.frames) == (0, FRAMES)
    assert len(pictures(result)[0]) == FRAMES
    assert files(tmp_path) == {"in.mkv", "out.mkv"}
    assert not result.with_name("out.mkv.part").exists()


def test_a_full_disk_at_the_start_costs_nothing_of_what_is_done(
    colorizer: Colorizer, tmp_path: Path
) -> None:
    film, result = make(tmp_path / "in.mkv", "-c:v", "ffv1"), tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, result, colorizer=colorizer, codec="ffv1", progress=stop_at(6))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            colorize_film(film, result, colorizer=colorizer, codec="ffv1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert colorize_film(film, result, colorizer=colorizer, codec="ffv1").kept == 5


@pytest.mark.slow
def test_a_film_is_continued_with_the_same_reference_only(
    colorizer: Colorizer, tmp_path: Path
) -> None:
    film, result = make(tmp_path / "in.mkv", "-c:v", "ffv1"), tmp_path / "out.mkv"
    colours = load("astronaut.png")
    for second, kept in ((colours.copy(), 5), (colours[::-1].copy(), 0)):
        with pytest.raises(KeyboardInterrupt):
            colorize_film(
                film, result, colorizer=colorizer, codec="ffv1", progress=stop_at(6),
                reference=Image.fromarray(colours),
            )  # fmt: skip
        again = Image.fromarray(second)
        report = colorize_film(film, result, colorizer=colorizer, codec="ffv1", reference=again)
        assert report.kept == kept
        result.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "apart"), [("in.ts", 25), ("in.ts", 250), ("in.h264", 25)])
def test_a_film_that_is_sought_badly_is_continued_whole(
    colorizer: Colorizer, tmp_path: Path, name: str, apart: int
) -> None:
    """A stream of packets is sought to any of them, a raw one not at all."""
    film = make(
        tmp_path / name, "-vf", "loop=3:10", "-c:v", "libx264", "-pix_fmt", "yuv420p",
        "-g", str(apart), "-sc_threshold", "0",
    )  # fmt: skip
    whole, result = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    colorize_film(film, whole, colorizer=colorizer, codec="ffv1")
    with pytest.raises(KeyboardInterrupt):
        colorize_film(film, result, colorizer=colorizer, codec="ffv1", progress=stop_at(20))
    report = colorize_film(film, result, colorizer=colorizer, codec="ffv1")
    assert (report.kept, report.frames, report.damaged) == (19, 21, 0)
    assert pictures(result)[0] == pictures(whole)[0]
    assert np.abs(pictures(result)[1].astype(int) - pictures(whole)[1]).mean() < 1


def test_a_bad_frame_is_no_lost_film(colorizer: Colorizer, tmp_path: Path) -> None:
    film = make(tmp_path / "in.avi", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p")
    before = pictures(film)[0]
    data = bytearray(film.read_bytes())
    third = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"][2]
    data[third : third + 600] = bytes(600)
    film.write_bytes(data)
    colorize_film(film, tmp_path / "out.mp4", colorizer=colorizer)
    times, colour = pictures(tmp_path / "out.mp4")
    assert len(colour) >= FRAMES - 1
    assert times[-1] == pytest.approx(before[-1], abs=0.01)


def test_subtitles_go_along_where_they_can(colorizer: Colorizer, tmp_path: Path) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:00,200\nGood evening\n")
    film = tmp_path / "in.mkv"
    plain = make(tmp_path / "plain.mkv", "-c:v", "ffv1")
    subprocess.run(
        [FFMPEG, "-v", "error", "-i", plain, "-i", words, "-c", "copy", film], check=True
    )
    told: list[str] = []
    colorize_film(film, tmp_path / "out.mkv", colorizer=colorizer, tell=told.append)
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert b"Good evening" in b"".join(bytes(p) for p in file.demux(subtitles=0))
    assert told == []
    colorize_film(film, tmp_path / "out.mp4", colorizer=colorizer, tell=told.append)
    assert len(told) == 1
    assert "subtitle" in told[0]


def test_a_track_stays_the_default_and_what_is_left_out_is_told_of(
    colorizer: Colorizer, tmp_path: Path
) -> None:
    cover = tmp_path / "cover.png"
    cover.write_bytes(encoded(small(), "PNG"))
    film = make(
        tmp_path / "in.mkv", "-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:v", "ffv1",
        "-disposition:a:0", "0", "-disposition:a:1", "default",
        "-attach", str(cover), "-metadata:s:t", "mimetype=image/png",
    )  # fmt: skip
    told: list[str] = []
    colorize_film(film, tmp_path / "out.mkv", colorizer=colorizer, tell=told.append)
    with av.open(str(tmp_path / "out.mkv")) as file:
        defaults = [bool(s.disposition & s.disposition.default) for s in file.streams.audio]
    assert defaults == [False, True]
    assert told == ["left out: video as png"]


def test_a_film_of_high_range_is_refused(colorizer: Colorizer, tmp_path: Path) -> None:
    film = make(
        tmp_path / "in.mkv", "-c:v", "libx265", "-pix_fmt", "yuv420p10le",
        "-x265-params", "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    )  # fmt: skip
    with pytest.raises(UnsupportedSamples, match="high dynamic range"):
        colorize_film(film, tmp_path / "out.mkv", colorizer=colorizer)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_what_is_no_film_or_no_place_for_one(colorizer: Colorizer, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    tone = tmp_path / "tone.mka"
    subprocess.run([FFMPEG, "-v", "error", "-f", "lavfi", "-i", "sine=d=0.1", tone], check=True)
    film = make(tmp_path / "in.mp4", "-pix_fmt", "yuv420p")
    kept = film.read_bytes()
    for source, target, error in (
        (text, "out.mp4", UnsupportedFormat),
        (tone, "out.mp4", UnsupportedFormat),
        (film, "out.gif", InvalidOptions),
        (film, "in.mp4", InvalidOptions),
    ):
        with pytest.raises((error, DamagedPhoto)):
            colorize_film(source, tmp_path / target, colorizer=colorizer)
    with pytest.raises(InvalidOptions, match="ffv1"):
        colorize_film(film, tmp_path / "out.mp4", colorizer=colorizer, codec="ffv1")
    assert film.read_bytes() == kept
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.slow
def test_the_command_replaces_nothing_unasked(tmp_path: Path) -> None:
    film = make(tmp_path / "in.mp4", "-pix_fmt", "yuv420p")
    command = [sys.executable, "-m", "chromaserve", "video", str(film), str(tmp_path / "out.mp4")]
    (tmp_path / "out.mp4").write_text("mine")
    refused = subprocess.run(command, capture_output=True, check=False)
    assert refused.returncode == 2
    assert b"--overwrite" in refused.stderr
    assert (tmp_path / "out.mp4").read_text() == "mine"
    done = subprocess.run([*command, "--overwrite"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{FRAMES} frames" in done.stderr.decode()
    assert len(pictures(tmp_path / "out.mp4")[0]) == FRAMES


@pytest.mark.slow
def test_the_command_leaves_a_file_that_came_while_the_film_was_made(
    tmp_path: Path, small_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, result = make(tmp_path / "in.mkv", "-c:v", "ffv1"), tmp_path / "out.mkv"

    def joined(*arguments: Any) -> None:  # noqa: ANN401
        join(*arguments)
        result.write_text("mine")

    monkeypatch.setenv("CHROMASERVE_MODEL_ROOT", str(small_root))
    monkeypatch.setattr("chromaserve.video.film.join", joined)
    words = ["video", str(film), str(result), "--codec", "ffv1"]
    refused = CliRunner().invoke(command, words)
    assert refused.exit_code == 3
    assert f"{result}: it is there already" in refused.stderr
    assert result.read_text() == "mine"
    done = CliRunner().invoke(command, [*words, "--overwrite"])
    assert done.exit_code == 0, done.stderr
    assert f"1 frames and {FRAMES - 1} of an earlier run" in done.stderr
