"""What is installed: every dependency declared, with its reason, and locked by hash."""

import re
import sys
import tomllib

import pytest

from tests.test_project import PACKAGES, ROOT, modules, top_level

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def declared(section: str | None) -> list[str]:
    project = PYPROJECT["project"]
    found = project["optional-dependencies"][section] if section else project["dependencies"]
    return [re.split(r"[<>=~!;\[ ]", requirement)[0] for requirement in found]


# The distribution that gives a module, where their names differ.
DISTRIBUTIONS = {
    "anyio": "fastapi",
    "axe_playwright_python": "axe-playwright-python",
    "PIL": "pillow",
    "pi_heif": "pi-heif",
    "pillow_heif": "pillow-heif",
    "cv2": "opencv-python-headless",
    "keras": "tensorflow",
    "mkdocs": "mkdocs-material",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "kubernetes_validate": "kubernetes-validate",
    "opentelemetry": "opentelemetry-api",
    "prometheus_client": "prometheus-client",
    "pyarrow": "ray",  # of its extra data
    "pydantic_core": "pydantic",
    "pydantic_settings": "pydantic-settings",
    "python_multipart": "python-multipart",
    "c2pa": "c2pa-python",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "starlette": "fastapi",
    "xdist": "pytest-xdist",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("app", ["otel", "ray", "postgresql"]),
        ("chromaserve", ["tensorflow", "ray", "video", "c2pa"]),
        ("training", ["train"]),
        ("docs/generator", ["docs"]),
        ("tests", ["train", "dev", "otel", "ray", "postgresql", "c2pa", "docs"]),
        ("benchmarks", ["train", "dev"]),
    ],
)
def test_imports_are_declared_as_dependencies(package: str, extras: list[str]) -> None:
    allowed = {name for section in (None, *extras) for name in declared(section)}
    ours = {name.split("/")[0] for name in (*PACKAGES, "tests", "benchmarks")}
    foreign = set().union(*map(top_level, modules(package))) - sys.stdlib_module_names - ours
    if package == "tests":
        foreign.remove("atheris")  # `make fuzz` brings it, and nothing else needs it
    if package == "benchmarks":
        foreign -= {path.stem for path in (ROOT / "benchmarks/peers/requirements").iterdir()}
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= allowed


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for section in (None, *PYPROJECT["project"]["optional-dependencies"]):
        for name in declared(section):
            assert re.search(rf'^ +"{re.escape(name)}\b.*", +# \w.+$', text, re.MULTILINE), name


VARIANTS: dict[str, list[str | None]] = {
    "base": [None],
    "tensorflow": [None, "tensorflow"],
    "gpu": [None, "gpu"],
    "otel": [None, "otel"],
    "ray": [None, "ray"],
    "postgresql": [None, "postgresql"],
    "c2pa": [None, "c2pa"],
    "dev": [None, "tensorflow", "train", "dev", "otel", "ray", "postgresql", "c2pa", "docs"],
}


def pins(lock: str) -> dict[str, str]:
    """What a lock pins: "name==version" with the name."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    found = re.findall(
        r"^([a-z0-9-]+)==(\S+)(?: ; .+?)? \\\n +--hash=sha256:[0-9a-f]{64}", text, re.M
    )
    requirements = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert len(requirements) == len(found)
    assert "://" not in text, "a lock file names no host"
    return {f"{name}=={version}": name for name, version in found}


def test_there_is_a_lock_for_each_variant() -> None:
    assert {path.name for path in (ROOT / "requirements").iterdir()} == {
        f"{name}.lock" for name in VARIANTS
    }


@pytest.mark.parametrize("lock", VARIANTS)
def test_locks_pin_every_dependency_by_hash(lock: str) -> None:
    wanted = {name for section in VARIANTS[lock] for name in declared(section)}
    assert wanted <= set(pins(lock).values())


def test_locks_agree_on_versions() -> None:
    base, everything = pins("base").keys(), pins("dev").keys()
    assert base <= everything
    for lock in ("tensorflow", "otel", "ray", "postgresql", "c2pa"):
        assert base <= pins(lock).keys() <= everything, lock
    assert pins("tensorflow").keys() <= pins("gpu").keys()


def test_tensorflow_is_in_those_locks_alone_that_ask_for_it() -> None:
    for lock in ("base", "otel", "ray", "postgresql", "c2pa"):
        assert {"tensorflow", "keras", "h5py"}.isdisjoint(pins(lock).values()), lock


# The first version without the last hole of each that was known in November 2026.
WITHOUT_KNOWN_HOLES = {"python-multipart": (0, 0, 27), "pillow": (13,), "h11": (0, 16)}


@pytest.mark.parametrize("name", WITHOUT_KNOWN_HOLES)
def test_versions_with_known_holes_are_left_out(name: str) -> None:
    (wanted,) = (
        each for each in PYPROJECT["project"]["dependencies"] if re.split("[>=]", each)[0] == name
    )
    bound = tuple(map(int, wanted.partition(">=")[2].split(".")))
    assert bound >= WITHOUT_KNOWN_HOLES[name]
