"""Aliquots of TCGA: labelled by barcode, chosen by sample type, one for each sample.

A barcode reads ``TCGA-TSS-PATIENT-SAMPLE+VIAL-PORTION+ANALYTE-PLATE-CENTER``: its first 12 characters name
the patient, characters 14 and 15 the sample type (01 primary, 03 blood-derived, 06 metastatic, 11 normal),
characters 22 to 25 the plate.
Tables of columns are indexed by barcode and hold ``column``, the position in the expression file, beside what
the samples table says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from expressionist.data.quality import count_dropped, count_types
from expressionist.data.readers.tables import NO_TEXT, need_columns, read_texts
from expressionist.errors import CohortError, NoSamplesError, name_some
from expressionist.params import Must, OneOf, key

# Columns of the tables here that are not part of what the samples table says.
BOOKKEEPING = ("column", "sample", "spare")
# Which characters of a barcode stand for what the samples table may leave out.
_IN_BARCODE = {"patient": slice(0, 12), "sample_type_code": slice(13, 15)}
# The batch that the quality page looks for. Nothing else depends on it, and a barcode may end before it.
_PLATE = slice(21, 25)
_Code = Annotated[
    str, Must("be a sample type of two digits", lambda code: len(code) == 2 and code.isdigit(), "Write '01'.")
]


@dataclass(frozen=True)
class AliquotRules:
    """Which samples and genes of a TCGA file stay; the last of the options of each source that reads one.

    Parameters
    ----------
    sample_types : tuple of str
        Codes of the sample types to keep (characters 14 and 15 of a barcode).
    more_sample_types : mapping of str to list of str
        Further codes to keep, by tumour type.
    aliquots : str
        ``first`` or ``mean`` of several aliquots of one sample.
    missing : str
        ``drop`` or ``zero``: what becomes of genes with no value in some kept sample.
    unnamed : str
        ``keep`` or ``drop``: what becomes of genes whose symbol is ``?``.
    smallest_type : int
        Least number of patients of a tumour type.
    normal_types : tuple of str
        Codes of normal tissue, which is kept aside to tell samples unlike tumours.
    """

    sample_types: tuple[_Code, ...] = field(
        metadata=key(
            "TCGA sample types kept for all tumour types. `01` only would lose all of LAML (`03`) and most "
            "of SKCM (`06`).",
            min_length=1,
        )
    )
    more_sample_types: Mapping[str, list[_Code]] = field(metadata=key("Further ones, by tumour type."))
    aliquots: Annotated[str, OneOf(lambda: ("first", "mean"))] = field(
        metadata=key("Of several aliquots of one sample: the first by barcode, or their mean.")
    )
    missing: Annotated[str, OneOf(lambda: ("drop", "zero"))] = field(
        metadata=key(
            "What becomes of genes without a value in some kept sample. Missingness gives tumour types away, "
            "so `drop`."
        )
    )
    unnamed: Annotated[str, OneOf(lambda: ("keep", "drop"))] = field(
        metadata=key("What becomes of genes whose symbol is `?`; they have an Entrez id.")
    )
    smallest_type: int = field(
        metadata=key("Tumour types with fewer patients are dropped, and named in `quality.json`.", ge=1)
    )
    normal_types: tuple[_Code, ...] = field(
        default=(),
        metadata=key(
            "TCGA sample types of normal tissue. They never train the network; those of training patients "
            "teach the novelty score what is no tumour. `[]` keeps them out."
        ),
    )


def label_columns(
    header: Sequence[str], n_before: int, path: Path, table: pd.DataFrame, table_path: Path
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give every column of the expression its row of the samples table.

    Parameters
    ----------
    header : sequence of str
        The header of the expression file; repeats are allowed.
    n_before : int
        Number of cells before the first barcode.
    path : pathlib.Path
        The expression file, for messages.
    table : pandas.DataFrame
        With ``barcode``, ``tumour_type``, ``patient``, ``sample_type_code`` and what else there is.
    table_path : pathlib.Path
        Where it comes from, for messages.

    Returns
    -------
    columns : pandas.DataFrame
        The labelled columns in the order of the file.
    rules : list of dict
        What was without expression, and without a label.

    Raises
    ------
    CohortError
        If a column has no barcode, or none of them is labelled.
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
        count_dropped("sample without expression", list(unheard["barcode"]), list(unheard["tumour_type"])),
        count_dropped("expression without a label", list(labelled.loc[unlabelled, "barcode"])),
    ]
    return labelled[~unlabelled].set_index("barcode").rename_axis(index="sample_id"), rules


def read_samples(path: Path) -> pd.DataFrame:
    """Read a samples table; patient and sample type come from the barcode where the table has none.

    Parameters
    ----------
    path : pathlib.Path
        A text table with ``barcode`` and ``cancer_type``.

    Returns
    -------
    pandas.DataFrame
        All its columns, ``cancer_type`` as ``tumour_type``, with ``patient`` and ``sample_type_code``.

    Raises
    ------
    CohortError
        If a column is missing, a barcode is too short, or rows of one barcode disagree.
    """
    table = read_texts(path)
    need_columns(path, table.columns.tolist(), ["barcode", "cancer_type"], "Name the columns so.")
    # Names that the tables here need for themselves.
    table = table.drop(columns=["tumour_type", "turn", *BOOKKEEPING], errors="ignore")
    table = table.rename(columns={"cancer_type": "tumour_type"})
    table = read_barcodes(table, path)
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
    """Fill in from the barcodes what a table does not say of its patients and sample types.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``barcode``.
    path : pathlib.Path
        Where it comes from, for messages.

    Returns
    -------
    pandas.DataFrame
        With ``patient`` and ``sample_type_code`` (two digits) in every row.

    Raises
    ------
    CohortError
        If a barcode that is needed is too short.
    """
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
    """Keep the columns of some sample types.

    Parameters
    ----------
    columns : pandas.DataFrame
        As `label_columns` gives it.
    codes : sequence of str
        Sample types to keep.
    more_codes : mapping of str to sequence of str
        Further ones, by tumour type.

    Returns
    -------
    columns : pandas.DataFrame
        What is left.
    entry : dict
        What was dropped, by tumour type and by code.

    Raises
    ------
    NoSamplesError
        If nothing is left.
    """
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
    entry = count_dropped(
        "sample type not kept (sample_types)", list(dropped.index), list(dropped["tumour_type"])
    )
    return columns[keep], entry | {"by_code": count_types(list(dropped["sample_type_code"]))}


def choose_aliquots(columns: pd.DataFrame, which: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Keep the first aliquot of each sample, or mark all of them for `average_aliquots`.

    Parameters
    ----------
    columns : pandas.DataFrame
        As `label_columns` gives it.
    which : str
        ``first`` or ``mean``.

    Returns
    -------
    columns : pandas.DataFrame
        In the order of the file, with ``sample`` (patient and sample type) and ``spare`` (whether it is not
        the first of its sample, in the order of barcodes, then commoner platforms, then columns).
    entry : dict
        What is spare.

    Raises
    ------
    CohortError
        If aliquots of one sample are labelled with different tumour types.
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
    order = pd.DataFrame(
        {"barcode": columns.index, "rank": rank.to_numpy(), "column": columns["column"].to_numpy()}
    )
    columns = columns.iloc[order.sort_values(["barcode", "rank", "column"]).index]
    columns["spare"] = columns["sample"].duplicated()
    first, spare = columns[~columns["spare"]], columns[columns["spare"]]
    repeated = int(spare.index.isin(first.index).sum())
    rule = {
        "first": "further aliquot of a sample, the first kept",
        "mean": "further aliquot of a sample, averaged",
    }[which]
    entry = count_dropped(rule, list(spare.index), list(spare["tumour_type"])) | {
        "of_these_same_barcode": repeated
    }
    return (first if which == "first" else columns).sort_values("column"), entry


def average_aliquots(columns: pd.DataFrame, expression: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Average the aliquots of each sample; a gene missing in one of them is missing in the mean.

    Parameters
    ----------
    columns : pandas.DataFrame of length n_columns
        As `choose_aliquots` gives it.
    expression : numpy.ndarray of shape (n_columns, n_genes)
        float32, linear or log2; means are written into it.

    Returns
    -------
    columns : pandas.DataFrame of length n_samples
        The first aliquot of each sample.
    expression : numpy.ndarray of shape (n_samples, n_genes)
        Means, summed in float64.
    """
    first = ~columns["spare"].to_numpy()
    for rows in columns.groupby("sample").indices.values():
        if len(rows) > 1:
            expression[rows[first[rows]]] = expression[rows].mean(axis=0, dtype=np.float64)
    return columns[first], expression[first]
