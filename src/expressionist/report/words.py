"""Words and values as sentences, headings and cells hold them."""

import math
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
import pandas as pd

from expressionist.evaluation import name_model

# Numbers that name something are no quantities: no thousands separator, and they are not rounded.
_NAMING = frozenset({"gene", "entrez", "pixel", "row", "column", "number", "start", "seed"})
_METRICS = {"f1_macro": "macro-F1", "log_loss": "log-loss", "ece": "calibration error"}
# Said of bootstrap intervals, which have no width there.
EXACT = " (the exact bound where all are right)"


def name(code: str) -> str:
    """Write a name of code, such as a model's or a metric's, as a reader says it.

    >>> name("linear_svm"), name("f1_macro"), name("ece")
    ('linear SVM', 'macro-F1', 'calibration error')
    """
    return _METRICS.get(code) or name_model(code)


def join(names: Iterable[str]) -> str:
    """Join names into a list of a sentence.

    >>> join(["COAD", "READ", "STAD"])
    'COAD, READ and STAD'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def count(n: int, thing: str) -> str:
    """Write a number with its noun.

    >>> count(1, "sample"), count(1200, "sample")
    ('1 sample', '1,200 samples')
    """
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def spell(column: str) -> str:
    """Turn the name of a column or key into a heading.

    >>> spell("n_samples_per_platform")
    'Samples per platform'
    """
    words = column.removeprefix("n_").replace("_", " ")
    return words[:1].upper() + words[1:]


def is_missing(value: object) -> bool:
    """Tell whether a cell holds nothing."""
    nothing = value is None or value is pd.NaT or value is pd.NA
    return nothing or (isinstance(value, Real) and math.isnan(value))


def format_value(value: object, column: str = "", spec: str | None = None) -> str:
    """Write a value the way its column asks for, or a number by a format spec; a dash if it is missing.

    >>> format_value(20531), format_value(100130426, "gene"), format_value(0.00001, "p_value")
    ('20,531', '100130426', '< 0.001')
    >>> format_value(-0.0004, spec=".1%")  # no minus before a zero
    '0.0%'
    """
    if is_missing(value):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        return str(value)
    if spec is not None:
        return format(value, spec if spec.startswith("+") else f"z{spec}").replace("-", "\u2212")
    if column in _NAMING:
        return f"{float(value):.0f}" if float(value).is_integer() else str(value)
    if isinstance(value, Integral) or (column.startswith("n_") and float(value).is_integer()):
        return f"{float(value):,.0f}"
    return _format_real(float(value), column).replace("-", "\u2212")


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
