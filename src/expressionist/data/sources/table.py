"""A user's own matrix: one file of expression, with labels in it or in a second table."""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from expressionist.data.cohort import AS_IS_UNIT, UNITS, Cohort
from expressionist.data.quality import count_dropped, describe_cohort, drop_small_types
from expressionist.data.readers.file_content import refuse_changed
from expressionist.data.readers.formats import read_label_table
from expressionist.data.readers.gene_ids import KINDS
from expressionist.data.readers.matrices import GENES_IN, Matrix, Sides, index_samples, read_matrix
from expressionist.data.readers.positions import place_genes
from expressionist.data.readers.raw_files import RawFile, find_files, list_given
from expressionist.data.readers.text_tables import NO_TEXT, need_columns
from expressionist.data.readers.units import check_unit, check_values
from expressionist.errors import CohortError, name_some
from expressionist.params import OneOf, key, section


@section
class Options:
    """Files and columns of a user's cohort."""

    expression: str = key(
        "File in the folder, or URL: csv, tsv (plain, gzip, zstd), parquet, feather, xlsx (first sheet), "
        "h5ad, or h5 as 10x Genomics writes it.",
        min_length=1,
    )
    genes_in: Annotated[str, OneOf(lambda: GENES_IN)] = key(
        "Where the genes stand. `auto`: on the side whose ids have no labels. A stated side that the "
        "labels contradict is refused; what was decided, and why, stands in `quality.json` under `read`."
    )
    ids: Annotated[str, OneOf(lambda: KINDS)] = key(
        "What the gene ids are: `symbol`, `entrez` (also `SYMBOL|ENTREZ`), `ensembl` (versions are cut off "
        "and kept in `id_with_version`), `mirna`. `auto`: whatever at least 99 in 100 of them are. "
        "`other`: any names, unchecked, mixed or like dates too."
    )
    labels: str | None = key(
        "A second table, csv, tsv, parquet, feather or xlsx. Null: the labels stand in the matrix or its obs."
    )
    sample_column: str = key("Column of sample ids; an index without a name counts as it.", min_length=1)
    label_column: str = key("Column of tumour types.", min_length=1)
    patient_column: str | None = key("Column of patients. Null: every sample is a patient of its own.")
    positions: str | None = key("File or URL of where the genes lie, of any kind named above.")
    unit: Annotated[str, OneOf(lambda: UNITS)] = key(
        "As in `tcga`; values that contradict it are refused (`data/readers/units.py` says where the "
        "limits are, and why)."
    )
    smallest_type: int = key("Tumour types with fewer patients are dropped.", ge=1)


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name."""
    return list_given(options, "expression", "labels", "positions")


def read(options: Options, raw: Path) -> tuple[Cohort, dict[str, Any]]:
    """Read a user's cohort from fetched files, named like the file of its expression.

    Samples and genes keep its order; samples have every further column of the labels.
    """
    files = find_files(raw, list_files(options))
    with refuse_changed(*files.values()):
        return read_files(options, files)


def read_files(options: Options, files: dict[str, Path]) -> tuple[Cohort, dict[str, Any]]:
    """Read a user's cohort as `read` does, from files by their options, wherever they lie."""
    path = files["expression"]
    table = None if options.labels is None else _read_labels(options, files["labels"])
    matrix = read_matrix(path, _state_sides(options, table))
    rules: list[dict[str, Any]] = []
    if table is None:
        samples = _label(options, matrix.columns, path)
    else:
        samples, rules = _label_from_table(options, matrix, path, table, files["labels"])
    value_rules = _check_expression(options, matrix, path)
    kept, small_rule = drop_small_types(samples, options.smallest_type)
    rows = samples.index.isin(kept.index)
    genes, about = place_genes(matrix.ids.genes, files.get("positions"))
    expression = matrix.expression if rows.all() else matrix.expression[rows]
    cohort = Cohort(Path(options.expression).name.split(".")[0], expression, kept, genes, options.unit)
    quality = describe_cohort(
        cohort,
        read_types=samples["tumour_type"],
        n_genes_read=len(genes),
        samples=[*rules, small_rule],
        genes=matrix.ids.rules,
        values=value_rules,
        positions=about,
    )
    read = {"genes_in": matrix.genes_in, "because": matrix.reason, "ids": matrix.ids.kind}
    return cohort, quality | {"read": read}


def _state_sides(options: Options, table: pd.DataFrame | None) -> Sides:
    beside = _list_needed(options) if table is None else []
    labelled = None if table is None else frozenset(table.index)
    return Sides(options.genes_in, options.ids, options.sample_column, beside, labelled)


def _list_needed(options: Options) -> list[str]:
    """Name the columns that labels must have."""
    return [name for name in (options.label_column, options.patient_column) if name is not None]


def _check_expression(options: Options, matrix: Matrix, path: Path) -> list[dict[str, Any]]:
    samples, genes = list(matrix.columns.index), list(matrix.ids.genes.index)
    negative = options.unit == AS_IS_UNIT
    check_values(matrix.expression, samples, genes, path, missing=False, negative=negative)
    return check_unit(matrix.expression, options.unit, samples, genes, path)


def _read_labels(options: Options, path: Path) -> pd.DataFrame:
    table = read_label_table(path)
    mend = "Name it so, or state another sample_column."
    need_columns(path, table.columns, [options.sample_column], mend)
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
    rule = count_dropped("label without expression", table.index[~table.index.isin(samples)])
    return _label(options, table.loc[samples], labels_path), [rule]


def _label(options: Options, columns: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Turn columns of text into a sample table: tumour type and patient first, then all the others."""
    needed = _list_needed(options)
    need_columns(path, columns.columns, needed, "Name them so, or state others in params.yaml.")
    stripped = {name: [cell.strip() for cell in columns[name]] for name in needed}
    for name, cells in stripped.items():
        _need_text(name, cells, columns.index, path)
    patients = columns.index if options.patient_column is None else stripped[options.patient_column]
    others = columns.drop(columns=[*needed, "patient", "tumour_type"], errors="ignore")
    front = {"patient": list(patients), "tumour_type": stripped[options.label_column]}
    return pd.concat([pd.DataFrame(front, index=columns.index, dtype=object), others], axis=1)


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
