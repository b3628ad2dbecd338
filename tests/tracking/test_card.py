"""The model card: facts, marks, the licence of every backbone's weights, and names that are no Markdown."""

import pandas as pd
import pytest

from expressionist.network.backbones import BACKBONES
from expressionist.tracking.card import write_card
from expressionist.tracking.serving import Served

METRICS = {
    "test": {"accuracy": 0.9, "f1_macro": 0.8},
    "test_interval": {"accuracy": [0.85, 0.95], "f1_macro": [0.7, 0.9]},
    "n_test": 1234,
}
BY_TYPE = pd.DataFrame(
    {"type": ["ACC", "<b>|x"], "n_samples": [20, 3], "precision": 0.5, "recall": 0.25, "f1": [0.1, None]}
)


def write(*, synthetic: bool = False, weights: str = "imagenet", backbone: str = "vgg19") -> str:
    genes = pd.DataFrame({"symbol": ["A"] * 2000, "fill": 0.0})
    about = {"backbone": backbone, "depth": 3, "verdict": "vgg19 is worse <img src=x>."}
    types = ("ACC", "<b>|x")
    return write_card(
        Served(genes, types, "TPM", 0.05, synthetic, weights, "own\n# cohort", about, 0.6), METRICS, BY_TYPE
    )


def test_it_tells_the_facts() -> None:
    card = write()
    for fact in (
        "# vgg19, fine-tuned at depth 3",
        "Research use only",
        "which of 2 tumour types",
        "in TPM with at least 95% of its 2,000 genes",
        "less than 60.0% probability",
        "1,234 test samples",
        "| accuracy | 0.900 | 0.850 to 0.950 |",
        "| ACC | 20 | 0.50 | 0.25 | 0.10 |",
        "Fewer than 10 test samples are of &lt;b&gt;\\|x:",
        "for vgg19: Creative Commons Attribution 4.0",
    ):
        assert fact in card
    assert "SYNTHETIC" not in card
    assert "RANDOM" not in card
    # What a file holds is no Markdown and no HTML of the card.
    assert "<" not in card
    assert card.count("\n# ") == 0


@pytest.mark.parametrize(
    ("mark", "given"), [("SYNTHETIC", {"synthetic": True}), ("RANDOM", {"weights": "RANDOM"})]
)
def test_marks_stand_at_its_top(mark: str, given: dict) -> None:
    above, _, below = write(**given).partition("## Intended use")
    assert mark in above
    assert ("None: the backbone started from random weights." in below) is (mark == "RANDOM")


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_licence_of_all_weights_is_known(backbone: str) -> None:
    assert "not known" not in write(backbone=backbone)
