"""The wheel as it would be published, and a foreign project that it is installed beside."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "chromaserve", "model_store", "training")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
# Packages that the other project has, of the names that the repository's folders have.
THEIRS = {
    "app/__init__.py": "NAME = 'theirs'\n",
    "app/main.py": "from app import NAME\n",
    "app/settings.py": "PORT = 1\n",
    "training/__init__.py": "EPOCHS = 7\n",
    "training/config.py": "from training import EPOCHS\n",
    "model_store/__init__.py": "MODELS = ['theirs']\n",
    "model_store/colorizer/2/model.json": "{}\n",
}
WITHOUT = """raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")\n"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: `build/` in the tree may hold what an earlier one left."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    build = [*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "."]
    subprocess.run(build, cwd=folder, check=True)
    (made,) = folder.glob("*.whl")
    return made


@dataclass
class Project:
    """A foreign project in an environment of its own, which has chromaserve's wheel too."""

    folder: Path
    environment: Path

    @property
    def packages(self) -> Path:
        """Where its environment has what is installed."""
        (found,) = self.environment.glob("lib/python3.*/site-packages")
        return found

    def variables(self, *, tensorflow: bool = False, **more: str) -> dict[str, str]:
        """Of its processes: nothing of this repository's, and no TensorFlow unless asked for."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHROMASERVE_", "PYTHON", "VIRTUAL_ENV"))
        }
        path = [] if tensorflow else [str(self.folder / "without")]
        return {**kept, "PYTHONPATH": os.pathsep.join(path), "RAY_USAGE_STATS_ENABLED": "0", **more}

    def run(
        self, program: str, *arguments: object, tensorflow: bool = False, **more: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program of its environment in its folder."""
        return subprocess.run(
            [str(self.environment / "bin" / program), *map(str, arguments)],
            cwd=self.folder,
            env=self.variables(tensorflow=tensorflow, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def theirs(self) -> dict[str, str]:
        """Checksums of its own packages' files, which are installed like any other's."""
        return {
            str(path.relative_to(self.packages)): hashlib.sha256(path.read_bytes()).hexdigest()
            for name in ("app", "training", "model_store")
            for path in sorted((self.packages / name).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }


@pytest.fixture(scope="session")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Its own packages first, then the wheel; what both depend on is this environment's."""
    folder = tmp_path_factory.mktemp("foreign")
    made = Project(folder, folder / "environment")
    venv = [sys.executable, "-m", "venv", "--without-pip", str(made.environment)]
    subprocess.run(venv, check=True)
    for name, text in THEIRS.items():
        path = made.packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "without" / "tensorflow").mkdir(parents=True)
    (folder / "without" / "tensorflow" / "__init__.py").write_text(WITHOUT)
    before = made.theirs()
    install = [*PIP, "--python", str(made.environment / "bin" / "python"), "install"]
    subprocess.run([*install, "--no-index", "--no-deps", str(wheel)], check=True)
    assert made.theirs() == before
    # The path alone: a .pth file there, such as an editable install's, is not followed.
    shared = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (made.packages / "shared.pth").write_text("\n".join(shared))
    return made
