"""The other commands: quick help, video, what is here and how fast it is."""

import json
import os
import platform
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from chromaserve.command_line import benchmark, info, shared_options, video
from chromaserve.command_line.main import command
from chromaserve.command_line.video import CodecName
from chromaserve.photos.formats import ALSO_CALLED, Wanted
from chromaserve.photos.metadata import Keep
from chromaserve.pipeline.order import Damaged, Pages, Recolour
from chromaserve.store.contract import Postprocess
from chromaserve.store.errors import ModelNotFound
from chromaserve.video.container import Codec
from tests.command_line.command import SAMPLES, START, environment, run, said
from tests.conftest import Server, free_port

ROOT = Path(__file__).parents[2]

HEAVY = """
import sys
from typer.testing import CliRunner
from chromaserve.command_line.main import command
result = CliRunner().invoke(command, sys.argv[1:])
print(result.output)
heavy = {"cv2", "ncnn", "numpy", "PIL", "scipy", "tensorflow", "fastapi", "httpx"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""


def test_help_is_quick_and_tells_the_statuses() -> None:
    for arguments in ((), ("colorize",), ("batch",)):
        done = subprocess.run(
            [sys.executable, "-c", HEAVY, *arguments, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "colorize" in done.stdout or "SRC" in done.stdout


def test_the_package_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chromaserve", "--help"], capture_output=True, text=True, check=True
    )
    assert "-m chromaserve [OPTIONS] COMMAND" in done.stdout


def test_choices_are_those_of_the_service() -> None:
    assert set(get_args(shared_options.PostprocessName)) == set(get_args(Postprocess))
    assert set(get_args(shared_options.FormatName)) == {*get_args(Wanted), *ALSO_CALLED}


def test_options_are_those_of_the_service() -> None:
    assert get_args(shared_options.KeepName) == get_args(Keep)
    for option, choices in (("Pages", Pages), ("Damaged", Damaged), ("Colour", Recolour)):
        declared = get_args(getattr(shared_options, option))[0]
        assert set(get_args(get_args(declared)[0])) == set(get_args(choices))
    assert get_args(CodecName) == get_args(Codec)


@pytest.mark.slow
def test_video_gives_a_frame_for_each_and_says_where_a_stream_breaks() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 24, 32), np.uint8).tobytes()
    arguments = ("video", "--width", 32, "--height", 24, "--pixel-format", "gray")
    done = run(*arguments, "--smoothing", 0.5, stdin=frames + b"half a frame")
    assert len(done.stdout) == 3 * len(frames)
    assert done.returncode == 3
    assert b"ends within frame 4" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "name the film and where the result goes"),
        (["in.mp4"], 2, "name the film and where the result goes"),
        (["--width", "32"], 2, "name the film and where the result goes"),
        (["in.mp4", "out.mp4", "--width", "32"], 2, "a film has its own"),
        (["--width", "4", "--height", "4", "--codec", "ffv1"], 2, "are for films as files"),
        (["missing.mp4", "out.mp4"], 3, "there is no missing.mp4"),
        (["--width", "32", "--height", "24"], 3, "no frame came from standard input"),
    ],
)
def test_a_video_that_cannot_be_is_told_of(
    arguments: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "tell_warnings", lambda: None)  # would outlast the test
    done = CliRunner().invoke(command, ["video", *arguments])
    assert (done.exit_code, done.stdout) == (status, "")
    assert words in done.stderr


@pytest.mark.slow
def test_models_here_and_of_a_service(server: Server, model_root: Path) -> None:
    here = run("models", "--json", CHROMASERVE_MODEL_ROOT=str(model_root))
    there = run("models", "--url", server.url)
    assert here.returncode == there.returncode == 0
    (default,) = (row for row in json.loads(here.stdout) if row["default"])
    words = there.stdout.decode()
    assert f"{default['version']} *" in words
    assert default["created"][:10] in words


def test_a_damaged_version_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    description = tmp_path / "colorizer" / "3" / "model.json"
    description.parent.mkdir(parents=True)
    description.write_text("{")
    root = {"CHROMASERVE_MODEL_ROOT": str(tmp_path)}
    done = CliRunner().invoke(command, ["models"], env=root)
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert " 3 " in words
    assert "3 *" not in words
    assert "cannot be read" in words
    (row,) = json.loads(CliRunner().invoke(command, ["models", "--json"], env=root).stdout)
    assert (row["version"], row["default"]) == (3, False)
    assert str(description) in row["problem"]


def test_no_version_that_is_not_there_is_converted() -> None:
    convert = ["models", "convert", "999"]
    done = CliRunner().invoke(command, convert, env={"CHROMASERVE_LOG_LEVEL": "info"})
    assert done.exit_code == 5
    assert done.stderr.startswith("chromaserve: Model 'colorizer' has no version '999'")
    debugging = CliRunner().invoke(command, convert, env={"CHROMASERVE_LOG_LEVEL": "debug"})
    assert isinstance(debugging.exception, ModelNotFound), "with where it comes from"


@pytest.mark.slow
def test_info_tells_what_colorizes_here(model_root: Path) -> None:
    done = run(
        "info", "--json", CHROMASERVE_MODEL_ROOT=str(model_root), CHROMASERVE_API_KEYS="k" * 32
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["engine"] in ("ncnn", "savedmodel")
    assert told["cores"] >= 1
    assert told["settings"]["CHROMASERVE_MODEL_ROOT"] == str(model_root)
    assert "CHROMASERVE_API_KEYS" not in told["settings"], "secrets are not told"


def test_info_in_words_has_a_line_a_fact(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(info, "tell_warnings", lambda: None)  # would outlast the test
    root = {"CHROMASERVE_MODEL_ROOT": str(model_root)}
    done = CliRunner().invoke(command, ["info"], env=root)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert f"python: {platform.python_version()}" in lines
    assert f"models: {model_root}" in lines
    packages = lines[lines.index("packages:") + 1 : lines.index("settings:")]
    assert f"  numpy: {np.__version__}" in packages
    assert f"  CHROMASERVE_MODEL_ROOT: {model_root}" in lines
    assert "'CHROMASERVE_MODEL_ROOT'" in lines[-1]


@pytest.fixture
def small_benchmark(monkeypatch: pytest.MonkeyPatch, small_root: Path) -> None:
    monkeypatch.setenv("CHROMASERVE_MODEL_ROOT", str(small_root))
    monkeypatch.setattr(benchmark, "SIZES", {"tiny": (64, 48), "small": (128, 96)})
    monkeypatch.setattr(benchmark, "tell_warnings", lambda: None)  # would outlast the test
    monkeypatch.setenv("CHROMASERVE_MAX_BATCH", "2")


@pytest.mark.usefixtures("small_benchmark")
def test_a_benchmark_has_every_size_and_the_model_alone() -> None:
    done = CliRunner().invoke(command, ["benchmark", "--seconds", "0.1", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(row["width"], row["height"]) for row in told["sizes"]] == [(64, 48), (128, 96)]
    assert all(row["per_s"] > 0 and row["one_s"] > 0 for row in told["sizes"])
    assert told["model_alone_per_s"] > 0


@pytest.mark.usefixtures("small_benchmark")
def test_a_benchmark_of_a_photo_is_a_table_with_a_row_a_size() -> None:
    arguments = ["benchmark", "--seconds", "0.1", "--photo", str(SAMPLES / "cat.jpg")]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    first, *table = done.stdout.splitlines()
    assert ", model " in first
    rows = {row.split()[0]: row.split() for row in table}
    assert float(rows["tiny"][1]) > 0
    assert float(rows["small"][2]) > 0
    assert float(rows["model"][2]) > 0


@pytest.mark.usefixtures("small_benchmark")
def test_a_photo_that_cannot_be_read_ends_a_benchmark_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "words.jpg").write_text("no photo")
    for name, why in (("words.jpg", "cannot identify"), ("missing.jpg", "No such file")):
        done = CliRunner().invoke(command, ["benchmark", "--photo", str(tmp_path / name)])
        assert done.exit_code == 2
        assert f"{name} cannot be read" in done.stderr
        assert why in done.stderr


def test_the_version_is_the_packages() -> None:
    done = run("--version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (done.returncode, done.stdout.decode()) == (0, f"{project['version']}\n")


def test_serve_takes_its_options_before_the_environment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = run("serve", "--port", taken, CHROMASERVE_PORT=str(free_port()))
        assert done.returncode == 6
        assert f"Port {taken} is taken" in said(done)
    done = run("serve", "--host", "192.0.2.1", CHROMASERVE_HOST="127.0.0.1")  # RFC 5737
    assert done.returncode == 6
    assert "192.0.2.1 is no address of this machine" in said(done)


def test_training_without_tensorflow_says_what_to_install() -> None:
    lacking = "import sys; sys.modules['tensorflow'] = None"
    start = "from chromaserve.bundled import train; train()"
    done = subprocess.run(
        [sys.executable, "-c", f"{lacking}; {start}", "train"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("chromaserve-train: ")
    assert done.stderr.endswith("install 'chromaserve[train]'\n")


def test_who_reads_no_further_is_no_error_to_be_told_of() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*START, "models", "--json"],
            stdout=writing, stderr=subprocess.PIPE, env=environment(), check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.slow
def test_a_wrong_setting_is_called_as_it_was_given(tmp_path: Path) -> None:
    done = run("inspect", tmp_path, CHROMASERVE_MAX_PIXELS="many")
    assert (done.returncode, "CHROMASERVE_MAX_PIXELS: Input" in said(done)) == (2, True)
    photo = tmp_path / "a.png"
    photo.write_bytes(b"no photo")
    done = run("colorize", photo, "--model", "best")
    assert (done.returncode, "chromaserve: model: it is to be a number" in said(done)) == (2, True)
