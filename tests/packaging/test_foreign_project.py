"""Installed beside a project that has packages `app`, `training` and `model_store` of its own."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Server, free_port
from tests.packaging.conftest import ROOT, Project

GREY = ROOT / "samples" / "grey"
OWN = "import app.main, training.config, model_store; assert app.NAME == 'theirs'"
OWN += "; assert training.EPOCHS == 7 and model_store.MODELS == ['theirs']"


@pytest.fixture(autouse=True)
def _untouched(project: Project) -> Iterator[None]:
    """Its packages are its own, whatever was done."""
    before = project.theirs()
    yield
    assert project.theirs() == before
    done = project.run("python", "-c", OWN)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[Server]:
    """`chromaserve serve`, as its environment has it."""
    port = free_port()
    log = project.folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [project.environment / "bin" / "chromaserve", "serve", "--port", str(port)],
            cwd=project.folder,
            env=project.variables(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        server.wait_ready()
        yield server
        assert server.stop() == 0
    finally:
        process.kill()
        process.wait()


def is_colour(path: Path) -> bool:
    with Image.open(path) as photo:
        pixels = np.asarray(photo.convert("RGB")).astype(int)
    return int(np.ptp(pixels, axis=-1).max()) > 20


def test_the_library(project: Project) -> None:
    program = f"""
{OWN}
import sys
from pathlib import Path
import chromaserve
from chromaserve import Colorizer
assert Path(chromaserve.__file__).is_relative_to(sys.prefix), chromaserve.__file__
photo = Path({str(GREY / "cat.jpg")!r}).read_bytes()
with Colorizer() as colorizer:
    Path("library.png").write_bytes(colorizer.colorize(photo))
"""
    done = project.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert is_colour(project.folder / "library.png")


@pytest.mark.slow
def test_the_command(project: Project) -> None:
    shutil.copy(GREY / "cat.jpg", project.folder / "photo.jpg")
    done = project.run("chromaserve", "colorize", "photo.jpg")
    assert done.returncode == 0, done.stderr
    assert is_colour(project.folder / "photo-colour.png")
    listed = project.run("chromaserve", "models", "--json")
    assert listed.returncode == 0, listed.stderr
    assert str(project.packages) in project.run("chromaserve", "info").stdout


@pytest.mark.slow
def test_the_service_and_its_page(project: Project, served: Server) -> None:
    curl = ["curl", "--fail", "--silent", "--show-error"]
    send = ["-F", f"file=@{GREY / 'cat.jpg'}", f"{served.url}/colorize", "-o", "served.png"]
    subprocess.run([*curl, *send], cwd=project.folder, check=True)
    assert is_colour(project.folder / "served.png")
    for path in ("/", "/page/scripts/main.js", "/docs"):
        subprocess.run([*curl, served.url + path, "-o", "/dev/null"], check=True)


def test_the_client(project: Project, served: Server) -> None:
    program = f"""
from pathlib import Path
from chromaserve import Client
with Client({served.url!r}) as client:
    client.colorize(Path({str(GREY / "cat.jpg")!r})).save("client.png")
"""
    done = project.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert is_colour(project.folder / "client.png")


@pytest.mark.slow
def test_a_folder_by_ray(project: Project) -> None:
    (project.folder / "grey").mkdir()
    shutil.copy(GREY / "cat.jpg", project.folder / "grey")
    done = project.run("chromaserve", "batch", "grey", "colour", "--workers", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert is_colour(project.folder / "colour" / "cat.png")


@pytest.mark.slow
def test_the_service_by_ray(project: Project) -> None:
    """The import path of the file that is shipped; replicas unpickle what it builds."""
    program = """
import yaml
from ray import cloudpickle
from chromaserve.cluster.serving import build
arguments = build.__annotations__["arguments"].model_validate({})
cloudpickle.loads(cloudpickle.dumps(build(arguments)))
print(build.__module__)
"""
    done = project.run("python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "chromaserve.app.ray_serve"


@pytest.mark.slow
def test_training(project: Project) -> None:
    (project.folder / "photos").mkdir()
    for photo in sorted((ROOT / "samples" / "colour").iterdir())[:1]:
        shutil.copy(photo, project.folder / "photos")
    asked = ("chromaserve-train", "evaluate", "photos", "--out", "measured")
    done = project.run(*asked, tensorflow=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any((project.folder / "measured").iterdir())
    # Configurations are those of the wheel; the photos that they name are not there.
    done = project.run("chromaserve-train", "scan", "--photos", "none")
    assert done.returncode == 2
    assert "configs" not in done.stderr


def test_training_without_tensorflow_says_what_to_install(project: Project) -> None:
    done = project.run("chromaserve-train", "average", "a.npz", "b.npz")
    assert done.returncode == 1
    assert "chromaserve[train]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_every_module_imports(project: Project) -> None:
    """None of them asks for a top-level `app` or `training`: the project's would answer."""
    program = """
import importlib, json, pkgutil, chromaserve
names = [found.name for found in pkgutil.walk_packages(chromaserve.__path__, "chromaserve.")]
for name in names:
    if name.endswith(".__main__"):
        continue  # it would run
    importlib.import_module(name)
print(json.dumps(names))
"""
    done = project.run("python", "-c", program, tensorflow=True)
    assert done.returncode == 0, done.stderr
    names = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"chromaserve.app.main", "chromaserve.training.train", "chromaserve.color.lab"} <= names
