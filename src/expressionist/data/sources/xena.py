"""A hub of UCSC Xena: a matrix with genes in rows and samples in columns, and its phenotype table, as served.

What stays is said in `expressionist.data.sources._tcga_rules`; before that, samples that are none of TCGA
go, such as those of GTEx and TARGET in the Toil recompute.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import NOTHING_MERGED, Merged
from expressionist.data.nomenclature import Nomenclature
from expressionist.data.quality import count_dropped, count_kept
from expressionist.data.readers.file_content import refuse_changed
from expressionist.data.readers.gene_ids import identify_genes
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.raw_files import RawFile, find_files, list_given
from expressionist.data.readers.text_form import TextForm, find_form
from expressionist.data.readers.text_tables import NO_TEXT, need_columns, read_numbers, read_tabbed
from expressionist.data.resources import read_resource
from expressionist.data.sources._aliquots import AliquotRules, label_columns
from expressionist.data.sources._tcga_rules import Rows, build_cohort, read_aside
from expressionist.data.units import UnitName, parse_unit
from expressionist.errors import CohortError, name_some
from expressionist.params import key, section

_BARCODE = r"^TCGA-..-....-(\d\d)[A-Z]?$"
# How hubs write names that are others in tumour_types.tsv; some write `&` for `and`.
_NAMES = {
    "acute myeloid leukemia": "LAML",
    "adrenocortical cancer": "ACC",
    "cervical and endocervical cancer": "CESC",
    "esophageal carcinoma": "ESCA",
    "head and neck squamous cell carcinoma": "HNSC",
    "kidney clear cell carcinoma": "KIRC",
    "kidney papillary cell carcinoma": "KIRP",
    "pheochromocytoma and paraganglioma": "PCPG",
    "testicular germ cell tumor": "TGCT",
    "uterine corpus endometrioid carcinoma": "UCEC",
}


@section
class _Files:
    expression: str = key(
        "File in the folder, or URL: a hub's matrix, with genes in rows and samples of TCGA in columns.",
        min_length=1,
    )
    phenotype: str = key("Likewise: the hub's table of the same samples.", min_length=1)
    sample_column: str = key(
        "Its column of sample ids, such as `sample`, `sampleID`, `submitter_id.samples`."
    )
    label_column: str = key(
        "Its column of tumour types, such as `cancer type abbreviation`, `_primary_disease` or `project_id`. "
        "Names of TCGA's studies become codes; other words stay."
    )
    patient_column: str | None = key(
        "Its column of patients. Null: the first 12 characters of the sample id."
    )
    positions: str | None = key("File or URL of where the genes lie, of any kind named above.")
    unit: UnitName = key("As in `tcga`, and as the hub's page of the matrix says.")


@section
class Options(AliquotRules, _Files):
    """Files, columns and rules of a cohort of a hub."""


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name. Hubs serve tables by names without a suffix, or with any."""
    served = (
        RawFile("expression", options.expression, "expression.tsv"),
        RawFile("phenotype", options.phenotype, "phenotype.tsv"),
    )
    return (*served, *list_given(options, "positions", "nomenclature"))


def read(options: Options, raw: Path, merged: Merged = NOTHING_MERGED) -> tuple[Cohort, dict[str, Any]]:
    """Read the cohort of a hub, named after its unit and number of types.

    Samples keep the order of the matrix, and are called as there; genes keep it too.
    """
    files = find_files(raw, list_files(options))
    path, phenotype_path = files["expression"], files["phenotype"]
    with refuse_changed(path, phenotype_path):
        form = find_form(path)
        table, name_rule = read_phenotype(phenotype_path, options)
        columns, rules = label_columns(form.header, 1, path, table, phenotype_path)
        kept, others_rule = _drop_others(columns, path)
        return build_cohort(
            files,
            kept,
            partial(_read_rows, path, form, read_nomenclature(files.get("nomenclature"))),
            read_types=columns["tumour_type"],
            rules=[name_rule, *rules, others_rule],
            options=options,
            name=f"xena-{parse_unit(options.unit).kept_in.split('(')[0].lower()}",
            unit=options.unit,
            merged=merged,
        )


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read the normal tissue of the same files."""
    return read_aside(read, options, raw)


def read_phenotype(path: Path, options: Options) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the labels of all samples, as `label_columns` takes them, and say whose names became codes.

    ``sample_type_code`` is empty for samples that are none of TCGA.
    """
    table = _read_texts(path)
    needed = (options.sample_column, options.label_column, options.patient_column)
    mend = "State sample_column, label_column and patient_column as the table calls them."
    need_columns(path, table.columns, [name for name in needed if name is not None], mend)
    barcodes, words = (table[name].str.strip() for name in needed[:2])
    codes = barcodes.str.extract(_BARCODE)[0].fillna("")
    known = words.str.lower().str.replace(" & ", " and ").map(_list_names())
    types = known.where(codes != "").fillna(words)
    patients = barcodes.str[:12]
    if options.patient_column is not None:
        given = table[options.patient_column].str.strip()
        patients = given.mask(given.isin(NO_TEXT), patients)
    labels = {"barcode": barcodes, "tumour_type": types, "patient": patients, "sample_type_code": codes}
    named = (words + ": " + types)[words != types].unique()
    return pd.DataFrame(labels), count_kept("name of a tumour type, made a code", named)


def _list_names() -> dict[str, str]:
    """List how TCGA's tumour types are called, in small letters, with the code of each."""
    known = read_resource("tumour_types.tsv")
    named = dict(zip(known["name"].str.lower(), known["code"], strict=True))
    return _NAMES | named | {f"tcga-{code.lower()}": code for code in known["code"]}


def _read_texts(path: Path) -> pd.DataFrame:
    """Read a table as text; Toil's phenotypes are not all in UTF-8."""
    try:
        return read_tabbed(path)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise CohortError(
            f"{path} must be a table separated by tabs, but got: {reason}. Download it again from the hub."
        ) from error


def _drop_others(columns: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Drop the samples that are none of TCGA."""
    other = columns["sample_type_code"] == ""
    if other.all():
        raise CohortError(
            f"Samples of {path} must be called as TCGA does, TCGA-OR-A5J1-01 or -01A, but got "
            f"{name_some(columns.index[:2])}. Take the source table for samples of other kinds."
        )
    entry = count_dropped(
        "sample that is none of TCGA", columns.index[other], columns.loc[other, "tumour_type"]
    )
    return columns[~other], entry


def _read_rows(path: Path, form: TextForm, nomenclature: Nomenclature | None, columns: Sequence[int]) -> Rows:
    """Read the expression of some samples."""
    names, expression = read_numbers(path, form, texts=[0], numbers=columns, transposed=True)
    found = identify_genes(
        list(names.iloc[:, 0]),
        path,
        "auto",
        lambda n: f"row {n + 2 + form.n_above}",
        values=expression,
        nomenclature=nomenclature,
    )
    return Rows(found.take(expression), found.genes, found.n_read, found.rules)
