"""The Pan-Cancer Atlas: its published files, the labels of its aliquots, and the verdicts on them.

The files are those of the GDC's publication page (gdc.cancer.gov/about-data/publications/pancanatlas), with
size and md5 of its manifest. Before the rules of `expressionist.data.sources._tcga_rules`:

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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from xml.etree.ElementTree import ParseError

import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import Merged
from expressionist.data.quality import count_dropped, count_kept
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.raw_files import Mirror, RawFile, find_files, list_given
from expressionist.data.readers.text_form import find_form
from expressionist.data.readers.text_tables import NO_TEXT, need_columns, read_texts
from expressionist.data.sources._aliquots import AliquotRules, label_columns, read_barcodes
from expressionist.data.sources._tcga_rules import build_cohort, read_rows
from expressionist.errors import CohortError, name_some
from expressionist.params import OneOf, key, section

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


# By their UUIDs, which stand below the mirror.
ANNOTATIONS = RawFile(
    "annotations",
    "1a7d7be8-675d-4e60-a105-19d4121bdebf",
    "merged_sample_quality_annotations.tsv",
    8_463_670,
    "05ddd2270fb1fb24fbdc2fe9bf7384e5",
)
CLINICAL = RawFile(
    "clinical",
    "1b5f413e-a8d1-4d10-92eb-7c4ae739ed81",
    "TCGA-CDR-SupplementalTableS1.xlsx",
    2_945_129,
    "a4591b2dcee39591f59e5e25a6ce75fa",
)
_Fate = Annotated[str, OneOf(lambda: ("drop", "keep"))]


@section
class _Files:
    expression: str | None = key("Null: downloaded; or a file or URL of yours.")
    annotations: str | None = key("`merged_sample_quality_annotations.tsv`, likewise: null or yours.")
    clinical: str | None = key("`TCGA-CDR-SupplementalTableS1.xlsx`, likewise: null or yours.")
    positions: str | None = key("File or URL of where the genes lie, of any kind named above.")
    mirror: Mirror = key("URL below which the files stand by their UUID.")
    verify: bool = key(
        "`true`: every file must have the size and md5 of the GDC's manifest, wherever it comes from. "
        "`false`: for a part, or a repacked one."
    )
    do_not_use: _Fate = key("What becomes of aliquots that the atlas advises against.")
    excluded_by_awg: _Fate = key(
        "What becomes of aliquots that its working groups excluded after pathology review."
    )


@section
class PancanOptions(AliquotRules, _Files):
    """Files and rules of a cohort of the Pan-Cancer Atlas."""


def list_published(options: PancanOptions, expression: RawFile) -> tuple[RawFile, ...]:
    """List the three published files, as given or from the mirror, and the positions."""
    files = []
    for file in (expression, ANNOTATIONS, CLINICAL):
        if given := getattr(options, file.option):
            file = replace(file, address=given, filename=None)
        else:
            file = replace(file, address=f"{options.mirror.rstrip('/')}/{file.address}")
        files.append(file if options.verify else replace(file, size=None, md5=None))
    return (*files, *list_given(options, "positions", "nomenclature"))


def read_pancan(
    options: PancanOptions,
    raw: Path,
    expression: RawFile,
    *,
    n_before: int,
    name: str,
    unit: str,
    merged: Merged,
) -> tuple[Cohort, dict[str, Any]]:
    """Read a cohort from fetched files; samples and genes keep the order of the expression file.

    `n_before` is the number of its columns before the first aliquot. The number of types is put behind the
    name.
    """
    given = list_given(options, "positions", "nomenclature")
    files = find_files(raw, (expression, ANNOTATIONS, CLINICAL, *given))
    form = find_form(files["expression"])
    annotations = read_annotations(files["annotations"])
    types = read_clinical_types(files["clinical"])
    table, label_rules = label_aliquots(form.header[n_before:], files["expression"], annotations, types)
    columns, column_rules = label_columns(
        form.header, n_before, files["expression"], table, files["annotations"]
    )
    kept, verdict_rules = drop_by_verdict(columns, options)
    return build_cohort(
        files,
        kept.drop(columns=[*_VERDICTS]),
        partial(read_rows, files["expression"], form, n_before, read_nomenclature(files.get("nomenclature"))),
        read_types=columns["tumour_type"],
        rules=[*label_rules, *column_rules, *verdict_rules],
        options=options,
        name=name,
        unit=unit,
        merged=merged,
    )


def read_annotations(path: Path) -> pd.DataFrame:
    """Read the quality annotations, a row for each aliquot and platform.

    Columns are those of `_ANNOTATED` and ``sample_type_code``; the verdicts are ``yes``, ``no`` or nothing.
    """
    table = read_texts(path)
    mend = "Fetch merged_sample_quality_annotations.tsv of the Pan-Cancer Atlas."
    need_columns(path, table.columns, list(_ANNOTATED), mend)
    table = table[list(_ANNOTATED)].rename(columns=_ANNOTATED)
    for verdict in _VERDICTS:
        said = table[verdict].str.lower().map(_SAID)
        unknown = table.loc[said.isna(), verdict].unique()
        if len(unknown):
            raise CohortError(
                f"{verdict} in {path} must be True, False, 1, 0 or NA, but got {name_some(unknown)}. {mend}"
            )
        table[verdict] = said
    return read_barcodes(table, path)


def read_clinical_types(path: Path) -> dict[str, str]:
    """Read the tumour type of each patient from the first sheet of TCGA's clinical data resource."""
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

    The table has a row for each column of an aliquot, or one for them all, and no type where none is known.
    The entries say where the sources of labels were silent or at odds.
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
    patients = table.loc[torn, "patient"].unique()
    table["tumour_type"] = table["tumour_type"].mask(silent | torn, clinical)
    table, joined = _join_platforms(table, barcodes)
    rules = [
        count_kept("aliquot without annotation, labelled by the clinical table if at all", lost),
        count_kept("patient annotated with several types, labelled by clinical table", patients),
        count_kept("annotation and clinical table differ, labelled by annotation", told[odd].unique()),
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

    Of what was dropped ``n_unknown`` had no verdict. Nothing left is refused.
    """
    rules = []
    for verdict, rule in _VERDICTS.items():
        bad = columns[columns[verdict] == "yes"]
        unknown = {"n_unknown": int((columns[verdict] == "").sum())}
        if getattr(options, verdict) == "keep":
            rules.append(count_kept(f"{rule}, kept", bad.index) | unknown)
            continue
        rules.append(count_dropped(rule, bad.index, bad["tumour_type"]) | unknown)
        columns = columns[columns[verdict] != "yes"]
    if columns.empty:
        raise CohortError(
            "Some aliquots must be free of verdicts against them, but got none. "
            "Set do_not_use or excluded_by_awg to keep."
        )
    return columns, rules
