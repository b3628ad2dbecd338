"""Samples to predict: any file of expression, read for the genes of a model and brought into its unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.data.readers.file_content import DELIMITERS, refuse_changed, suffix_of
from expressionist.data.readers.matrices import REPLICATES, Sides, read_matrix
from expressionist.data.readers.star_counts import SUFFIX, UNIT_OF, read_star_counts
from expressionist.data.readers.text_form import find_form
from expressionist.data.readers.units import check_values, refuse_negative, refuse_other_unit
from expressionist.data.units import convert, parse_unit
from expressionist.errors import CohortError, name_some

# The column of a file of STAR counts from which a unit is made.
_COLUMN_FOR = {unit: column for column, unit in UNIT_OF.items()} | dict.fromkeys(
    ("RPM", "RSEM"), "unstranded"
)


@dataclass(frozen=True)
class Profiles:
    """What was read to predict on.

    Parameters
    ----------
    table : pandas.DataFrame of shape (n_samples, n_genes_read)
        float32 in the unit that was wanted, NaN where a value is missing; indexed by sample id, with the
        names of genes as the file has them.
    said : str
        What was decided about the file, in one line.
    """

    table: pd.DataFrame
    said: str


def read_profiles(
    path: Path,
    knows: Callable[[Sequence[str]], np.ndarray],
    wanted: str,
    *,
    unit: str | None = None,
    genes_in: str = "auto",
    replicates: str = "first",
) -> Profiles:
    """Read samples to predict from any file that a cohort can be read from, or from GDC's STAR counts.

    Parameters
    ----------
    path : pathlib.Path
        A table either way round, plain or packed, .gct, .parquet, .feather, .xlsx, .h5ad, .h5 of 10x
        Genomics, a file of STAR counts, or a folder of such.
    knows : callable
        Marks which of some names are genes of the model. They tell the side that has the genes.
    wanted : str
        Unit that the model takes.
    unit : str, optional
        Unit of the file; without it what the file says of itself, else the one that is wanted.
    genes_in : str, optional
        ``auto``, ``columns`` or ``rows``.
    replicates : str, optional
        What becomes of samples that stand more than once: ``first``, ``mean`` or ``refuse``.

    Raises
    ------
    CohortError
        If the file cannot be read, or has no genes that are known, or its values contradict its unit, or
        cannot be converted into the unit wanted.
    """
    for option, choice, choices in (
        ("genes_in", genes_in, ("auto", "columns", "rows")),
        ("replicates", replicates, REPLICATES),
    ):
        if choice not in choices:
            raise CohortError(
                f"{option} must be one of {', '.join(choices)}, but got {choice!r}. Choose one."
            )
    if star := _find_star(path):
        table, unit, said = _read_star(star, wanted, unit)
    else:
        table, said = _read_table(path, knows, genes_in, replicates)
    unit, why = (unit, "") if unit else _find_unit(path, wanted)
    expression = _settle(table, unit, wanted, path)
    n_samples, n_genes = expression.shape
    made = "" if parse_unit(unit) == parse_unit(wanted) else f" converted to {wanted}"
    said = f"{path.name}: {n_samples:,} samples × {n_genes:,} genes, {said}; in {unit}{why}{made}."
    return Profiles(pd.DataFrame(expression, table.index, table.columns), said)


def _find_star(path: Path) -> list[Path]:
    """Find the files of STAR counts in a folder, or whether a file is one; none if it is another table."""
    if path.is_dir():
        found = sorted({*path.rglob(f"*{SUFFIX}"), *path.rglob(f"*{SUFFIX}.gz")})
        if not found:
            raise CohortError(
                f"A folder to predict on must hold files *{SUFFIX}, but {path} has none. Name a file."
            )
        return found
    is_text = path.is_file() and suffix_of(path) in DELIMITERS
    return [path] if is_text and {*UNIT_OF} <= {*find_form(path).header} else []


def _read_table(
    path: Path, knows: Callable[[Sequence[str]], np.ndarray], genes_in: str, replicates: str
) -> tuple[pd.DataFrame, str]:
    with refuse_changed(path):
        matrix = read_matrix(path, Sides(genes_in, "other", "sample", (), None, replicates, knows=knows))
    said = [f"genes in {matrix.genes_in} ({matrix.reason})", *([matrix.form] if matrix.form else [])]
    if matrix.repeats["n"]:
        said.append(f"{matrix.repeats['rule']}: {matrix.repeats['n']:,}")
    table = pd.DataFrame(matrix.expression, matrix.columns.index, matrix.ids.genes.index, copy=False)
    return table, ", ".join(said)


def _read_star(paths: Sequence[Path], wanted: str, unit: str | None) -> tuple[pd.DataFrame, str, str]:
    of = parse_unit(unit or wanted).of
    if of not in _COLUMN_FOR:
        raise CohortError(
            f"Of STAR counts the unit must be stated where the model takes {wanted}, but got {unit}. State "
            f"one of {', '.join(UNIT_OF.values())}."
        )
    column = _COLUMN_FOR[of]
    samples, genes, values = read_star_counts(paths, column)
    return pd.DataFrame(values, samples, genes.index, copy=False), UNIT_OF[column], f"column {column}"


def _find_unit(path: Path, wanted: str) -> tuple[str, str]:
    if suffix_of(path) == ".h5ad":
        from expressionist.data.readers.hdf5 import list_parts

        parts = list_parts(path)
        if own := parts.unit or (parts.logarithm and f"{parts.logarithm}(x+1)"):
            return own, ", as the file says"
    return wanted, ", as the model takes it"


def _settle(table: pd.DataFrame, unit: str, wanted: str, path: Path) -> np.ndarray:
    """Check the values of a file against its unit, and convert them; what is missing stays so."""
    expression, samples, genes = table.to_numpy(), list(table.index), list(table.columns)
    stated = parse_unit(unit)
    check_values(expression, samples, genes, path, missing=True, negative=True)
    refuse_negative(expression, stated, path)
    missing = np.isnan(expression)
    if missing.any():
        expression = np.where(missing, np.nanmin(expression), expression)
    if not stated.may_be_negative and expression.min() < 0:
        # What batch correction leaves, as in training.
        expression = np.maximum(expression, 0)
    silent = [] if stated.may_be_negative else np.flatnonzero(~expression.any(axis=1)).tolist()
    if silent:
        raise CohortError(
            f"{path}: every sample must have some expression, but got 0 for all genes in "
            f"{name_some(samples[row] for row in silent)}. Leave these samples out."
        )
    refuse_other_unit(expression, unit, samples, genes, str(path))
    converted = convert(expression, unit, wanted)
    if missing.any():
        converted = np.where(missing, np.float32("nan"), converted)
    return converted
