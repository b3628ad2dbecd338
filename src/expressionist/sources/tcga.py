"""TCGA: genes in rows and aliquot barcodes in columns, beside a table that labels the barcodes.

The rules are applied in this order, and each is counted in the quality entry of what it dropped:

1. A row of the samples table needs a column of the expression, and a column needs a row with a cancer type.
   Where a barcode stands several times, because the aliquot was sequenced on two platforms, its k-th column
   belongs to its k-th row.
2. Only the sample types asked for stay.
3. Of several aliquots of one sample (patient and sample type) the first by barcode stays, unless they are
   to be averaged. Of several columns of one barcode that one counts as first whose platform is the commoner
   among the columns left.
4. Tumour types with too few patients go.
5. Genes without a name go, if asked for.
6. Values below 0, which batch correction leaves, become 0.
7. Several aliquots of one sample are averaged, if asked for.
8. Genes missing in any sample that is left go, or are filled with 0. Missingness tells tumour types apart
   (platforms and catalogues of genes differed), so it must not reach a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.cohort import UNITS, Cohort
from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.sources._aliquots import (
    BOOKKEEPING,
    average_aliquots,
    choose_aliquots,
    keep_sample_types,
    label_columns,
)
from expressionist.sources._files import find_file
from expressionist.sources._genes import UNNAMED, attach_positions, read_positions, split_gene_names
from expressionist.sources._quality import count_dropped, describe_cohort, drop_small_types
from expressionist.sources._tables import read_header, read_numbers
from expressionist.sources._values import check_values

NEEDS_FILES = ("expression", "samples", "positions")


@dataclass(frozen=True)
class Options:
    """Files and rules of a TCGA cohort.

    Parameters
    ----------
    expression, samples : str
        Files: genes in rows and barcodes in columns; a table with ``barcode`` and ``cancer_type``.
    positions : str, optional
        File: a table with ``entrez`` or ``symbol``, ``chromosome`` and ``start``.
    unit : str
        Unit of the expression, one of `expressionist.cohort.UNITS`.
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
    """

    expression: str
    samples: str
    positions: str | None
    unit: str = field(metadata={"words": UNITS})
    sample_types: tuple[str, ...]
    more_sample_types: Mapping[str, list[str]]
    aliquots: str = field(metadata={"words": ("first", "mean")})
    missing: str = field(metadata={"words": ("drop", "zero")})
    unnamed: str = field(metadata={"words": ("keep", "drop")})
    smallest_type: int = field(metadata={"range": (1, float("inf"))})

    def __post_init__(self) -> None:
        for name, codes in self.more_sample_types.items():
            if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
                raise ParamsError(
                    f"more_sample_types: {name} must be a list of quoted codes, but got {codes!r}. "
                    'Write it like SKCM: ["06"].'
                )


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
    path = find_file(raw, "expression")
    header = read_header(path)
    labelled, label_rules = label_columns(header, path, find_file(raw, "samples"))
    kept, sample_rules = _choose_columns(labelled, options)
    names, expression = read_numbers(path, header, texts=[0], numbers=list(kept["column"]), transposed=True)
    genes = split_gene_names(list(names.iloc[:, 0]), path)
    n_genes_read = len(genes)
    check_values(expression, list(kept.index), list(genes.index), path, missing=True, negative=True)
    genes, expression, unnamed_rule = _drop_unnamed(genes, expression, options.unnamed)
    value_rules = [_clip(expression)]
    if options.aliquots == "mean":
        kept, expression = average_aliquots(kept, expression)
    genes, expression, missing_rule = _settle_missing(genes, expression, kept["tumour_type"], options.missing)
    if options.positions is not None:
        genes = attach_positions(genes, read_positions(find_file(raw, "positions")))
    samples = kept.drop(columns=[*BOOKKEEPING])
    name = f"tcga-{options.unit.split('(')[0].lower()}-{samples['tumour_type'].nunique()}"
    cohort = Cohort(name=name, expression=expression, samples=samples, genes=genes, unit=options.unit)
    quality = describe_cohort(
        cohort,
        read_types=list(labelled["tumour_type"]),
        n_genes_read=n_genes_read,
        samples=[*label_rules, *sample_rules],
        genes=[unnamed_rule, missing_rule],
        values=value_rules,
    )
    return cohort, quality


def _choose_columns(columns: pd.DataFrame, options: Options) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Apply the rules about samples, none of which needs the expression itself."""
    columns, types_rule = keep_sample_types(columns, options.sample_types, options.more_sample_types)
    columns, aliquots_rule = choose_aliquots(columns, options.aliquots)
    columns, small_rule = drop_small_types(columns, options.smallest_type)
    return columns, [types_rule, aliquots_rule, small_rule]


def _drop_unnamed(
    genes: pd.DataFrame, expression: np.ndarray, which: str
) -> tuple[pd.DataFrame, np.ndarray, dict[str, Any]]:
    unnamed = (genes["symbol"] == UNNAMED).to_numpy()
    if which == "keep":
        entry = count_dropped("gene without a symbol, kept (unnamed: keep)", [])
        return genes, expression, entry | {"n_kept": int(unnamed.sum())}
    if unnamed.all():
        raise CohortError("Some gene must have a symbol, but got none with one. Set unnamed: keep.")
    entry = count_dropped("gene without a symbol (unnamed: drop)", list(genes.index[unnamed]))
    return genes[~unnamed], np.compress(~unnamed, expression, axis=1), entry


def _clip(expression: np.ndarray) -> dict[str, Any]:
    """Set values below 0 to 0, in place."""
    n = int(np.count_nonzero(expression < 0))
    entry: dict[str, Any] = {"rule": "value below 0 set to 0", "n": n}
    if n:
        entry["lowest"] = float(np.nanmin(expression))
        np.maximum(expression, 0, out=expression)
    return entry


def _settle_missing(
    genes: pd.DataFrame, expression: np.ndarray, types: pd.Series, which: str
) -> tuple[pd.DataFrame, np.ndarray, dict[str, Any]]:
    """Drop or fill genes that lack values, and count by tumour type how many genes lack some."""
    by_type: dict[str, int] = {}
    missing = np.zeros(len(genes), bool)
    for tumour_type, rows in sorted(types.groupby(types).indices.items()):
        lacks = np.isnan(expression[rows]).any(axis=0)
        by_type[str(tumour_type)] = int(lacks.sum())
        missing |= lacks
    lacking = {name: n for name, n in by_type.items() if n}
    if which == "zero":
        entry = count_dropped(
            "gene missing in some samples, filled with 0 (missing: zero)", list(genes.index[missing])
        )
        n_values = int(np.count_nonzero(np.isnan(expression)))
        np.nan_to_num(expression, copy=False, nan=0.0)
        return genes, expression, entry | {"by_type": lacking, "n_values": n_values}
    if missing.all():
        raise CohortError(
            f"Some gene must have a value in every kept sample, but got none (genes missing by type: "
            f"{name_some(f'{name} {n}' for name, n in lacking.items())}). Set missing: zero, or drop types."
        )
    entry = count_dropped("gene missing in some kept sample (missing: drop)", list(genes.index[missing]))
    if missing.any():
        genes, expression = genes[~missing], np.compress(~missing, expression, axis=1)
    return genes, expression, entry | {"by_type": lacking}
