"""Checks of expression values that name the sample and the gene at fault."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from expressionist.errors import CohortError


def check_values(
    expression: np.ndarray,
    samples: Sequence[str],
    genes: Sequence[str],
    path: Path,
    *,
    missing: bool,
    negative: bool,
) -> None:
    """Refuse values that cannot be expression.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, in any linear unit or log2(x+1).
    samples, genes : sequence of str
        What the rows and columns are called in the file.
    path : pathlib.Path
        The file, for messages.
    missing, negative : bool
        Whether NaN and values below 0 are let through.

    Raises
    ------
    CohortError
        If a value is infinite, or missing or negative where that is not let through.
    """
    # min and max hand on NaN; where missing values are let through, infinity beside them must still be seen.
    lowest = np.fmin.reduce(expression, axis=0) if missing else expression.min(axis=0)
    highest = np.fmax.reduce(expression, axis=0) if missing else expression.max(axis=0)
    rules: list[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray], str, str]] = [
        (
            np.isinf(lowest) | np.isinf(highest),
            np.isinf,
            "finite",
            "Correct it, even if it is only too large for float32.",
        ),
    ]
    if not missing:
        rules.append((np.isnan(lowest), np.isnan, "a number", "Fill in or drop what is missing."))
    if not negative:
        rules.append((lowest < 0, _is_negative, "0 or more", "Clip it at 0 or correct it."))
    for genes_at_fault, is_fault, demand, mend in rules:
        if genes_at_fault.any():
            column = int(np.argmax(genes_at_fault))
            row = int(np.argmax(is_fault(expression[:, column])))
            raise CohortError(
                f"{path}: expression must be {demand}, but got {expression[row, column]:.6g} "
                f"for gene {genes[column]} in sample {samples[row]} "
                f"(genes with such values: {int(genes_at_fault.sum())}). {mend}"
            )


def _is_negative(values: np.ndarray) -> np.ndarray:
    return values < 0
