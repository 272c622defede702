"""The wheel: what is in it."""

import json
import zipfile
from pathlib import Path

from tests.packaging.conftest import PACKAGES, ROOT


def test_it_has_one_name_at_its_top(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        (listed,) = (name for name in archive.namelist() if name.endswith("/top_level.txt"))
        assert archive.read(listed).split() == [b"chromaserve"]
    (information,) = tops - {"chromaserve"}
    assert information.endswith(".dist-info")


def test_it_holds_the_service_training_and_models_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        described = archive.read(metadata).decode()
        (entries,) = (name for name in names if name.endswith("/entry_points.txt"))
        assert b"chromaserve = chromaserve.__main__:main" in archive.read(entries)
    wanted = {
        str(path.relative_to(ROOT / "chromaserve" if name == "chromaserve" else ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == {f"chromaserve/{name}" for name in wanted}
    models = sorted((ROOT / "model_store" / "colorizer").iterdir())
    for path in models:
        for file in json.loads((path / "model.json").read_text())["files"]:
            assert f"chromaserve/{path.relative_to(ROOT) / file}" in inside
    assert "License-Expression: Apache-2.0" in described
    assert "Description-Content-Type: text/markdown" in described


def test_the_base_has_no_tensorflow(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    needed = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    base = [each for each in needed if "extra ==" not in each]
    assert any(each.startswith("ncnn") for each in base)
    assert not any(each.startswith(("tensorflow", "ray", "torch")) for each in base)
