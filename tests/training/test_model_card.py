"""What a model card says of whose photos and under which licence."""

import pytest

from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.model_card import model_card

RESEARCH = "Research data is among them"


@pytest.mark.parametrize(
    ("photos", "research"),
    [({"train/train": 9, "val/val": 2}, False), ({"train/dataset:mit-cvcl": 9}, True)],
    ids=["own", "registry"],
)
def test_only_data_sets_are_research_data(photos: dict[str, int], research: bool) -> None:
    bundled = ModelStore(BUNDLED_ROOT).resolve("latest").description
    told = bundled.model_copy(update={"data": {"photos": photos}, "licence": "MIT"})
    card = model_card(told, 1, 313)
    assert ("esearch data" in card, RESEARCH in card) == (research, research)
    assert "part of the model." in card
    assert "\nMIT. Encoder" in card
