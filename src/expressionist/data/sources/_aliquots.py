"""Aliquots of TCGA: labelled by barcode, chosen by sample type, one for each sample.

A barcode reads ``TCGA-TSS-PATIENT-SAMPLE+VIAL-PORTION+ANALYTE-PLATE-CENTER``: its first 12 characters name
the patient, characters 14 and 15 the sample type (01 primary, 03 blood-derived, 06 metastatic, 11 normal),
characters 22 to 25 the plate.
Tables of columns are indexed by barcode and hold ``column``, the position in the expression file, beside what
the samples table says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from expressionist.data.quality import count_dropped, count_types
from expressionist.data.readers.text_tables import NO_TEXT, need_columns, read_texts
from expressionist.errors import CohortError, NoSamplesError, name_some
from expressionist.params import Must, OneOf, key, section

# Columns of the tables here that are not part of what the samples table says.
BOOKKEEPING = ("column", "sample", "spare")
# Which characters of a barcode stand for what the samples table may leave out.
_IN_BARCODE = {"patient": slice(0, 12), "sample_type_code": slice(13, 15)}
# The batch that the quality page looks for. Nothing else depends on it, and a barcode may end before it.
_PLATE = slice(21, 25)
_Code = Annotated[
    str, Must("be a sample type of two digits", lambda code: len(code) == 2 and code.isdigit(), "Write '01'.")
]


@section
class AliquotRules:
    """Which samples and genes of a TCGA file stay; the last of the options of each source that reads one."""

    sample_types: tuple[_Code, ...] = key(
        "TCGA sample types kept for all tumour types. `01` only would lose all of LAML (`03`) and most of "
        "SKCM (`06`).",
        min_length=1,
    )
    more_sample_types: Mapping[str, list[_Code]] = key("Further ones, by tumour type.")
    aliquots: Annotated[str, OneOf(lambda: ("first", "mean"))] = key(
        "Of several aliquots of one sample: the first by barcode, or their mean."
    )
    missing: Annotated[str, OneOf(lambda: ("drop", "zero"))] = key(
        "What becomes of genes without a value in some kept sample. Missingness gives tumour types away, "
        "so `drop`."
    )
    unnamed: Annotated[str, OneOf(lambda: ("keep", "drop"))] = key(
        "What becomes of genes whose symbol is `?`; they have an Entrez id."
    )
    smallest_type: int = key(
        "Tumour types with fewer patients are dropped, and named in `quality.json`.", ge=1
    )
    normal_types: tuple[_Code, ...] = key(
        "TCGA sample types of normal tissue. They never train the network; those of training patients "
        "teach the novelty score what is no tumour. `[]` keeps them out.",
        default=(),
    )
    nomenclature: str | None = key(
        "File in the folder, or URL: HGNC's complete set, by which gene ids are translated. Null: the "
        "package's own copy.",
        default=None,
    )


def label_columns(
    header: Sequence[str], n_before: int, path: Path, table: pd.DataFrame, table_path: Path
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give every column of the expression its row of a samples table, and count what lacks the other.

    `header` is that of the expression file at `path`, with `n_before` cells before the first barcode; repeats
    are allowed. `table`, from `table_path`, has ``barcode``, ``tumour_type``, ``patient``,
    ``sample_type_code`` and what else there is. The labelled columns come back in the order of the file, with
    the entries of what was without expression or label. A column without a barcode, or no label at all, is
    refused.
    """
    columns = pd.DataFrame({"barcode": header[n_before:], "column": range(n_before, len(header))})
    empty = columns.loc[columns["barcode"] == "", "column"]
    if len(empty):
        raise CohortError(
            f"Every column of {path} must have a barcode, but got none for column {name_some(empty + 1)}. "
            "Add it."
        )
    unheard = table.loc[~table["barcode"].isin(columns["barcode"]), ["barcode", "tumour_type"]]
    columns["turn"] = columns.groupby("barcode").cumcount()
    table = table.assign(turn=table.groupby("barcode").cumcount())
    # A barcode that has one row and two columns: the row speaks for both.
    alone = table["barcode"][~table["barcode"].duplicated(keep=False)]
    columns.loc[columns["barcode"].isin(alone), "turn"] = 0
    labelled = columns.merge(table, how="left", on=["barcode", "turn"]).drop(columns="turn")
    unlabelled = labelled["tumour_type"].isna() | labelled["tumour_type"].isin(NO_TEXT)
    if unlabelled.all():
        raise CohortError(
            f"Columns of {path} must be labelled by barcodes of {table_path}, but got none in common: "
            f"{name_some(columns['barcode'][:2])} against {name_some(table['barcode'][:2])}. "
            "Check that the files belong together."
        )
    rules = [
        count_dropped("sample without expression", unheard["barcode"], unheard["tumour_type"]),
        count_dropped("expression without a label", labelled.loc[unlabelled, "barcode"]),
    ]
    return labelled[~unlabelled].set_index("barcode").rename_axis(index="sample_id"), rules


