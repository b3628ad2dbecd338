"""A user's own matrix: one file of expression, with labels in it or in a second table."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import NOTHING_MERGED, Merged, merge_types, rename_labels
from expressionist.data.names import refuse_names
from expressionist.data.quality import count_dropped, describe_cohort, drop_small_types
from expressionist.data.readers.file_content import refuse_changed, suffix_of
from expressionist.data.readers.formats import read_label_table
from expressionist.data.readers.gene_ids import KINDS
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.matrices import (
    GENES_IN,
    REPLICATES,
    Matrix,
    Sides,
    index_samples,
    read_matrix,
    refuse_disagreement,
)
from expressionist.data.readers.missing import settle_missing
from expressionist.data.readers.positions import place_genes
from expressionist.data.readers.raw_files import RawFile, find_files, list_given
from expressionist.data.readers.row_source import RowSource
from expressionist.data.readers.text_tables import NO_TEXT, need_columns
from expressionist.data.readers.units import check_values, clip_negative, refuse_negative, settle_unit
from expressionist.data.units import AS_IS_UNIT, Unit, UnitName, parse_unit
from expressionist.errors import CohortError, name_some
from expressionist.params import Must, OneOf, key, section

_PART = re.compile(r"X|raw/X|layers/[^/]+")


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
        "and kept in `id_with_version`), `mirna`. `auto`: whatever at least 99 in 100 of them are; ids of "
        "several kinds are translated to Entrez ids. `other`: any names, unchecked, mixed or like dates too."
    )
    labels: str | None = key(
        "A second table, csv, tsv, parquet, feather or xlsx. Null: the labels stand in the matrix or its obs."
    )
    sample_column: str = key(
        "Column of sample ids. With a second table it is that one's: where the matrix has none of this name, "
        "its first column, or index, counts.",
        min_length=1,
    )
    label_column: str = key("Column of tumour types.", min_length=1)
    patient_column: str | None = key("Column of patients. Null: every sample is a patient of its own.")
    positions: str | None = key("File or URL of where the genes lie, of any kind named above.")
    unit: UnitName = key(
        "As in `tcga`; values that contradict it are refused (`data/readers/units.py` says where the "
        "limits are, and why)."
    )
    smallest_type: int = key("Tumour types with fewer patients are dropped.", ge=1)
    replicates: Annotated[str, OneOf(lambda: REPLICATES)] = key(
        "Samples that stand more than once: refused, the first kept, or their mean. Their labels must agree.",
        default="refuse",
    )
    matrix: Annotated[str, Must("be X, raw/X or layers/<name>", lambda part: bool(_PART.fullmatch(part)))] = (
        key("What of an h5ad is expression: `X`, `layers/<name>` or `raw/X`.", default="X")
    )
    missing: Annotated[str, OneOf(lambda: ("refuse", "drop", "zero"))] = key(
        "What becomes of genes without a value in some sample, as in `tcga`; or they are refused.",
        default="refuse",
    )
    nomenclature: str | None = key(
        "File in the folder, or URL: HGNC's complete set, by which gene ids are translated. Null: the "
        "package's own copy.",
        default=None,
    )


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name."""
    return list_given(options, "expression", "labels", "positions", "nomenclature")


def read(options: Options, raw: Path, merged: Merged = NOTHING_MERGED) -> tuple[Cohort, dict[str, Any]]:
    """Read a user's cohort from fetched files, named like the file of its expression.

    Samples and genes keep its order; samples have every further column of the labels.
    """
    files = find_files(raw, list_files(options))
    with refuse_changed(*files.values()):
        return read_files(options, files, merged)


