"""A user's own matrix: one file of expression, with labels in it or in a second table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from expressionist.data.cohort import UNITS, Cohort
from expressionist.data.quality import count_dropped, describe_cohort, drop_small_types
from expressionist.data.readers.files import find_file, refuse_changed
from expressionist.data.readers.formats import read_label_table
from expressionist.data.readers.ids import KINDS
from expressionist.data.readers.matrices import Matrix, Sides, index_samples, read_matrix
from expressionist.data.readers.orientation import GENES_IN
from expressionist.data.readers.positions import attach_positions, read_positions
from expressionist.data.readers.raw_files import RawFile, list_given
from expressionist.data.readers.tables import NO_TEXT, need_columns
from expressionist.data.readers.units import FACTS, check_unit
from expressionist.data.readers.values import check_values
from expressionist.errors import CohortError, name_some
from expressionist.params import OneOf, key


@dataclass(frozen=True)
class Options:
    """Files and columns of a user's cohort.

    Parameters
    ----------
    expression : str
        File: .csv, .tsv (also packed with gzip or zstd), .parquet, .feather, .xlsx, .h5ad, or .h5 as 10x
        Genomics writes it.
    genes_in : str
        ``columns`` or ``rows``: where the genes stand. ``auto``: on the side whose ids have no labels.
    ids : str
        Kind of gene ids: ``symbol``, ``entrez`` (also ``SYMBOL|ENTREZ``), ``ensembl`` (versions are cut off),
        ``mirna``, ``other`` (any name, unchecked), or ``auto``: whatever nearly all of them are.
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
        Unit of the expression, one of `expressionist.data.cohort.UNITS`.
    smallest_type : int
        Least number of patients of a tumour type.
    """

    expression: str = field(
        metadata=key(
            "File in the folder, or URL: csv, tsv (plain, gzip, zstd), parquet, feather, xlsx (first sheet), "
            "h5ad, or h5 as 10x Genomics writes it.",
            min_length=1,
        )
    )
    genes_in: Annotated[str, OneOf(lambda: GENES_IN)] = field(
        metadata=key(
            "Where the genes stand. `auto`: on the side whose ids have no labels. A stated side that the "
            "labels contradict is refused; what was decided, and why, stands in `quality.json` under "
            "`read`."
        )
    )
    ids: Annotated[str, OneOf(lambda: KINDS)] = field(
        metadata=key(
            "What the gene ids are: `symbol`, `entrez` (also `SYMBOL|ENTREZ`), `ensembl` (versions are cut "
            "off and kept in `id_with_version`), `mirna`. `auto`: whatever at least 99 in 100 of them are. "
            "`other`: any names, unchecked, mixed or like dates too."
        )
    )
    labels: str | None = field(
        metadata=key(
            "A second table, csv, tsv, parquet, feather or xlsx. Null: the labels stand in the matrix or "
            "its obs."
        )
    )
    sample_column: str = field(
        metadata=key("Column of sample ids; an index without a name counts as it.", min_length=1)
    )
    label_column: str = field(metadata=key("Column of tumour types.", min_length=1))
    patient_column: str | None = field(
        metadata=key("Column of patients. Null: every sample is a patient of its own.")
    )
    positions: str | None = field(
        metadata=key("File or URL of where the genes lie, of any kind named above.")
    )
    unit: Annotated[str, OneOf(lambda: UNITS)] = field(
        metadata=key(
            "As in `tcga`; values that contradict it are refused (`sources/_units.py` says where the limits "
            "are, and why)."
        )
    )
    smallest_type: int = field(metadata=key("Tumour types with fewer patients are dropped.", ge=1))


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name."""
    return list_given(options, "expression", "labels", "positions")


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
    files = {file.option: find_file(raw, file.option) for file in list_files(options)}
    with refuse_changed(*files.values()):
        return read_files(options, files)


