"""The ablation: settings by dotted name, steps kept if they help."""

from pathlib import Path

import pytest

from training.ablation import Row, changed, markdown, read_ablation
from training.config import Config
from training.data import DataError

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def test_a_step_changes_a_copy() -> None:
    settings = {"name": "x", "fit": {"batch": 4}}
    trial = changed(settings, {"fit.batch": 8, "decoder.dropout": 0.1})
    assert trial == {"name": "x", "fit": {"batch": 8}, "decoder": {"dropout": 0.1}}
    assert settings == {"name": "x", "fit": {"batch": 4}}


def test_every_step_of_the_bundled_ablation_is_a_configuration() -> None:
    settings, steps = read_ablation(CONFIGS / "ablation.toml")
    for step in steps:
        Config.model_validate(changed(settings, step.set))


def test_a_file_without_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text('name = "x"\n')
    with pytest.raises(DataError, match="steps"):
        read_ablation(tmp_path / "none.toml")


def test_the_table_says_what_was_kept() -> None:
    def row(name: str, difference: float, kept: bool) -> Row:
        return Row(name, {"fit.copies": 1}, 2.0 + difference, difference, difference - 0.05,
                   difference + 0.05, 1.0, 0.5, 0.9, 90.0, kept, [2.0])  # fmt: skip

    table = markdown(
        [row("base", 0.0, True), row("good", 0.1, True), row("bad", -0.1, False)],
        Config(name="x"), photos=7,
    )  # fmt: skip
    assert "7 validation photos" in table
    good, bad = table.strip().splitlines()[-2:]
    assert "+0.100 [+0.050, +0.150]" in good
    assert good.endswith("| yes |")
    assert bad.endswith("| no |")
