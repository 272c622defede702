"""The page's files over HTTP: headers, freshness, and that nothing else is served."""

import re

import httpx
import pytest

from tests.page.stage import ROOT


def test_the_policy_lets_nothing_in_from_elsewhere(http: httpx.Client) -> None:
    for path in ("/", "/page/scripts/main.js", "/docs", "/docs/swagger-ui.css"):
        response = http.get(path)
        assert response.status_code == 200, path
        policy = dict(
            each.split(" ", 1) for each in response.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["form-action"] == "'none'"
        assert policy["base-uri"] == "'self'"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-cache"
        known = http.get(path, headers={"If-None-Match": response.headers["etag"]})
        assert known.status_code == 304
        if response.headers["content-type"].startswith("text/html"):
            assert not re.search(
                r"<style|\sstyle=|\son\w+=|(src|href)=\"(/|https?:)", response.text
            )


@pytest.mark.parametrize(
    "path",
    [
        *("page/", "page/none.js", "page/scripts", "page/%2e%2e/main.py", "page/..%2fmain.py"),
        *("docs/__init__.py", "docs/..%2fmain.py", "redoc"),
    ],
)
def test_only_the_pages_own_files_are_served(http: httpx.Client, path: str) -> None:
    response = http.get(f"/{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_samples_on_the_page_are_those_with_a_source() -> None:
    samples = sorted((ROOT / "app" / "page" / "samples").iterdir())
    assert samples
    for sample in samples:
        assert sample.read_bytes() == (ROOT / "samples" / "grey" / sample.name).read_bytes()
