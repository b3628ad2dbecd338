"""TCGA: genes in rows and aliquot barcodes in columns, beside a table that labels the barcodes.

What stays is said in `expressionist.data.sources._tcga_rules`.
"""

from functools import partial
from pathlib import Path
from typing import Any

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import NOTHING_MERGED, Merged
from expressionist.data.readers.file_content import refuse_changed
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.raw_files import RawFile, find_files, list_given
from expressionist.data.readers.text_form import find_form
from expressionist.data.sources._aliquots import AliquotRules, label_columns, read_samples
from expressionist.data.sources._tcga_rules import build_cohort, read_aside, read_rows
from expressionist.data.units import KNOWN_UNITS, UnitName, parse_unit
from expressionist.params import key, section


@section
class _Files:
    expression: str = key(
        "File in the folder, or URL: genes in rows, aliquot barcodes in columns; `.tsv`, packed or not.",
        min_length=1,
    )
    samples: str = key("Likewise: a table with `barcode` and `cancer_type`.", min_length=1)
    positions: str | None = key("File or URL of where the genes lie, of any kind named above.")
    unit: UnitName = key(
        f"Of the expression: {KNOWN_UNITS}. Logarithms of a linear unit are undone, the others become "
        "log2(x+1). Linear ones are put on that scale inside the network; `as is` is left as it is."
    )


@section
class Options(AliquotRules, _Files):
    """Files and rules of a TCGA cohort."""


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name."""
    return list_given(options, "expression", "samples", "positions", "nomenclature")


def read(options: Options, raw: Path, merged: Merged = NOTHING_MERGED) -> tuple[Cohort, dict[str, Any]]:
    """Read a TCGA cohort, named after its unit and number of types.

    Samples keep the order of the file, are called by barcode, and have every further column of the samples
    table; genes keep it too, and are called by Entrez id where there is one.
    """
    return read_files(options, find_files(raw, list_files(options)), merged)


def read_files(
    options: Options, files: dict[str, Path], merged: Merged = NOTHING_MERGED
) -> tuple[Cohort, dict[str, Any]]:
    """Read a TCGA cohort as `read` does, from files by their options, wherever they lie."""
    path, samples_path = files["expression"], files["samples"]
    with refuse_changed(path, samples_path):
        form = find_form(path)
        columns, rules = label_columns(form.header, 1, path, read_samples(samples_path), samples_path)
        return build_cohort(
            files,
            columns,
            partial(read_rows, path, form, 1, read_nomenclature(files.get("nomenclature"))),
            read_types=columns["tumour_type"],
            rules=rules,
            options=options,
            name=f"tcga-{parse_unit(options.unit).kept_in.split('(')[0].lower()}",
            unit=options.unit,
            merged=merged,
        )


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read the normal tissue of the same files."""
    return read_aside(read, options, raw)
