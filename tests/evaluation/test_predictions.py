"""Predictions on disk: the same out as in, of one side of the split."""

from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.evaluation.predictions import read_predictions, tabulate_predictions, write_predictions


def test_predictions_come_back_side_by_side(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"patient": ["p", "q", "r"], "split": ["test", "validation", "test"], "tumour_type": ["B", "A", "A"]},
        index=pd.Index(["1", "2", "3"], name="sample"),
    )
    probabilities = np.array([[0.25, 0.75], [1.0, 0.0], [0.4, 0.6]])
    write_predictions(tmp_path / "p.tsv", tabulate_predictions(rows, probabilities, ["A", "B"]))
    found, values, truth, types = read_predictions(tmp_path / "p.tsv", "test")
    assert found.index.tolist() == ["1", "3"]
    assert found["predicted"].tolist() == ["B", "B"]
    assert (truth.tolist(), types) == ([1, 0], ["A", "B"])
    np.testing.assert_array_equal(values, probabilities[[0, 2]])
