"""Tables are laid out with intervals and deviations beside their value."""

import numpy as np
import pandas as pd

from expressionist.report.content import Table
from expressionist.report.tables import Cell, lay_out_table


def test_standard_deviations_stand_with_their_value() -> None:
    scores = pd.DataFrame({"accuracy_lead": [-0.25], "accuracy_lead_sd": [0.125]})
    headings, rows = lay_out_table(Table(scores, formats={"accuracy_lead": "+.2f"}))
    assert headings == [("Accuracy lead", True)]
    assert [(cell.text, cell.aside) for cell in rows[0][1]] == [("\u22120.25", "± 0.12")]


def test_a_gene_links_from_its_symbol_or_else_its_id() -> None:
    genes = pd.DataFrame({"symbol": ["TYR", "SYN1"], "gene": [7299, 1]})
    links = {"7299": "https://here"}
    for columns, place in ((["symbol", "gene"], 0), (["gene"], 0)):
        _, rows = lay_out_table(Table(genes[columns]), links)
        assert [[cell.link for cell in cells] for _, cells in rows] == [
            ["https://here" if column == place else "" for column in range(len(columns))],
            [""] * len(columns),
        ]


def test_intervals_stand_with_their_value_and_missing_values_as_a_dash() -> None:
    columns = ["model", "f1_macro", "f1_macro_low", "f1_macro_high", "too_low"]
    scores = pd.DataFrame([("a", 0.5, 0.4, 0.6, 1), ("b", np.nan, np.nan, np.nan, 2)], columns=columns)
    headings, rows = lay_out_table(Table(scores))
    assert headings == [("Model", False), ("Macro-F1", True), ("Too low", True)]
    assert [cells[1] for _, cells in rows] == [Cell("0.500", "0.5", "0.400–0.600"), Cell("–", "", "")]
