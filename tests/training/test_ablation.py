"""The ablation: settings by dotted name, steps kept if they help."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from training.ablation import Measures, Step, ablate, changed, judge, markdown, read_ablation
from training.config import Config
from training.errors import DataError

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def test_a_step_changes_a_copy() -> None:
    settings = {"name": "x", "train": {"batch": 4}}
    trial = changed(settings, {"train.batch": 8, "decoder.dropout": 0.1})
    assert trial == {"name": "x", "train": {"batch": 8}, "decoder": {"dropout": 0.1}}
    assert settings == {"name": "x", "train": {"batch": 4}}


def test_every_step_of_the_bundled_ablation_is_a_configuration() -> None:
    settings, steps = read_ablation(CONFIGS / "ablation.toml")
    for step in steps:
        Config.model_validate(changed(settings, step.set))


def test_a_file_without_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text('name = "x"\n')
    with pytest.raises(DataError, match="steps"):
        read_ablation(tmp_path / "none.toml")


def test_a_finished_step_of_other_settings_is_not_taken(tmp_path: Path) -> None:
    place = tmp_path / "00"
    place.mkdir()
    measures = Measures("base", {}, [2.0] * 6, [1.0, 0.7, 0.5], 0.9, 90.0)
    (place / "measures.json").write_text(json.dumps(asdict(measures)))
    (place / "config.json").write_text(Config(name="x").model_dump_json())
    steps = [Step(name="base")]
    (row,) = ablate({"name": "x"}, steps, [], tmp_path, tmp_path, print)
    assert row.measures == measures
    other = {"name": "x", "train": {"epochs": 3}}
    with pytest.raises(DataError, match="other settings"):
        ablate(other, steps, [], tmp_path, tmp_path, print)


def test_the_table_says_what_was_kept() -> None:
    def measured(name: str, gain: float, vivid: float) -> Measures:
        return Measures(name, {"train.batch": 1}, [gain] * 6, [vivid, 0.7, 0.5], 0.9, 90.0)

    base = measured("base", 2.0, 1.0)
    rows = [judge(base, None)]
    rows += [judge(measured("good", 2.1, 1.0), base), judge(measured("bad", 2.1, 0.8), base)]
    assert [row.kept for row in rows] == [True, True, False]
    table = markdown(rows, Config(name="x"), photos=7)
    assert "7 validation photos" in table
    good, bad = table.strip().splitlines()[-2:]
    assert "+0.100 [+0.100, +0.100]" in good
    assert good.endswith("| yes |")
    assert bad.endswith("| no |")
