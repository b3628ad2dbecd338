"""A user's own matrix: one file of expression, with labels in it or in a second table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from expressionist.cohort import UNITS, Cohort
from expressionist.errors import CohortError, name_some
from expressionist.sources._files import find_file, suffix_of
from expressionist.sources._genes import attach_positions, check_ids, read_positions
from expressionist.sources._matrices import Matrix, read_label_table, read_matrix
from expressionist.sources._quality import count_dropped, describe_cohort, drop_small_types
from expressionist.sources._tables import NO_TEXT, need_columns
from expressionist.sources._values import check_values

NEEDS_FILES = ("expression", "labels", "positions")


@dataclass(frozen=True)
class Options:
    """Files and columns of a user's cohort.

    Parameters
    ----------
    expression : str
        File: .csv, .tsv (also packed with gzip or zstd), .parquet or .h5ad.
    genes_in : str
        ``columns`` or ``rows``: where the genes stand.
    labels : str, optional
        File: a second table with the labels. Without it they stand in the expression table, or in
        the ``obs`` of an .h5ad.
    sample_column, label_column : str
        Columns of sample ids and tumour types.
    patient_column : str, optional
        Column of patients. Without it every sample is a patient of its own.
    positions : str, optional
        File: a table with ``entrez`` or ``symbol``, ``chromosome`` and ``start``.
    unit : str
        Unit of the expression, one of `expressionist.cohort.UNITS`.
    smallest_type : int
        Least number of patients of a tumour type.
    """

    expression: str
    genes_in: str = field(metadata={"words": ("columns", "rows")})
    labels: str | None
    sample_column: str
    label_column: str
    patient_column: str | None
    positions: str | None
    unit: str = field(metadata={"words": UNITS})
    smallest_type: int = field(metadata={"range": (1, float("inf"))})


def read(options: Options, raw: Path) -> tuple[Cohort, dict[str, Any]]:
    """Read a user's cohort from fetched files.

    Parameters
    ----------
    options : Options
        Files and columns.
    raw : pathlib.Path
        Folder with ``expression`` and, where options name them, ``labels`` and ``positions``.

    Returns
    -------
    cohort : Cohort
        Samples and genes in the order of the file, with every further column of the labels; named
        like the file.
    quality : dict
        How many samples were dropped, and why.

    Raises
    ------
    CohortError
        If a file is malformed, a value is missing or negative, a sample has no label, or one type is left.
    """
    path = find_file(raw, "expression")
    matrix = _read_expression(options, path)
    rules: list[dict[str, Any]] = []
    if options.labels is None:
        samples = _label(options, matrix.columns, path)
    else:
        samples, rules = _label_from_table(options, matrix, path, find_file(raw, "labels"))
    read_types = list(samples["tumour_type"])
    check_values(
        matrix.expression, list(samples.index), list(matrix.genes.index), path, missing=False, negative=False
    )
    kept, small_rule = drop_small_types(samples, options.smallest_type)
    rows = samples.index.isin(kept.index)
    genes = matrix.genes
    if options.positions is not None:
        genes = attach_positions(genes, read_positions(find_file(raw, "positions")))
    cohort = Cohort(
        name=Path(options.expression).name.split(".")[0],
        expression=matrix.expression if rows.all() else matrix.expression[rows],
        samples=kept,
        genes=genes,
        unit=options.unit,
    )
    quality = describe_cohort(
        cohort,
        read_types=read_types,
        n_genes_read=len(genes),
        samples=[*rules, small_rule],
        genes=[],
        values=[],
    )
    return cohort, quality


def _read_expression(options: Options, path: Path) -> Matrix:
    if options.labels is None and options.genes_in == "rows" and suffix_of(path) != ".h5ad":
        raise CohortError(
            f"With genes in rows the labels must stand in a second table, but got only {path}. "
            "Name the table in cohort.table.labels."
        )
    columns = [options.label_column]
    if options.patient_column is not None:
        columns.append(options.patient_column)
    return read_matrix(
        path,
        genes_in=options.genes_in,
        sample_column=options.sample_column,
        text_columns=columns if options.labels is None else [],
    )


def _label_from_table(
    options: Options, matrix: Matrix, path: Path, labels_path: Path
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    table = read_label_table(labels_path)
    need_columns(
        labels_path,
        table.columns.tolist(),
        [options.sample_column],
        "Name it so, or state another sample_column.",
    )
    table = table.set_index(options.sample_column).rename_axis(index="sample_id")
    check_ids(table.index, "sample", labels_path)
    samples = matrix.columns.index
    lost = samples[~samples.isin(table.index)]
    if len(lost):
        raise CohortError(
            f"Every sample of {path} must have a label in {labels_path}, but got none for "
            f"{len(lost)} of {len(samples)}: {name_some(lost)}. Add them, or remove these samples."
        )
    unheard = table.index[~table.index.isin(samples)]
    rules = [count_dropped("label without expression", list(unheard))]
    return _label(options, table.loc[samples], labels_path), rules


def _label(options: Options, columns: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Turn columns of text into a sample table: tumour type and patient first, then all the others."""
    needed = [options.label_column]
    if options.patient_column is not None:
        needed.append(options.patient_column)
    need_columns(path, columns.columns.tolist(), needed, "Name them so, or state others in params.yaml.")
    for name in needed:
        empty = columns.index[columns[name].isin(NO_TEXT)]
        if len(empty):
            raise CohortError(
                f"Every sample in {path} must have a value in {name!r}, but got none for "
                f"{len(empty)} of {len(columns)}: {name_some(empty)}. Fill it in, or remove these samples."
            )
    types = columns[options.label_column]
    patients = columns.index if options.patient_column is None else columns[options.patient_column]
    others = columns.drop(columns=[*needed, "patient", "tumour_type"], errors="ignore")
    front = pd.DataFrame(
        {"patient": list(patients), "tumour_type": list(types)}, index=columns.index, dtype=object
    )
    return pd.concat([front, others], axis=1)
