"""TCGA: genes in rows and aliquot barcodes in columns, beside a table that labels the barcodes.

What stays is said in `expressionist.data.sources._tcga_rules`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from expressionist.data.cohort import UNITS, Cohort
from expressionist.data.readers.files import find_file, refuse_changed
from expressionist.data.readers.raw_files import RawFile, list_given
from expressionist.data.readers.tables import read_header
from expressionist.data.sources._aliquots import AliquotRules, label_columns, read_samples
from expressionist.data.sources._normals import read_aside
from expressionist.data.sources._tcga_rules import build_cohort
from expressionist.params import OneOf, key


@dataclass(frozen=True)
class _Files:
    expression: str = field(
        metadata=key(
            "File in the folder, or URL: genes in rows, aliquot barcodes in columns; `.tsv`, packed or not.",
            min_length=1,
        )
    )
    samples: str = field(metadata=key("Likewise: a table with `barcode` and `cancer_type`.", min_length=1))
    positions: str | None = field(
        metadata=key("File or URL of where the genes lie, of any kind named above.")
    )
    unit: Annotated[str, OneOf(lambda: UNITS)] = field(
        metadata=key(
            "Of the expression. Linear ones are put on a log2(x+1) scale inside the network; `as is` is "
            "left as it is."
        )
    )


@dataclass(frozen=True)
class Options(AliquotRules, _Files):
    """Files and rules of a TCGA cohort.

    Parameters
    ----------
    expression, samples : str
        Files: genes in rows and barcodes in columns; a table with ``barcode`` and ``cancer_type``.
    positions : str, optional
        File: where the genes lie, in a format that `expressionist.data.readers.positions` knows.
    unit : str
        Unit of the expression, one of `expressionist.data.cohort.UNITS`.
    sample_types, more_sample_types, aliquots, missing, unnamed, smallest_type, normal_types
        As in `expressionist.data.sources._aliquots.AliquotRules`.
    """


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the files that the options name."""
    return list_given(options, "expression", "samples", "positions")


def read(options: Options, raw: Path) -> tuple[Cohort, dict[str, Any]]:
    """Read a TCGA cohort from fetched files.

    Parameters
    ----------
    options : Options
        Files and rules.
    raw : pathlib.Path
        Folder with ``expression``, ``samples`` and, where options name one, ``positions``.

    Returns
    -------
    cohort : Cohort
        Samples in the order of the file, called by barcode, with every further column of the samples table;
        genes in the order of the file, called by Entrez id where there is one. Named after unit and number of
        types.
    quality : dict
        How many samples, genes and values each rule dropped or changed.

    Raises
    ------
    CohortError
        If a file is malformed or nothing is left to learn from.
    """
    path, samples_path = find_file(raw, "expression"), find_file(raw, "samples")
    with refuse_changed(path, samples_path):
        header = read_header(path)
        columns, rules = label_columns(header, 1, path, read_samples(samples_path), samples_path)
        return build_cohort(
            path,
            header,
            columns,
            n_before=1,
            read_types=list(columns["tumour_type"]),
            rules=rules,
            options=options,
            positions=None if options.positions is None else find_file(raw, "positions"),
            name=f"tcga-{options.unit.split('(')[0].lower()}",
            unit=options.unit,
        )


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read normal tissue, see `expressionist.data.sources._normals.read_aside`."""
    return read_aside(read, options, raw)
