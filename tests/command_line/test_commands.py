"""The other commands: quick help, video, what is here and how fast it is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from chromaserve.command_line import benchmark, shared_options
from chromaserve.command_line.main import command
from chromaserve.command_line.video import CodecName
from chromaserve.photos.formats import ALSO_CALLED, Wanted
from chromaserve.photos.metadata import Keep
from chromaserve.pipeline.options import Damaged, Pages, Recolour
from chromaserve.store.contract import Postprocess
from chromaserve.video.container import Codec
from tests.command_line.command import run
from tests.conftest import Server

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


def test_video_gives_a_frame_for_each_and_says_where_a_stream_breaks() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (3, 24, 32), np.uint8).tobytes()
    arguments = ("video", "--width", 32, "--height", 24, "--pixel-format", "gray")
    done = run(*arguments, "--smoothing", 0.5, stdin=frames + b"half a frame")
    assert len(done.stdout) == 3 * len(frames)
    assert done.returncode == 3
    assert b"ends within frame 4" in done.stderr
    assert b"Traceback" not in done.stderr


def test_models_here_and_of_a_service(server: Server, model_root: Path) -> None:
    here = run("models", "--json", CHROMASERVE_MODEL_ROOT=str(model_root))
    there = run("models", "--url", server.url)
    assert here.returncode == there.returncode == 0
    (default,) = (row for row in json.loads(here.stdout) if row["default"])
    words = there.stdout.decode()
    assert f"{default['version']} *" in words
    assert default["created"][:10] in words


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


def test_a_benchmark_has_every_size_and_the_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "SIZES", {"tiny": (64, 48), "small": (128, 96)})
    monkeypatch.setattr(benchmark, "tell_warnings", lambda: None)  # would outlast the test
    done = CliRunner().invoke(command, ["benchmark", "--seconds", "0.1", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(row["width"], row["height"]) for row in told["sizes"]] == [(64, 48), (128, 96)]
    assert all(row["per_s"] > 0 and row["one_s"] > 0 for row in told["sizes"])
    assert told["model_alone_per_s"] > 0
