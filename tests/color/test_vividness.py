"""What a version makes of its network's answers for a vividness."""

import numpy as np
import pytest

from chromaserve.color.vividness import asked, livened
from chromaserve.store.contract import Blend

BLEND = Blend(asked=(0, 0.2, 0.2), contrast=(0, 0.1, 0.3), scale=(1, 1.5, 2))
AB = np.random.default_rng(3).normal((4, 12), 10, (224, 224, 2)).astype(np.float32)


def test_vividness_0_is_the_networks_own_to_the_bit() -> None:
    assert asked(0, BLEND) == 0
    assert livened(AB, 0, BLEND) is AB


@pytest.mark.parametrize("vividness", [0.0, 0.65, 1.0])
def test_a_version_without_a_blend_leaves_it_to_its_network(vividness: float) -> None:
    assert asked(vividness, None) == vividness
    assert livened(AB, vividness, None) is AB


def test_colours_are_scaled_around_a_part_of_their_mean() -> None:
    assert asked(0.25, BLEND) == pytest.approx(0.1)
    assert asked(1, BLEND) == pytest.approx(0.2)
    ab = livened(AB, 1, BLEND)
    np.testing.assert_allclose(ab.mean((0, 1)), 2 * 0.7 * AB.mean((0, 1)), rtol=1e-3)
    np.testing.assert_allclose(ab.std((0, 1)), 2 * AB.std((0, 1)), rtol=1e-3)
    between = livened(AB, 0.75, BLEND)
    np.testing.assert_allclose(between, 1.75 * (AB - 0.2 * AB.mean((0, 1))), atol=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"asked": (0, 1), "contrast": (0, 0.1, 0.3), "scale": (1, 2)},
        {"asked": (0, 2), "contrast": (0, 0.3), "scale": (1, 2)},
        {"asked": (0.1, 1), "contrast": (0, 0.3), "scale": (1, 2)},
        {"asked": (0, 1), "contrast": (0, 0.3), "scale": (2, 2)},
    ],
)
def test_a_blend_that_is_none_is_refused(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match=r"step|0 to 1|vividness 0"):
        Blend(**wrong)
