"""MkDocs hooks: pages from outside docs/, and links between them and the others."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
INCLUDED = {
    "project/changelog.md": "CHANGELOG.md",
    "project/contributing.md": "CONTRIBUTING.md",
    "project/samples.md": "samples/SOURCES.md",
    "images/icon.svg": "app/page/icon.svg",
}
"""Files of the site that lie elsewhere in the repository."""

_LINK = re.compile(r"\]\((?![a-z]+:|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the included pages, and the newest bundled model's card."""
    cards = (ROOT / "model_store" / "colorizer").glob("*/MODEL_CARD.md")
    newest = max(cards, key=lambda card: int(card.parent.name))
    included = {**INCLUDED, "project/model-card.md": str(newest.relative_to(ROOT))}
    for uri, path in included.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(
    markdown: str,
    page: Page,
    config: MkDocsConfig,  # noqa: ARG001 - MkDocs gives it by name
    files: Files,
) -> str:
    """Point links that are right in the repository to where their targets are on the site."""
    uris = {Path(file.abs_src_path): file.src_uri for file in files if file.abs_src_path}
    source = page.file.abs_src_path
    if source is None:
        return markdown

    def moved(link: re.Match[str]) -> str:
        uri = uris.get((Path(source).parent / link["target"]).resolve())
        if uri is None:
            return link[0]
        target = posixpath.relpath(uri, posixpath.dirname(page.file.src_uri))
        return f"]({target}{link['anchor'] or ''})"

    return _LINK.sub(moved, markdown)
