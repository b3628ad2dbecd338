"""STAR counts of the GDC, a file for each sample, labelled by the GDC's sample sheet.

Files lie in a folder, as gdc-client or a browser has left them, or are downloaded by a manifest. What stays
is said in `expressionist.data.sources._tcga_rules`; before that

1. a file needs a row of the sheet, and a row a file;
2. genes of other kinds than those asked for go.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Annotated, Any

import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import NOTHING_MERGED, Merged
from expressionist.data.nomenclature import Nomenclature
from expressionist.data.quality import count_dropped
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.raw_files import Mirror, RawFile, find_files, find_many, list_given
from expressionist.data.readers.star_counts import SUFFIX, UNIT_OF, read_star_rows, read_star_values
from expressionist.data.readers.text_tables import need_columns, read_texts
from expressionist.data.sources._aliquots import AliquotRules
from expressionist.data.sources._tcga_rules import Rows, build_cohort, read_aside
from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.files import find_given
from expressionist.params import OneOf, key, section

_COUNTS = "counts"
_IN_SHEET = {
    "File Name": "file",
    "Project ID": "tumour_type",
    "Case ID": "patient",
    "Sample ID": "barcode",
}
# Sheets say what a sample is in one column or, since 2024, in two.
_KINDS = ("Sample Type", "Tissue Type", "Tumor Descriptor")
_CODES = {
    "primary tumor": "01",
    "primary": "01",
    "recurrent tumor": "02",
    "recurrence": "02",
    "primary blood derived cancer - peripheral blood": "03",
    "recurrent blood derived cancer - bone marrow": "04",
    "additional - new primary": "05",
    "metastatic": "06",
    "additional metastatic": "07",
    "primary blood derived cancer - bone marrow": "09",
    "blood derived normal": "10",
    "solid tissue normal": "11",
    "normal": "11",
    "bone marrow normal": "14",
    "recurrent blood derived cancer - peripheral blood": "40",
    "cell lines": "50",
}
_UNKNOWN_CODE = "00"
_BARCODE = r"^TCGA-..-....-(\d\d)"
_IN_MANIFEST = ("id", "filename", "md5", "size")
_UUID, _MD5 = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[0-9a-f]{32}"


@section
class _Files:
    counts: str | None = key(
        f"Folder with the files `*{SUFFIX}`, packed or not, flat or each in a folder of its own, as "
        "gdc-client leaves them. Null: downloaded by the manifest."
    )
    manifest: str | None = key(
        "A file in the folder: the GDC's manifest, by which the files are downloaded. Null: they lie in "
        "`counts`."
    )
    sample_sheet: str = key(
        "File in the folder, or URL: the GDC's sample sheet of the same files.", min_length=1
    )
    mirror: Mirror = key("URL below which the files of the manifest stand by their UUID.")
    column: Annotated[str, OneOf(lambda: UNIT_OF)] = key(
        "Which column is read, and so the unit: counts, TPM, FPKM or FPKM-UQ."
    )
    gene_types: Annotated[str, OneOf(lambda: ("all", "protein_coding"))] = key(
        "Which of the 60,616 genes: all, or those that code for a protein."
    )
    positions: str | None = key("File or URL of where the genes lie, of any kind named above.")

    def __post_init__(self) -> None:
        if (self.counts is None) == (self.manifest is None):
            both = "none" if self.counts is None else f"counts: {self.counts} and manifest: {self.manifest}"
            raise ParamsError(f"One of counts and manifest must be given, but got {both}. Give one of them.")


@section
class Options(AliquotRules, _Files):
    """Files and rules of a cohort of STAR counts."""


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name."""
    return list_given(options, "sample_sheet", "positions", "nomenclature")


def list_many(options: Options, folder: Path) -> tuple[RawFile, ...]:
    """List the files of STAR counts: those that lie in the incoming folder, or those of the manifest."""
    if options.manifest is not None:
        files = _list_manifest(find_given(folder / options.manifest), options.mirror.rstrip("/"))
    else:
        files = _list_folder(folder, str(options.counts))
    names = pd.Series([file.called.removesuffix(".gz") for file in files])
    if names.duplicated().any():
        raise CohortError(
            f"Every file of STAR counts must stand once, but got more often: "
            f"{name_some(names[names.duplicated()].unique())}. Remove the repeats."
        )
    return files


def _list_folder(folder: Path, name: str) -> tuple[RawFile, ...]:
    above = find_given(folder / name)
    found = sorted(path for path in above.rglob("*") if _is_counts(path.name) and path.is_file())
    if not found:
        raise CohortError(
            f"cohort.gdc.counts must be a folder in {folder} with files *{SUFFIX}, but got none in {name}. "
            "Put them there, or correct cohort.folder."
        )
    addresses = [str(PurePath(name) / path.relative_to(above)) for path in found]
    return tuple(RawFile(_COUNTS, address, is_one_of_many=True) for address in addresses)


def _is_counts(name: str) -> bool:
    return name.endswith((SUFFIX, f"{SUFFIX}.gz")) and not name.startswith(".")


