"""Tables as the page holds them: every value a text, with what it is sorted by."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from expressionist.report.content import Table

_HEADINGS = {
    "accuracy": "Accuracy",
    "attribution": "Mean attribution",
    "balanced_accuracy": "Balanced accuracy",
    "ece": "Calibration error",
    "f1": "F1",
    "f1_macro": "Macro-F1",
    "gene": "Gene id",
    "log2_fold_change": "log₂ fold change",
    "log_loss": "Log-loss",
    "n_genes": "Genes",
    "n_samples": "Samples",
    "n_unfrozen_layers": "Layers unfrozen",
    "n_unfrozen_parameters": "Parameters unfrozen",
    "n_parameters": "Parameters",
    "n_top": "Top genes",
    "only_opponent_right": "Only best opponent right",
    "only_right": "Only this model right",
    "p_value": "McNemar p",
    "precision_macro": "Macro-precision",
    "expected": "By chance",
    "n_expected": "By chance",
    "number": "Trial",
    "share_positive": "Samples positive",
    "tumour_type": "Tumour type",
    "type": "Tumour type",
    "zero_baseline": "From zero expression",
    "validation_f1_macro": "Macro-F1 (validation)",
}
# Numbers that name something are no quantities: no thousands separator, and they are not rounded.
_NAMING = frozenset({"gene", "entrez", "pixel", "row", "column", "number", "start", "seed"})


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it is sorted by, and a quieter addition such as an interval."""

    text: str
    key: str = ""
    aside: str = ""


@dataclass(frozen=True)
class LaidOutTable:
    """A table as the page shows it.

    Parameters
    ----------
    headings : list of tuple of str and bool
        Heading, and whether the column holds numbers.
    rows : list of tuple of bool and list of Cell
        Whether the row is the best one, and its cells.
    """

    headings: list[tuple[str, bool]]
    rows: list[tuple[bool, list[Cell]]]


def lay_out_table(table: Table) -> LaidOutTable:
    """Turn a table's values into texts.

    Parameters
    ----------
    table : Table
        What to show.

    Returns
    -------
    LaidOutTable
        Headings and cells; missing values show as a dash; intervals and standard deviations stand in the
        cell of their value.

    Examples
    --------
    >>> scores = pd.DataFrame({"accuracy": [0.95], "accuracy_low": [0.93], "accuracy_high": [0.97]})
    >>> lay_out_table(Table(scores)).rows
    [(False, [Cell(text='0.950', key='0.95', aside='0.930–0.970')])]
    """
    frame = table.rows
    columns = [str(column) for column in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    bounded = {column for column in columns if {f"{column}_low", f"{column}_high"} <= set(columns)}
    bounded |= {column for column in columns if f"{column}_sd" in columns}
    shown = [column for column in columns if _strip_bound(column) not in bounded]
    headings = [
        (table.headings.get(column, _HEADINGS.get(column, spell(column))), _is_quantity(frame[column]))
        for column in shown
    ]
    rows = []
    for label, record in zip(frame.index, frame.to_dict("records"), strict=True):
        cells = [
            _lay_out_cell(column, record, table.formats.get(column), bounded=column in bounded)
            for column in shown
        ]
        rows.append((table.best is not None and label == table.best, cells))
    return LaidOutTable(headings, rows)


def _strip_bound(column: str) -> str:
    for bound in ("_low", "_high", "_sd"):
        if column.endswith(bound):
            return column.removesuffix(bound)
    return ""


def spell(column: str) -> str:
    """Turn the name of a column or key into a heading.

    Examples
    --------
    >>> spell("n_samples_per_platform")
    'Samples per platform'
    """
    words = column.removeprefix("n_").replace("_", " ")
    return words[:1].upper() + words[1:]


def _is_quantity(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _lay_out_cell(column: str, record: Mapping[Hashable, Any], spec: str | None, *, bounded: bool) -> Cell:
    value = record[column]
    text = format_value(value, column, spec)
    key = repr(float(value)) if isinstance(value, Real) and not math.isnan(value) else ""
    if not bounded or _is_missing(value):
        return Cell(text, key)
    if f"{column}_sd" in record:
        # A sign in front is for the value.
        return Cell(text, key, f"± {format_value(record[f'{column}_sd'], column, spec and spec.lstrip('+'))}")
    low, high = (format_value(record[f"{column}_{side}"], column, spec) for side in ("low", "high"))
    return Cell(text, key, f"{low}–{high}")


def format_value(value: object, column: str = "", spec: str | None = None) -> str:
    """Write a value the way its column asks for.

    Parameters
    ----------
    value : object
        Anything; None and NaN are missing.
    column : str
        Its column. Names of genes and places are not formatted as quantities; shares are percentages;
        small p-values are bounded.
    spec : str, optional
        Format spec that overrides the rest, for numbers.

    Returns
    -------
    str
        The text, not yet escaped.

    Examples
    --------
    >>> format_value(20531), format_value(100130426, "gene"), format_value(0.00001, "p_value")
    ('20,531', '100130426', '< 0.001')
    """
    if _is_missing(value):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        return str(value)
    if spec is not None:
        return format(value, spec).replace("-", "\u2212")
    if column in _NAMING:
        return f"{float(value):.0f}" if float(value).is_integer() else str(value)
    if isinstance(value, Integral) or (column.startswith("n_") and float(value).is_integer()):
        return f"{float(value):,.0f}"
    return _format_real(float(value), column).replace("-", "\u2212")


def _is_missing(value: object) -> bool:
    return (
        value is None or value is pd.NaT or value is pd.NA or (isinstance(value, Real) and math.isnan(value))
    )


def _format_real(value: float, column: str) -> str:
    if column.startswith("share"):
        return f"{value:.0%}"
    if "p_value" in column:
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    if value.is_integer() and column in ("depth", "epoch", "steps"):
        return f"{value:.0f}"
    if value and not 0.001 <= abs(value) < 1000:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2g}"
    return f"{value:.3f}"


def rank_confusions(counts: np.ndarray, tumour_types: Sequence[str], *, n_shown: int = 15) -> pd.DataFrame:
    """List which types are most often taken for which.

    Parameters
    ----------
    counts : numpy.ndarray of shape (n_types, n_types)
        Samples by true type (row) and predicted type (column).
    tumour_types : sequence of str of length n_types
        Names.
    n_shown : int
        At most so many.

    Returns
    -------
    pandas.DataFrame
        Columns ``type``, ``predicted``, ``n_samples``, ``share_of_type``; most frequent first.

    Examples
    --------
    >>> rank_confusions(np.array([[8, 2], [0, 5]]), ["COAD", "READ"]).to_dict("records")
    [{'type': 'COAD', 'predicted': 'READ', 'n_samples': 2, 'share_of_type': 0.2}]
    """
    totals = counts.sum(axis=1)
    wrong = [(row, column) for row, column in np.argwhere(counts > 0) if row != column]
    wrong.sort(key=lambda place: (-counts[place], place))
    records = [
        (
            tumour_types[row],
            tumour_types[column],
            int(counts[row, column]),
            float(counts[row, column] / totals[row]),
        )
        for row, column in wrong[:n_shown]
    ]
    return pd.DataFrame(records, columns=["type", "predicted", "n_samples", "share_of_type"])
