"""Expected against observed errors, on distributions that are right, too sure, or know nothing."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from training.calibration import Deviations, calibrate, deviations, plot_calibration
from training.report import calibration_markdown

Float = NDArray[np.float32]


def photos(factor: float, count: int = 40) -> list[Deviations]:
    """Normal errors whose standard deviation is `factor` times what is expected."""
    random = np.random.default_rng(8)
    made = []
    for _ in range(count):
        # rms distance in the plane, between 1 and 30, in a range of each photo's own.
        expected = random.uniform(1, random.uniform(2, 30), (56, 56))
        error = random.normal(size=(56, 56, 2)) * (factor * expected / np.sqrt(2))[..., None]
        observed = (error**2).sum(-1)
        made.append(Deviations((expected**2).astype(np.float32), observed.astype(np.float32)))
    return made


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_each_tenth_shows_how_many_times_too_sure_the_distribution_is(factor: float) -> None:
    found = calibrate(photos(factor))
    assert len(found["groups"]) == 10
    assert sum(g["pixels"] for g in found["groups"]) == 40 * 56 * 56
    expected = [g["expected_rms"] for g in found["groups"]]
    assert expected == sorted(expected)
    for group in found["groups"]:
        assert group["observed_rms"] / group["expected_rms"] == pytest.approx(factor, rel=0.03)
    assert found["ratio"] == pytest.approx(factor, rel=0.03)
    assert found["spearman"] > 0.99


def test_a_distribution_that_knows_nothing_has_a_flat_table() -> None:
    made = photos(1.0)
    shuffled = [
        Deviations(a.expected, b.observed[::-1])
        for a, b in zip(made, made[7:] + made[:7], strict=True)
    ]
    found = calibrate(shuffled)
    observed = [g["observed_rms"] for g in found["groups"]]
    assert max(observed) < 1.5 * min(observed)
    assert abs(found["spearman"]) < 0.5


def test_rank_correlation_by_hand() -> None:
    def flat(expected: float, observed: float) -> Deviations:
        return Deviations(*(np.full((56, 56), v, np.float32) for v in (expected, observed)))

    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15) = 0.6.
    pairs = [(1, 50), (4, 20), (9, 400), (16, 90)]
    assert calibrate([flat(*p) for p in pairs])["spearman"] == pytest.approx(0.6)


def test_deviations_compare_means_over_areas() -> None:
    random = np.random.default_rng(4)
    small = random.normal(0, 20, (56, 56, 2)).astype(np.float32)
    ab = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    detail = np.tile(np.array([[5, -5], [-5, 5]], np.float32), (112, 112))[..., None]
    deviation = np.full((224, 224, 1), 7, np.float32)
    found = deviations(ab, deviation, ab + detail + np.float32(3))
    # Detail finer than the prediction's grid averages out; (3, 3) stays.
    np.testing.assert_allclose(found.observed, 18, rtol=1e-3)
    np.testing.assert_allclose(found.expected, 49, rtol=1e-5)


def test_table_and_plot(tmp_path: Path) -> None:
    found = calibrate(photos(2.0))
    plot_calibration(found, tmp_path / "plot.png")
    assert min(PIL.Image.open(tmp_path / "plot.png").size) > 300
    lines = calibration_markdown(found).splitlines()
    assert lines[0].startswith("observed / expected error 2.0")
    assert len(lines) == 4 + 10 + 1
