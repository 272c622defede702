"""The wheel: what is in it, and that it colorizes outside of the repository."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.command_line.command import SAMPLES

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "chromaserve", "model_store", "training")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: `build/` in the tree may hold what an earlier one left."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, folder)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q", "."]
    subprocess.run([sys.executable, "-m", "pip", *build], cwd=folder, check=True)
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_the_model_the_page_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        described = archive.read(metadata).decode()
        (entries,) = (name for name in names if name.endswith("/entry_points.txt"))
        assert b"chromaserve = chromaserve.command_line.main:main" in archive.read(entries)
    wanted = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == wanted
    models = sorted((ROOT / "model_store" / "colorizer").iterdir())
    for path in models:
        for file in json.loads((path / "model.json").read_text())["files"]:
            assert str(path.relative_to(ROOT) / file) in inside
    assert "License-Expression: Apache-2.0" in described
    assert "Description-Content-Type: text/markdown" in described


def test_it_colorizes_outside_of_the_repository(wheel: Path, tmp_path: Path) -> None:
    """With the dependencies of this environment; `site` holds what pip would put in place."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    shutil.copy(SAMPLES / "cat.jpg", tmp_path / "photo.jpg")
    program = (
        "import app, model_store; from chromaserve.command_line.main import main;"
        "print(app.__file__, model_store.__file__); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "colorize", "photo.jpg"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(str(tmp_path)) == 2, "not the repository's packages"
    assert (tmp_path / "photo-colour.png").stat().st_size > 0