def read_samples(path: Path) -> pd.DataFrame:
    """Read a samples table with ``barcode`` and ``cancer_type``, here called ``tumour_type``.

    Patient and sample type come from the barcode where the table has none. A barcode that is too short for
    that, and rows of one barcode that disagree, are refused.
    """
    table = read_texts(path)
    need_columns(path, table.columns, ["barcode", "cancer_type"], "Name the columns so.")
    # Names that the tables here need for themselves.
    table = table.drop(columns=["tumour_type", "turn", *BOOKKEEPING], errors="ignore")
    table = read_barcodes(table.rename(columns={"cancer_type": "tumour_type"}), path)
    for column in ("tumour_type", "patient", "sample_type_code"):
        n_told = table.groupby("barcode")[column].nunique()
        torn = n_told.index[n_told > 1]
        if len(torn):
            raise CohortError(
                f"Rows of one barcode in {path} must agree on {column}, but got differing ones "
                f"for {name_some(torn)}. Correct the table."
            )
    return table


def read_barcodes(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Fill in ``patient`` and ``sample_type_code`` (two digits) from ``barcode`` where a table lacks them."""
    table = table.copy()
    for column, place in _IN_BARCODE.items():
        if column not in table:
            table[column] = ""
        untold = table[column].isin(NO_TEXT)
        short = table["barcode"][untold & (table["barcode"].str.len() < place.stop)]
        if len(short):
            raise CohortError(
                f"Barcodes in {path} must have {place.stop} characters or more, the {column} among them, "
                f"but got {name_some(short)}. Correct them, or fill in a column {column}."
            )
        table[column] = table[column].mask(untold, table["barcode"].str[place])
    if "plate" not in table:
        table["plate"] = table["barcode"].str[_PLATE]
    # Spreadsheets write 01 as 1.
    table["sample_type_code"] = table["sample_type_code"].str.zfill(2)
    return table


def keep_sample_types(
    columns: pd.DataFrame, codes: Sequence[str], more_codes: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Keep the columns of some sample types, and of further ones by tumour type; count the rest."""
    keep = columns["sample_type_code"].isin(codes)
    for tumour_type, more in more_codes.items():
        keep |= (columns["tumour_type"] == tumour_type) & columns["sample_type_code"].isin(more)
    if not keep.any():
        came = name_some(sorted(columns["sample_type_code"].unique()))
        raise NoSamplesError(
            f"Some samples must be of the types {', '.join(codes)}, but got only {came}. "
            "Correct sample_types."
        )
    dropped = columns[~keep]
    entry = count_dropped("sample type not kept (sample_types)", dropped.index, dropped["tumour_type"])
    return columns[keep], entry | {"by_code": count_types(dropped["sample_type_code"])}


def choose_aliquots(columns: pd.DataFrame, which: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Keep the first aliquot of each sample, or (``mean``) mark all of them for `average_aliquots`.

    Columns keep the order of the file and get ``sample`` (patient and sample type) and ``spare``: whether it
    is not the first of its sample, in the order of barcodes, then commoner platforms, then columns. Aliquots
    of one sample with different tumour types are refused.
    """
    columns = columns.assign(sample=columns["patient"] + " " + columns["sample_type_code"])
    n_types = columns.groupby("sample")["tumour_type"].nunique()
    if (n_types > 1).any():
        torn = n_types.index[n_types > 1]
        raise CohortError(
            f"All aliquots of a sample must have one tumour type, but got several for {len(torn)}: "
            f"{name_some(torn)}. Correct the labels, or drop these aliquots."
        )
    rank = pd.Series(0, index=columns.index)
    if "platform" in columns:
        rank = -columns["platform"].map(columns["platform"].value_counts())
    columns = columns.iloc[np.lexsort((columns["column"], rank, columns.index))]
    columns["spare"] = columns["sample"].duplicated()
    first, spare = columns[~columns["spare"]], columns[columns["spare"]]
    fate = {"first": "the first kept", "mean": "averaged"}[which]
    entry = count_dropped(f"further aliquot of a sample, {fate}", spare.index, spare["tumour_type"])
    entry["of_these_same_barcode"] = int(spare.index.isin(first.index).sum())
    return (first if which == "first" else columns).sort_values("column"), entry


def average_aliquots(columns: pd.DataFrame, expression: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Average the aliquots of each sample; a gene missing in one of them is missing in the mean.

    `expression` is float32 of shape (n_columns, n_genes), linear or log2; means, summed in float64, are
    written into it. Returns the first aliquot of each sample, and means of shape (n_samples, n_genes).
    """
    first = ~columns["spare"].to_numpy()
    for rows in columns.groupby("sample").indices.values():
        if len(rows) > 1:
            expression[rows[first[rows]]] = expression[rows].mean(axis=0, dtype=np.float64)
    return columns[first], expression[first]
