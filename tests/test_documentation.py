"""The documentation: up to date, whole, without dead ends, and true about what there is."""

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
import typer
from mkdocs.commands.build import build
from mkdocs.config import load_config
from PIL import Image

import chromaserve
from app.auth import _EXPOSED
from app.problems import HTTP_KINDS, KINDS, OTHER
from app.settings import Settings
from chromaserve.command_line.main import command
from chromaserve.pipeline.options import Options
from docs.generator.__main__ import stale_pages
from tests.conftest import Server

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))),
]
SHELL = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```$", re.M | re.S)


def test_generated_parts_are_as_the_code_makes_them() -> None:
    stale = [str(path) for path, _ in stale_pages()]
    assert not stale, f"run `make reference`: {stale}"


def test_every_setting_is_documented_once() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    documented = re.findall(r"^\| `(CHROMASERVE_[A-Z0-9_]+)` \|", page, re.M)
    names = [f"CHROMASERVE_{name.upper()}" for name in Settings.model_fields]
    assert sorted(documented) == sorted(names)


def test_every_option_of_a_request_is_documented_once() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    table = page.partition("generated: options -->")[2].partition("<!-- end")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.M)) == sorted(Options.model_fields)


def test_every_kind_of_problem_is_documented_with_its_status() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    documented = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", page, re.M)
    kinds = (*KINDS.values(), *HTTP_KINDS.values(), OTHER)
    assert len(documented) == len(set(documented))
    assert set(documented) == {(str(k.status), k.slug) for k in kinds}


def test_every_header_that_pages_may_read_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    own = [name for name in _EXPOSED if name.startswith(("X-", "RateLimit", "Retry", "Server"))]
    assert sorted(own) == sorted(re.findall(r"^\| `([A-Z][A-Za-z-]+)` \|", page, re.M))


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_the_architecture_names_every_module() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    named = set(re.findall(r"`(\w+)/?`", page))
    for package in ("app", "chromaserve", "training"):
        children = {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py"}
        children |= {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert children - {"__init__"} <= named, package


def test_every_name_of_the_library_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    assert sorted(re.findall(r"^::: chromaserve\.(\w+)$", page, re.M)) == sorted(
        chromaserve.__all__
    )


def test_what_the_pages_name_there_is() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    group = typer.main.get_group(command)
    subcommands = group.list_commands(typer.Context(group))
    settings = {f"CHROMASERVE_{name.upper()}" for name in Settings.model_fields}
    settings |= {"CHROMASERVE_API_KEY", "CHROMASERVE_URL"}  # the command's, for options
    compose = (ROOT / "docker-compose.yml").read_text()
    settings |= set(re.findall(r"\$\{(CHROMASERVE_\w+)", compose))
    for page in PAGES:
        text = (ROOT / page).read_text()
        for block in SHELL.findall(text):
            for target in re.findall(r"^make ([a-z]+)", block, re.M):
                assert target in targets, f"{page}: make {target}"
            for name in re.findall(r"^(?:\$ )?chromaserve ([a-z]+)", block, re.M):
                assert name in subcommands, f"{page}: chromaserve {name}"
        for module in re.findall(r"python -m ((?:benchmarks|training|docs)[.\w]*)", text):
            assert importlib.util.find_spec(module.rstrip(".")), f"{page}: {module}"
        for name in re.findall(r"CHROMASERVE_[A-Z0-9_]+[A-Z]", text):
            assert name in settings, f"{page}: {name}"


@pytest.mark.slow
def test_the_tutorial_can_be_followed(server: Server, tmp_path: Path) -> None:
    """Its blocks that ask the service, in order, by curl and by Python as a reader runs them."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    shutil.copy(ROOT / "README.md", tmp_path)
    page = (ROOT / "docs" / "tutorial" / "first-steps.md").read_text()
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", page, re.M | re.S)
    asking = [block for block in blocks if "localhost:8000" in block[1]]
    assert len(asking) == 5
    outputs = []
    for language, text in asking:
        own = text.replace("http://localhost:8000", server.url)
        shell = ["bash", "-ec", own] if language == "sh" else [sys.executable, "-c", own]
        done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, text + done.stderr
        outputs.append(done.stdout)
    with Image.open(tmp_path / "colour.png") as colour, Image.open(tmp_path / "lively.jpg") as jpeg:
        with Image.open(ROOT / "samples" / "grey" / "picos-de-europa.jpg") as grey:
            assert colour.size == jpeg.size == grey.size
        assert (colour.format, jpeg.format) == ("PNG", "JPEG")
    assert "manifest.json" in outputs[2]
    assert "unsupported-format" in outputs[3]
    assert outputs[4].startswith("image/png ")


def test_every_metric_is_documented(http: httpx.Client) -> None:
    page = (ROOT / "docs" / "how-to" / "observability.md").read_text()
    served = re.findall(r"^# TYPE (chromaserve_\w+) ", http.get("/metrics").text, re.M)
    assert len(served) > 10
    for name in served:
        if not name.endswith("_created"):
            assert f"`{name}`" in page, name


class Html(HTMLParser):
    """A page's anchors, its links, and what a browser loads to show it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {str(given[key]) for key in ("id", "name") if given.get(key)}
        target = given.get("href") or given.get("src")
        if not target:
            return
        is_link = tag == "a" or given.get("rel") in ("canonical", "prev", "next")
        (self.links if is_link else self.loaded).append(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: what MkDocs warns of ends the build."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


@pytest.mark.slow
def test_the_site_has_every_page_and_no_dead_end(site: Path) -> None:
    pages = {path: Html(path) for path in site.rglob("*.html")}
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert {site / path.with_suffix(".html") for path in sources} <= pages.keys()
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            start = site if parts.path.startswith("/") else path.parent  # 404.html is anywhere
            relative = unquote(parts.path).lstrip("/")
            target = (start / relative).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{path}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path}: {link}"


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        for address in Html(path).loaded:
            assert not urlsplit(address).netloc, f"{path}: {address}"