def read_files(
    options: Options, files: dict[str, Path], merged: Merged = NOTHING_MERGED
) -> tuple[Cohort, dict[str, Any]]:
    """Read a user's cohort as `read` does, from files by their options, wherever they lie."""
    path = files["expression"]
    if options.matrix != "X" and suffix_of(path) != ".h5ad":
        raise CohortError(
            f"matrix must be X where the expression is no .h5ad, but got {options.matrix!r} for "
            f"{path.name}. State matrix: X."
        )
    table = None if options.labels is None else _read_labels(options, files["labels"])
    sides = replace(_state_sides(options, table), nomenclature=read_nomenclature(files.get("nomenclature")))
    matrix = read_matrix(path, sides)
    rules: list[dict[str, Any]] = []
    if table is None:
        samples = _label(options, matrix.columns, path)
    else:
        samples, rules = _label_from_table(options, matrix, path, table, files["labels"])
    n_read, matrix = matrix.ids.n_read, settle_gaps(options, matrix, samples["tumour_type"])
    expression, unit, value_rules = settle_expression(options, matrix, path)
    kept, merged_rules = merge_types(samples, merged)
    kept, small_rule = drop_small_types(kept, options.smallest_type)
    rows = samples.index.isin(kept.index)
    genes, about = place_genes(matrix.ids.genes, files.get("positions"))
    expression = expression if rows.all() else expression[rows]
    cohort = Cohort(Path(options.expression).name.split(".")[0], expression, kept, genes, unit, merged=merged)
    quality = describe_cohort(
        cohort,
        read_types=rename_labels(samples["tumour_type"], merged),
        n_genes_read=n_read,
        samples=[*rules, matrix.repeats, *merged_rules, small_rule],
        genes=matrix.ids.rules,
        values=value_rules,
        positions=about,
    )
    read = {"genes_in": matrix.genes_in, "because": matrix.reason, "ids": matrix.ids.kind}
    read |= {"form": matrix.form} if matrix.form else {}
    return cohort, quality | {"read": read}


def _state_sides(options: Options, table: pd.DataFrame | None) -> Sides:
    beside = _list_needed(options) if table is None else []
    labelled = None if table is None else frozenset(table.index)
    return Sides(
        options.genes_in,
        options.ids,
        options.sample_column,
        beside,
        labelled,
        options.replicates,
        part=options.matrix,
    )


def _list_needed(options: Options) -> list[str]:
    """Name the columns that labels must have."""
    return [name for name in (options.label_column, options.patient_column) if name is not None]


def settle_gaps(options: Options, matrix: Matrix, types: pd.Series) -> Matrix:
    """Drop or fill the genes that lack values, where that is stated."""
    if options.missing == "refuse":
        return matrix
    genes, expression, entry = settle_missing(matrix.ids.genes, matrix.expression, types, options.missing)
    ids = replace(matrix.ids, genes=genes, rules=[*matrix.ids.rules, entry])
    return replace(matrix, source=RowSource.hold(expression), ids=ids)


def settle_expression(
    options: Options, matrix: Matrix, path: Path
) -> tuple[np.ndarray, str, list[dict[str, Any]]]:
    """Check values against their unit, and return them in one that a cohort is kept in, with that unit."""
    samples, genes = list(matrix.columns.index), list(matrix.ids.genes.index)
    unit = parse_unit(options.unit)
    refuse_negative(matrix.expression, unit, path)
    # Batch correction leaves a few values below 0, but not among counts.
    clipped = not unit.may_be_negative and unit.of != "counts"
    negative = unit.may_be_negative or clipped
    check_values(matrix.expression, samples, genes, path, missing=False, negative=negative)
    rules = [clip_negative(matrix.expression)] if clipped else []
    if suffix_of(path) == ".h5ad" and options.matrix == "X":
        _refuse_denied(matrix.expression, unit, path)
    expression, kept_in, unit_rules = settle_unit(matrix.expression, options.unit, samples, genes, path)
    return expression, kept_in, [*unit_rules, *rules]


def _refuse_denied(expression: np.ndarray, unit: Unit, path: Path) -> None:
    """Refuse a unit other than scanpy's logarithm, where the file says that it was taken of X."""
    from expressionist.data.readers.hdf5 import list_parts

    said = list_parts(path).logarithm
    # Whole numbers have been put back into X since.
    if not said or unit.of == AS_IS_UNIT or not (np.rint(expression) != expression).any():
        return
    if (unit.logarithm, unit.plus) != (said, 1):
        raise CohortError(
            f"X of {path} must be in {unit}, as stated, but its uns['log1p'] says that it is {said}(x+1). "
            f"State unit: {said}(x+1), or a layer or raw/X as matrix."
        )


def _read_labels(options: Options, path: Path) -> pd.DataFrame:
    table = read_label_table(path, options.sample_column)
    mend = "Name it so, or state another sample_column."
    need_columns(path, table.columns, [options.sample_column], mend)
    table = index_samples(table, options.sample_column, path, options.replicates)
    refuse_disagreement(table, _list_needed(options), path)
    return table[~table.index.duplicated()]


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
    """Refuse labels and patients that are empty or no names."""
    empty = [sample for sample, cell in zip(samples, cells, strict=True) if cell in NO_TEXT]
    if empty:
        raise CohortError(
            f"Every sample in {path} must have a value in {name!r}, but got none for "
            f"{len(empty)} of {len(cells)}: {name_some(empty)}. Fill it in, or remove these samples."
        )
    refuse_names(cells, f"value of {name!r}", path)
