"""Tables as the page holds them: every value a text, with what it is sorted by."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd

from expressionist.report.content import Table
from expressionist.report.words import format_value, is_missing, spell

_HEADINGS = {
    "attribution": "Mean attribution",
    "ece": "Calibration error",
    "f1_macro": "Macro-F1",
    "gene": "Gene id",
    "log2_fold_change": "log₂ fold change",
    "log_loss": "Log-loss",
    "n_unfrozen_layers": "Layers unfrozen",
    "n_unfrozen_parameters": "Parameters unfrozen",
    "only_baseline_right": "Only best baseline model right",
    "only_right": "Only this model right",
    "p_value": "McNemar p",
    "precision_macro": "Macro-precision",
    "number": "Trial",
    "share_positive": "Samples positive",
    "symbol": "Gene",
    "type": "Tumour type",
    "validation_accuracy": "Accuracy (validation)",
    "validation_f1_macro": "Macro-F1 (validation)",
    "validation_log_loss": "Log-loss (validation)",
}


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it is sorted by, a quieter addition such as an interval, and a link."""

    text: str
    key: str = ""
    aside: str = ""
    link: str = ""


def lay_out_table(
    table: Table, links: Mapping[str, str] | None = None
) -> tuple[list[tuple[str, bool]], list[tuple[bool, list[Cell]]]]:
    """Turn a table's values into texts; intervals and deviations stand beside their value.

    Returned are headings, with whether their column holds numbers, and rows, with whether each is the best.
    `links` are pages on genes by gene id: a row with such a `gene` links there from its symbol, or its id.
    """
    columns = [str(column) for column in table.rows]
    frame = table.rows.set_axis(columns, axis=1)
    bounded = {column for column in columns if {f"{column}_low", f"{column}_high"} <= set(columns)}
    bounded |= {column for column in columns if f"{column}_sd" in columns}
    bounds = {f"{column}_{end}" for column in bounded for end in ("low", "high", "sd")}
    # Ids that are symbols would stand twice.
    if {"symbol", "gene"} <= set(columns) and (
        frame["gene"].astype(str) == frame["symbol"].astype(str)
    ).all():
        bounds.add("gene")
    shown = [column for column in columns if column not in bounds]
    headings = [
        (table.headings.get(column, _HEADINGS.get(column, spell(column))), _is_quantity(frame[column]))
        for column in shown
    ]
    linked = "symbol" if "symbol" in shown else "gene"
    pages = {column: (links or {}) if column == linked else {} for column in shown}
    rows = [
        (
            table.best is not None and label == table.best,
            [_lay_out_cell(column, record, table.formats.get(column), pages[column]) for column in shown],
        )
        for label, record in zip(frame.index, frame.to_dict("records"), strict=True)
    ]
    return headings, rows


def _is_quantity(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _lay_out_cell(
    column: str, record: Mapping[Hashable, Any], spec: str | None, pages: Mapping[str, str]
) -> Cell:
    value = record[column]
    if is_missing(value):
        return Cell("–")
    text = format_value(value, column, spec)
    key = repr(float(value)) if isinstance(value, Real) else ""
    aside = ""
    if f"{column}_sd" in record:
        # A sign in front is for the value.
        aside = f"± {format_value(record[f'{column}_sd'], column, spec and spec.lstrip('+'))}"
    elif f"{column}_low" in record and f"{column}_high" in record:
        aside = "–".join(format_value(record[f"{column}_{side}"], column, spec) for side in ("low", "high"))
    return Cell(text, key, aside, pages.get(str(record.get("gene")), ""))