def _list_manifest(path: Path, mirror: str) -> tuple[RawFile, ...]:
    """List the STAR counts among the files of a manifest."""
    mend = "Download the manifest from the GDC's cart again."
    if not path.is_file():
        raise CohortError(
            f"cohort.gdc.manifest must be a file, but got {path}, which is not there. Put it there."
        )
    table = read_texts(path)
    need_columns(path, table.columns, _IN_MANIFEST, mend)
    table = table[[_is_counts(name) for name in table["filename"]]]
    good = table["id"].str.fullmatch(_UUID) & table["md5"].str.fullmatch(_MD5) & table["size"].str.isdecimal()
    good &= ~table["filename"].str.contains("[/\\\\]") & table["filename"].map(str.isprintable)
    if not good.all() or table.empty:
        came = " ".join(table[~good].iloc[0]) if len(table) else "no such row"
        raise CohortError(
            f"{path} must have a UUID, a name, a md5 and a size for files *{SUFFIX}, but got {came}. {mend}"
        )
    rows = zip(*(table[column] for column in _IN_MANIFEST), strict=True)
    return tuple(
        RawFile(_COUNTS, f"{mirror}/{uuid}", name, int(size), md5, is_one_of_many=True)
        for uuid, name, md5, size in rows
    )


def read(
    options: Options,
    raw: Path,
    merged: Merged = NOTHING_MERGED,
    on_progress: Callable[[int, int], None] = lambda n_read, n_files: None,
) -> tuple[Cohort, dict[str, Any]]:
    """Read a cohort of STAR counts, named after its unit and number of types.

    Samples stand in the order of the files, and are called by their sample id; genes keep the order of the
    files, and are called by Ensembl id. `on_progress` is told how many of how many files have been read.
    """
    files = find_files(raw, list_files(options)) | {"expression": raw / _COUNTS}
    paths = find_many(raw, _COUNTS)
    columns, rules = label_files(paths, files["sample_sheet"])
    unit = UNIT_OF[options.column]
    nomenclature = read_nomenclature(files.get("nomenclature"))
    return build_cohort(
        files,
        columns,
        partial(_read_rows, paths, options, nomenclature, on_progress),
        read_types=columns["tumour_type"],
        rules=rules,
        options=options,
        name=f"gdc-{unit.lower()}",
        unit=unit,
        merged=merged,
    )


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read the normal tissue of the same files."""
    return read_aside(read, options, raw)


def label_files(paths: Sequence[Path], sheet_path: Path) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give every file its row of the sample sheet, and count what lacks the other; all of them is refused.

    The table is what `build_cohort` takes; of a TCGA project the type is the study code.
    """
    sheet = _read_sheet(sheet_path).drop_duplicates("file").set_index("file")
    names = pd.Index([path.name.removesuffix(".gz") for path in paths], name="file")
    known = names.isin(sheet.index)
    if not known.any():
        raise CohortError(
            f"Files of STAR counts must be named in {sheet_path}, but got {name_some(names[:2])}, and there "
            f"{name_some(sheet.index[:2])}. Download the sample sheet of the same cart."
        )
    unheard = sheet[~sheet.index.isin(names)]
    rules = [
        count_dropped("row of the sample sheet without a file", unheard["barcode"], unheard["tumour_type"]),
        count_dropped("file without a row of the sample sheet", names[~known]),
    ]
    columns = sheet.reindex(names[known]).assign(column=known.nonzero()[0]).reset_index()
    return columns.set_index("barcode").rename_axis(index="sample_id"), rules


def _read_sheet(path: Path) -> pd.DataFrame:
    table = read_texts(path)
    mend = "Download the sample sheet from the GDC's cart again."
    need_columns(path, table.columns, list(_IN_SHEET), mend)
    sheet = table[list(_IN_SHEET)].rename(columns=_IN_SHEET)
    sheet["file"] = sheet["file"].str.removesuffix(".gz")
    sheet["tumour_type"] = sheet["tumour_type"].str.removeprefix("TCGA-")
    # Of a file that was made of several portions each is listed.
    for column in ("patient", "barcode"):
        sheet[column] = sheet[column].str.split(",").str[0].str.strip()
    kinds = [table[column].str.lower().map(_CODES) for column in _KINDS if column in table]
    code = sheet["barcode"].str.extract(_BARCODE)[0]
    for kind in kinds:
        code = code.fillna(kind)
    return sheet.assign(sample_type_code=code.fillna(_UNKNOWN_CODE))


def _read_rows(
    paths: Sequence[Path],
    options: Options,
    nomenclature: Nomenclature | None,
    on_progress: Callable[[int, int], None],
    columns: Sequence[int],
) -> Rows:
    """Read the files of some columns."""
    chosen = [paths[column] for column in columns]
    rows = read_star_rows(chosen[0], nomenclature)
    if options.gene_types != "all":
        fits = (rows.genes["gene_type"] == options.gene_types).to_numpy()
        rule = f"gene of another kind than {options.gene_types} (gene_types)"
        rows = rows.take(fits, count_dropped(rule, rows.genes.index[~fits]))
    values = read_star_values(chosen, options.column, rows, on_progress)
    return Rows(values, rows.genes, len(rows.names), rows.rules)
