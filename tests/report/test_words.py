"""Values are written as a reader says them."""

import numpy as np
import pandas as pd
import pytest

from expressionist.report.words import format_value


@pytest.mark.parametrize(
    ("value", "column", "spec", "text"),
    [
        (None, "", None, "–"),
        (np.float64("nan"), "", None, "–"),
        (pd.NA, "", None, "–"),
        (np.True_, "marker", None, "yes"),
        (False, "marker", None, "no"),
        (np.int64(20531), "n_genes", None, "20,531"),
        (3.0, "n_samples", None, "3"),
        (100130426.0, "gene", None, "100130426"),
        (-1.5, "attribution", None, "\u22121.500"),
        (0.25, "share_positive", None, "25%"),
        (0.0004, "p_value", None, "< 0.001"),
        (0.04, "p_value", None, "0.040"),
        (0.00012, "loss", None, "0.00012"),
        (0.0, "loss", None, "0.000"),
        (123456.7, "seconds", None, "123,457"),
        (0.123, "value", ".1%", "12.3%"),
        (3.0, "depth", None, "3"),
        ("NA", "symbol", None, "NA"),
    ],
)
def test_values_are_written_as_their_column_asks(
    value: object, column: str, spec: str | None, text: str
) -> None:
    assert format_value(value, column, spec) == text
