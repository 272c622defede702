"""Averages over photos, their intervals, and comparisons, against results made up by hand."""

from pathlib import Path

import numpy as np
import pytest

from training.errors import DataError
from training.evaluate import Result
from training.metrics import hue_error
from training.report import markdown_tables
from training.summary import Difference, compare, read_results, summarise, write_results


def result(number: int, kind: str, gain: float, b_larger: float = 0.5, **more: float) -> Result:
    measures = {
        "psnr": 20 + gain,
        "psnr_grey": 20,
        "psnr_mean_colour": 20.5,
        "ab_error": 10 - gain,
        "ssim": 0.95,
        "hue_error": 50,
        "colourfulness": 15,
        "colourfulness_truth": 30,
        "colourfulness_mean_colour": 6,
        "accuracy": 0.7,
        "b_larger": b_larger,
    }
    return Result(f"{number}.jpg", kind, measures | more)


def many(count: int, shift: float = 0) -> list[Result]:
    gains = np.random.default_rng(5).normal(2, 1.5, count) + shift
    return [result(i, "people" if i % 2 else "animals", g) for i, g in enumerate(gains)]


def test_gain_is_a_mean_over_photos_by_kind_with_the_better_constant_answer() -> None:
    summary = summarise([result(1, "people", 1, 0.2), result(2, "people", 2, 0.3),
                         result(3, "animals", 6, 1.0)])  # fmt: skip
    assert list(summary) == ["all", "animals", "people"]
    assert summary["all"]["gain"] == pytest.approx(3)
    assert summary["people"]["gain"] == pytest.approx(1.5)
    assert summary["people"]["accuracy_constant"] == pytest.approx(0.75)
    assert summary["all"]["accuracy_constant"] == pytest.approx(0.5)
    assert summary["all"]["colourfulness_ratio"] == pytest.approx(0.5)
    assert summary["all"]["colourfulness_ratio_mean_colour"] == pytest.approx(0.2)
    assert summary["all"]["gain_mean_colour"] == pytest.approx(0.5)


def test_a_measure_counts_the_photos_that_have_it() -> None:
    people = [result(i, "people", 1, skin_ab_error=4 + i) for i in range(5)]
    summary = summarise([*people, result(5, "people", 1), result(6, "animals", 1)])
    assert summary["people"]["photos"] == 6
    assert summary["people"]["skin_photos"] == 5
    assert summary["people"]["skin_ab_error"] == pytest.approx(6)
    assert 4 < summary["people"]["skin_ab_error_low"] < 6 < summary["people"]["skin_ab_error_high"]
    # One animal is no sample.
    assert "gain_low" in summary["people"]
    assert "gain_low" not in summary["animals"]
    assert not [n for kind in ("all", "animals") for n in summary[kind] if n.startswith("skin")]


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    results = [result(1, "people", 1, skin_ab_error=4.25), result(2, "", 1.1)]
    write_results(tmp_path / "photos.csv", results)
    assert read_results(tmp_path / "photos.csv") == results


def test_tables_show_each_measure_beside_its_baselines_and_no_empty_column() -> None:
    summary = summarise([result(i, "animals", 1 + i % 2, ab_error_grey=12) for i in range(10)])
    errors, looks = markdown_tables(summary).split("\n\n")
    assert errors.splitlines()[0] == "|  | photos | n | model [95%] | grey | mean colour |"
    assert "| ab error, Lab units | animals | 10 | 8.50 | 12.00 |  |" in errors.splitlines()
    assert "+0.50 |" in errors.splitlines()[2]
    assert "| accuracy, argmax(a, b) | all | 10 | 0.700 |  | 0.500 |" in looks.splitlines()


def test_interval_is_that_of_a_t_test_where_that_holds() -> None:
    results = many(400)
    all_ = summarise(results)["all"]
    gains = [r.measures["psnr"] - r.measures["psnr_grey"] for r in results]
    # Student's t at 399 degrees of freedom: 1.966 standard errors of the mean.
    half = 1.966 * np.std(gains, ddof=1) / np.sqrt(400)
    assert all_["gain_low"] == pytest.approx(np.mean(gains) - half, abs=0.03)
    assert all_["gain_high"] == pytest.approx(np.mean(gains) + half, abs=0.03)
    assert summarise(results) == summarise(results)


def write(path: Path, results: list[Result]) -> Path:
    write_results(path, results)
    return path


def test_paired_comparison_sees_a_small_difference_that_intervals_apart_would_not(
    tmp_path: Path,
) -> None:
    first = write(tmp_path / "first.csv", many(50))
    second = write(tmp_path / "second.csv", many(50, shift=0.1)[::-1])
    differences = compare(first, second)
    assert list(differences) == ["all", "animals", "people"]
    gain = differences["all"]["psnr"]
    assert gain.mean == pytest.approx(0.1)
    assert gain.interval
    assert 0.09 < gain.interval[0] <= gain.interval[1] < 0.11
    assert differences["people"]["ab_error"].mean == pytest.approx(-0.1)
    assert differences["people"]["ab_error"].photos == 25
    assert compare(first, first)["all"]["psnr"].mean == 0


def test_comparison_takes_what_both_evaluations_have(tmp_path: Path) -> None:
    skin = result(1, "people", 1, skin_hue_error=9, skin_ab_error=5)
    first = write(tmp_path / "first.csv", [skin, result(2, "people", 1, skin_hue_error=9)])
    skin = result(1, "people", 1, skin_ab_error=4)
    second = write(tmp_path / "second.csv", [skin, result(2, "people", 1)])
    differences = compare(first, second)["people"]
    assert "skin_hue_error" not in differences
    assert differences["skin_ab_error"] == Difference(-1, None, photos=1)


def test_evaluations_of_different_photos_are_not_compared(tmp_path: Path) -> None:
    first = write(tmp_path / "first.csv", many(5))
    second = write(tmp_path / "second.csv", many(6))
    with pytest.raises(DataError, match="not of the same photos"):
        compare(first, second)


def test_hue_error_is_an_angle_weighted_by_true_chroma() -> None:
    truth = np.array([[[30, 0], [0, 10], [0, 0]]], np.float32)
    quarter_turn = np.array([[[0, 5], [0, 80], [-3, 3]]], np.float32)
    # 90 degrees off at chroma 30, right at chroma 10; a grey truth does not count.
    assert hue_error(quarter_turn, truth) == pytest.approx(90 * 30 / 40)
    assert hue_error(truth * 7, truth) == pytest.approx(0, abs=1e-4)
    assert hue_error(-truth, truth) == pytest.approx(180, abs=1e-3)
    assert hue_error(np.zeros_like(truth), truth) == pytest.approx(90)
