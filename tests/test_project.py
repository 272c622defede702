"""The project's own rules: style, types, walls between packages, licences."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from skimage.color import rgb2lab

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "chromaserve", "training", "docs/generator")
# What a package may not import: the library stands alone, the service runs without training.
WALLS = {
    "app": {"training"},
    "chromaserve": {"app", "training"},
    "training": {"app"},
    "docs/generator": {"training"},
}
# Rooms of the library from the ground up: each imports those on floors below, and itself.
FLOORS = (
    ("settings", "store", "errors", "fitting", "locks", "loop_thread", "bundled"),
    ("photos", "color", "engines"),
    ("pipeline",),
    ("library",),
    ("client", "video", "cluster"),
    ("command_line",),
)
SOURCES = ROOT / "samples" / "SOURCES.md"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("bandit", "-q", "-r", "-c", "pyproject.toml", "app", "chromaserve"),
    ],
    ids=["lint", "format", "types", "holes"],
)
def test_code_passes_the_checker(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def imports(path: Path) -> set[str]:
    """Modules that a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "" if not node.level else path.relative_to(ROOT).parts[0])
    return names


def top_level(path: Path) -> set[str]:
    """Packages that a module imports."""
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_keep_their_walls(package: str) -> None:
    for path in modules(package):
        assert not top_level(path) & WALLS[package], path


def test_arrows_in_the_library_run_down() -> None:
    height = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    for path in modules("chromaserve"):
        room = path.relative_to(ROOT / "chromaserve").parts[0].removesuffix(".py")
        named = {name.split(".")[1] for name in imports(path) if name.startswith("chromaserve.")}
        above = {other for other in named - {room} if height[other] > height.get(room, len(FLOORS))}
        assert not above, f"{path} imports {above}"


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_every_module_says_what_it_is_for_and_stays_small(package: str) -> None:
    for path in modules(package):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
        assert len(path.read_text().splitlines()) <= 300, f"{path} has more than 300 lines"


def test_licence_and_attribution_of_the_weights() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    notice = (ROOT / "NOTICE").read_text()
    for words in ("Visual Geometry Group", "Simonyan", "CC BY 4.0", "licenses/by/4.0"):
        assert words in notice


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert commands == ["make test"]
    assert "`make test`" in (ROOT / "README.md").read_text()


def rows() -> dict[str, list[str]]:
    """The table of SOURCES.md: file name → what it shows, author, source, licence, changes."""
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in SOURCES.read_text().splitlines()
        if line.startswith("| `")
    ]
    return {file.strip("`"): rest for file, *rest in cells}


def test_every_sample_photo_has_a_source_and_a_free_licence() -> None:
    photos = {path.name for path in (ROOT / "samples").rglob("*") if path.suffix != ".md"} - {
        "colour",
        "grey",
    }
    table = rows()
    assert photos == set(table)
    for file, (shows, author, source, licence, _) in table.items():
        assert shows, file
        assert author, file
        assert source, file
        assert re.match(r"(CC0 1\.0|CC BY [24]\.0|public domain)", licence), file


def test_sample_pairs_have_the_same_luminance() -> None:
    pairs = sorted((ROOT / "samples" / "colour").iterdir())
    assert len(pairs) >= 12
    for path in pairs:
        with (
            Image.open(path) as colour,
            Image.open(path.parent.parent / "grey" / path.name) as grey,
        ):
            assert grey.mode == "L"
            assert grey.size == colour.size
            of_colour = rgb2lab(np.asarray(colour)[::4, ::4])[..., 0]
            of_grey = rgb2lab(np.asarray(grey.convert("RGB"))[::4, ::4])[..., 0]
        assert np.abs(of_colour - of_grey).mean() < 1, path  # JPEG's own error


def test_hooks_check_what_lint_checks() -> None:
    configured = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in configured["repos"] for hook in repository["hooks"]]
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    commands = [line.strip().removeprefix("$(BIN)/").rstrip(" .") for line in recipe.splitlines()]
    entries = {hook["entry"].removeprefix(".venv/bin/") for hook in hooks}
    assert {entry.removesuffix(" --force-exclude") for entry in entries} >= set(commands[1:])
