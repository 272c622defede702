"""LPIPS is optional: what is said where it can't be measured."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from training.perceptual import UnavailableError, load_perceptual


def test_without_weights_it_says_which_option_names_them() -> None:
    with pytest.raises(UnavailableError, match="--lpips-weights"):
        load_perceptual(None)


@pytest.mark.parametrize("missing", ["lpips", "torch"])
def test_without_its_packages_it_says_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lpips", "torch", "torchvision"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, None if name == missing else module)
    with pytest.raises(UnavailableError, match=rf"no {missing} .*'chromaserve\[evaluate\]'"):
        load_perceptual(tmp_path / "vgg16.pth")
