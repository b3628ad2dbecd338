"""The Pan-Cancer Atlas: the labels of its aliquots, and the verdicts on them.

Before the rules of `expressionist.data.sources._tcga_rules`:

1. An aliquot's type is the ``cancer type`` of its row in the quality annotations. An aliquot without one, and
   a patient to whom the annotations give several, is labelled by the clinical table (patient → ``type``).
   Where both know a type and differ, the annotations count: they were made for this matrix.
2. An aliquot annotated for several platforms, but not for as many as it has columns, is said to be of all of
   them, and what one of its rows says against it counts.
3. ``Do_not_use`` and ``AWG_excluded_because_of_pathology`` drop an aliquot, unless they are to be kept; NA
   drops nothing. Annotations in words are not looked at: every LAML patient carries one about the pipeline.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.quality import count_dropped, count_kept
from expressionist.data.readers.files import find_file
from expressionist.data.readers.tables import NO_TEXT, need_columns, read_header, read_texts
from expressionist.data.sources._aliquots import label_columns, read_barcodes
from expressionist.data.sources._published import PancanOptions
from expressionist.data.sources._tcga_rules import build_cohort
from expressionist.errors import CohortError, name_some

# Columns of the annotations that are read, and what they are called here.
_ANNOTATED = {
    "aliquot_barcode": "barcode",
    "patient_barcode": "patient",
    "cancer type": "tumour_type",
    "platform": "platform",
    "Do_not_use": "do_not_use",
    "AWG_excluded_because_of_pathology": "excluded_by_awg",
}
_VERDICTS = {
    "do_not_use": "aliquot that the atlas advises against (do_not_use)",
    "excluded_by_awg": "aliquot excluded after pathology review (excluded_by_awg)",
}
# Both ways in which the file writes them. The words sort as they weigh: "yes" before "no" before nothing.
_SAID = {"true": "yes", "1": "yes", "1.0": "yes", "false": "no", "0": "no", "0.0": "no", "": "", "na": ""}


def read_pancan(
    options: PancanOptions, raw: Path, *, n_before: int, name: str, unit: str
) -> tuple[Cohort, dict[str, Any]]:
    """Read a cohort of the Pan-Cancer Atlas from fetched files.

    Parameters
    ----------
    options : PancanOptions
        Rules.
    raw : pathlib.Path
        Folder with ``expression``, ``annotations``, ``clinical`` and, if options name them, ``positions``.
    n_before : int
        Number of columns of the expression before the first aliquot.
    name, unit : str
        Of the cohort; the number of its types is put behind the name.

    Returns
    -------
    cohort : Cohort
        Samples and genes in the order of the file; samples with their ``platform``.
    quality : dict
        How many samples, genes and values each rule dropped or changed.

    Raises
    ------
    CohortError
        If a file is malformed or nothing is left to learn from.
    """
    path, annotations_path = find_file(raw, "expression"), find_file(raw, "annotations")
    header = read_header(path)
    annotations = read_annotations(annotations_path)
    types = read_clinical_types(find_file(raw, "clinical"))
    table, label_rules = label_aliquots(header[n_before:], path, annotations, types)
    columns, column_rules = label_columns(header, n_before, path, table, annotations_path)
    kept, verdict_rules = drop_by_verdict(columns, options)
    return build_cohort(
        path,
        header,
        kept.drop(columns=[*_VERDICTS]),
        n_before=n_before,
        read_types=list(columns["tumour_type"]),
        rules=[*label_rules, *column_rules, *verdict_rules],
        options=options,
        positions=None if options.positions is None else find_file(raw, "positions"),
        name=name,
        unit=unit,
    )


def read_annotations(path: Path) -> pd.DataFrame:
    """Read the quality annotations: a row for each aliquot and platform.

    Returns
    -------
    pandas.DataFrame
        ``barcode``, ``patient``, ``tumour_type``, ``platform``, ``sample_type_code``, and the verdicts
        ``do_not_use`` and ``excluded_by_awg`` as ``yes``, ``no`` or nothing.

    Raises
    ------
    CohortError
        If a column is missing, or a verdict is neither yes nor no.
    """
    table = read_texts(path)
    mend = "Fetch merged_sample_quality_annotations.tsv of the Pan-Cancer Atlas."
    need_columns(path, table.columns.tolist(), list(_ANNOTATED), mend)
    table = table[list(_ANNOTATED)].rename(columns=_ANNOTATED)
    for verdict in _VERDICTS:
        said = table[verdict].str.lower().map(_SAID)
        strange = table.loc[said.isna(), verdict].unique()
        if len(strange):
            raise CohortError(
                f"{verdict} in {path} must be True, False, 1, 0 or NA, but got {name_some(strange)}. {mend}"
            )
        table[verdict] = said
    return read_barcodes(table, path)


def read_clinical_types(path: Path) -> dict[str, str]:
    """Read the tumour type of each patient from the clinical data resource (TCGA-CDR).

    Returns
    -------
    dict of str to str
        ``type`` by ``bcr_patient_barcode``, from the first sheet.

    Raises
    ------
    CohortError
        If the file is no such workbook.
    """
    mend = "Fetch TCGA-CDR-SupplementalTableS1.xlsx of the Pan-Cancer Atlas."
    try:
        sheet = pd.read_excel(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, ParseError) as error:
        reason = " ".join(str(error).split())
        raise CohortError(f"{path} must be an Excel workbook, but got: {reason}. {mend}") from error
    need_columns(path, [str(name) for name in sheet.columns], ["bcr_patient_barcode", "type"], mend)
    known = sheet[~sheet["type"].isin(NO_TEXT)]
    return dict(zip(known["bcr_patient_barcode"], known["type"], strict=True))


def label_aliquots(
    barcodes: Sequence[str], path: Path, annotations: pd.DataFrame, types: dict[str, str]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give each aliquot of the expression its type and what the annotations say of it.

    Parameters
    ----------
    barcodes : sequence of str
        Aliquots as the expression names them.
    path : pathlib.Path
        The expression, for messages.
    annotations : pandas.DataFrame
        As `read_annotations` gives them.
    types : dict of str to str
        As `read_clinical_types` gives them.

    Returns
    -------
    table : pandas.DataFrame
        A row for each column of an aliquot, or one for them all; no type where none is known.
    rules : list of dict
        Where the sources of labels were silent or at odds.
    """
    known = annotations[annotations["barcode"].isin(barcodes)]
    lost = sorted(set(barcodes) - set(known["barcode"]) - {""})
    unknown = read_barcodes(pd.DataFrame({"barcode": lost}, dtype=object), path)
    table = pd.concat([known, unknown], ignore_index=True).fillna("")
    table["tumour_type"] = table["tumour_type"].mask(table["tumour_type"].isin(NO_TEXT), "")
    clinical = table["patient"].map(types).fillna("")
    silent = table["tumour_type"] == ""
    torn = table["tumour_type"].mask(silent).groupby(table["patient"]).transform("nunique") > 1
    odd = ~silent & ~torn & (clinical != "") & (clinical != table["tumour_type"])
    told = table["barcode"] + ": " + table["tumour_type"] + ", not " + clinical
    patients = list(table.loc[torn, "patient"].unique())
    table["tumour_type"] = table["tumour_type"].mask(silent | torn, clinical)
    table, joined = _join_platforms(table, barcodes)
    rules = [
        count_kept("aliquot without annotation, labelled by the clinical table if at all", lost),
        count_kept("patient annotated with several types, labelled by clinical table", patients),
        count_kept("annotation and clinical table differ, labelled by annotation", list(told[odd].unique())),
        count_kept("aliquot annotated for several platforms, all named", joined),
    ]
    return table, rules