def read_files(options: Options, files: dict[str, Path]) -> tuple[Cohort, dict[str, Any]]:
    """Read a user's cohort from files wherever they lie.

    Parameters
    ----------
    options : Options
        Columns and rules.
    files : dict of str to pathlib.Path
        ``expression`` and, where there are such files, ``labels`` and ``positions``.

    Returns
    -------
    cohort : Cohort
        As `read` gives it.
    quality : dict
        As `read` gives it.

    Raises
    ------
    CohortError
        As in `read`.
    """
    path = files["expression"]
    table = None if options.labels is None else _read_labels(options, files["labels"])
    matrix = read_matrix(path, _state_sides(options, table))
    rules: list[dict[str, Any]] = []
    if table is None:
        samples = _label(options, matrix.columns, path)
    else:
        samples, rules = _label_from_table(options, matrix, path, table, files["labels"])
    read_types = list(samples["tumour_type"])
    value_rules = _check_expression(options, matrix, path)
    kept, small_rule = drop_small_types(samples, options.smallest_type)
    rows = samples.index.isin(kept.index)
    genes = matrix.ids.genes
    located = None if options.positions is None else read_positions(files["positions"])
    cohort = Cohort(
        name=Path(options.expression).name.split(".")[0],
        expression=matrix.expression if rows.all() else matrix.expression[rows],
        samples=kept,
        genes=genes if located is None else attach_positions(genes, located),
        unit=options.unit,
    )
    quality = describe_cohort(
        cohort,
        read_types=read_types,
        n_genes_read=len(genes),
        samples=[*rules, small_rule],
        genes=matrix.ids.rules,
        values=value_rules,
        positions=None if located is None else located.about,
    )
    return cohort, quality | {"read": _describe_reading(matrix)}


def _describe_reading(matrix: Matrix) -> dict[str, str]:
    return {
        "genes_in": matrix.orientation.genes_in,
        "because": matrix.orientation.reason,
        "ids": matrix.ids.kind,
    }


def _state_sides(options: Options, table: pd.DataFrame | None) -> Sides:
    columns = [options.label_column]
    if options.patient_column is not None:
        columns.append(options.patient_column)
    return Sides(
        genes_in=options.genes_in,
        ids=options.ids,
        sample_column=options.sample_column,
        text_columns=columns if table is None else [],
        labelled=None if table is None else frozenset(table.index),
    )


def _check_expression(options: Options, matrix: Matrix, path: Path) -> list[dict[str, Any]]:
    samples, genes = list(matrix.columns.index), list(matrix.ids.genes.index)
    negative = FACTS[options.unit].negative
    check_values(matrix.expression, samples, genes, path, missing=False, negative=negative)
    return check_unit(matrix.expression, options.unit, samples, genes, path)


def _read_labels(options: Options, path: Path) -> pd.DataFrame:
    table = read_label_table(path)
    mend = "Name it so, or state another sample_column."
    need_columns(path, table.columns.tolist(), [options.sample_column], mend)
    return index_samples(table, options.sample_column, path)


def _label_from_table(
    options: Options, matrix: Matrix, path: Path, table: pd.DataFrame, labels_path: Path
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
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
    stripped = {name: [cell.strip() for cell in columns[name]] for name in needed}
    for name, cells in stripped.items():
        _need_text(name, cells, columns.index, path)
    patients = columns.index if options.patient_column is None else stripped[options.patient_column]
    others = columns.drop(columns=[*needed, "patient", "tumour_type"], errors="ignore")
    front = pd.DataFrame(
        {"patient": list(patients), "tumour_type": stripped[options.label_column]},
        index=columns.index,
        dtype=object,
    )
    return pd.concat([front, others], axis=1)


def _need_text(name: str, cells: list[str], samples: pd.Index, path: Path) -> None:
    """Refuse labels and patients that are empty or unprintable."""
    empty = [sample for sample, cell in zip(samples, cells, strict=True) if cell in NO_TEXT]
    if empty:
        raise CohortError(
            f"Every sample in {path} must have a value in {name!r}, but got none for "
            f"{len(empty)} of {len(cells)}: {name_some(empty)}. Fill it in, or remove these samples."
        )
    odd = [cell for cell in cells if not cell.isprintable()]
    if odd:
        raise CohortError(
            f"Values of {name!r} in {path} must be printable text, but got {odd[0]!r}. Check how the file "
            "was written."
        )
