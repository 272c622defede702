"""LPIPS is optional: what is said where it can't be measured."""

import sys
from pathlib import Path

import pytest

from training.perceptual import UnavailableError, load_perceptual


def test_without_weights_it_says_which_option_names_them() -> None:
    with pytest.raises(UnavailableError, match="--lpips-weights"):
        load_perceptual(None)


@pytest.mark.parametrize("missing", ["lpips", "torch"])
def test_without_its_packages_it_says_what_to_install(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lpips", "torch"):
        monkeypatch.setitem(sys.modules, name, None if name == missing else object())
    with pytest.raises(
        UnavailableError, match=rf"{missing}.*pip install 'chromaserve\[evaluate\]'"
    ):
        load_perceptual(tmp_path / "vgg16.npz")