def _join_platforms(table: pd.DataFrame, barcodes: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Make one row of those of an aliquot, unless there are as many as it has columns."""
    n_rows = table.groupby("barcode")["barcode"].transform("size")
    several = n_rows != table["barcode"].map(pd.Series(barcodes).value_counts())
    several &= n_rows > 1
    aliquots = table[several].groupby("barcode", sort=False)
    joined = aliquots.first().assign(platform=aliquots["platform"].agg(_join_words))
    for verdict in _VERDICTS:
        joined[verdict] = aliquots[verdict].max()
    return pd.concat([table[~several], joined.reset_index()], ignore_index=True), list(joined.index)


def _join_words(words: pd.Series) -> str:
    return " + ".join(sorted({word for word in words if word not in NO_TEXT}))


def drop_by_verdict(
    columns: pd.DataFrame, options: PancanOptions
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Drop the aliquots that the atlas advises against, or count them where they are to be kept.

    Parameters
    ----------
    columns : pandas.DataFrame
        Labelled columns with the verdicts.
    options : PancanOptions
        What becomes of them.

    Returns
    -------
    columns : pandas.DataFrame
        What is left.
    rules : list of dict
        What was dropped; ``n_unknown`` had no verdict.

    Raises
    ------
    CohortError
        If nothing is left.
    """
    rules = []
    for verdict, rule in _VERDICTS.items():
        bad = columns[columns[verdict] == "yes"]
        unknown = {"n_unknown": int((columns[verdict] == "").sum())}
        if getattr(options, verdict) == "keep":
            rules.append(count_kept(f"{rule}, kept", list(bad.index)) | unknown)
            continue
        entry = count_dropped(rule, list(bad.index), list(bad["tumour_type"]))
        rules.append(entry | unknown)
        columns = columns[columns[verdict] != "yes"]
    if columns.empty:
        raise CohortError(
            "Some aliquots must be free of verdicts against them, but got none. "
            "Set do_not_use or excluded_by_awg to keep."
        )
    return columns, rules
