"""Rules that turn a labelled TCGA file into a cohort, and count what they drop.

They are applied in this order, and each is counted in the quality entry of what it dropped:

1. A row of the samples table needs a column of the expression, and a column needs a row with a cancer type.
   Where a barcode stands several times, because the aliquot was sequenced on two platforms, its k-th column
   belongs to its k-th row.
2. Only the sample types asked for stay.
3. Of several aliquots of one sample (patient and sample type) the first by barcode stays, unless they are
   to be averaged. Of several columns of one barcode that one counts as first whose platform is the commoner
   among the columns left.
4. Tumour types with too few patients go.
5. Genes without a name go, if asked for. Genes that share a symbol stay, told apart by their Entrez ids.
6. Values below 0, which batch correction leaves, become 0.
7. Several aliquots of one sample are averaged, if asked for.
8. Genes missing in any sample that is left go, or are filled with 0. Missingness tells tumour types apart
   (platforms and catalogues of genes differed), so it must not reach a model.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.quality import (
    count_dropped,
    count_kept,
    count_types,
    describe_cohort,
    drop_small_types,
)
from expressionist.data.readers.gene_names import UNNAMED, split_gene_names
from expressionist.data.readers.mangled import refuse_mangled
from expressionist.data.readers.positions import attach_positions, read_positions
from expressionist.data.readers.tables import read_numbers
from expressionist.data.readers.units import check_unit
from expressionist.data.readers.values import check_values
from expressionist.data.sources._aliquots import (
    BOOKKEEPING,
    AliquotRules,
    average_aliquots,
    choose_aliquots,
    keep_sample_types,
)
from expressionist.errors import CohortError, name_some

_BLOCK = 256


def build_cohort(
    path: Path,
    header: Sequence[str],
    columns: pd.DataFrame,
    *,
    n_before: int,
    read_types: Sequence[str],
    rules: list[dict[str, Any]],
    options: AliquotRules,
    positions: Path | None,
    name: str,
    unit: str,
) -> tuple[Cohort, dict[str, Any]]:
    """Read the columns that the rules keep, and make a cohort of them.

    Parameters
    ----------
    path : pathlib.Path
        The expression file, with genes in rows and their ids in the first column.
    header : sequence of str
        Its header.
    columns : pandas.DataFrame
        Its labelled columns, as `label_columns` gives them, or some of them.
    n_before : int
        Number of columns before the first aliquot; what those after the ids say of genes is counted.
    read_types : sequence of str
        Tumour type of every labelled column, for counting.
    rules : list of dict
        Entries of what was counted before.
    options : AliquotRules
        Which samples and genes stay.
    positions : pathlib.Path or None
        A file of gene positions.
    name, unit : str
        Of the cohort; the number of its types is put behind the name.

    Returns
    -------
    cohort : Cohort
        Samples and genes in the order of the file.
    quality : dict
        How many samples, genes and values each rule dropped or changed.

    Raises
    ------
    CohortError
        If the file is malformed, its values contradict the unit, or nothing is left to learn from.
    """
    kept, sample_rules = _choose_columns(columns, options)
    names, expression = read_numbers(
        path, header, texts=range(n_before), numbers=list(kept["column"]), transposed=True
    )
    genes = split_gene_names(list(names.iloc[:, 0]), path)
    refuse_mangled(list(genes.index), path, lambda place: f"row {place + 2}")
    n_genes_read = len(genes)
    check_values(expression, list(kept.index), list(genes.index), path, missing=True, negative=True)
    genes, expression, unnamed_rule = _drop_unnamed(genes, expression, options.unnamed)
    value_rules = [_clip(expression)]
    if options.aliquots == "mean":
        kept, expression = average_aliquots(kept, expression)
    genes, expression, missing_rule = _settle_missing(genes, expression, kept["tumour_type"], options.missing)
    value_rules += check_unit(expression, unit, list(kept.index), list(genes.index), path)
    located = None if positions is None else read_positions(positions)
    samples = kept.drop(columns=[*BOOKKEEPING])
    cohort = Cohort(
        name=f"{name}-{samples['tumour_type'].nunique()}",
        expression=expression,
        samples=samples,
        genes=genes if located is None else attach_positions(genes, located),
        unit=unit,
    )
    quality = describe_cohort(
        cohort,
        read_types=read_types,
        n_genes_read=n_genes_read,
        samples=[*rules, *sample_rules],
        genes=[*_count_words(names), unnamed_rule, missing_rule, _count_shared_symbols(genes)],
        values=value_rules,
        positions=None if located is None else located.about,
    )
    return cohort, quality


def _choose_columns(
    columns: pd.DataFrame, options: AliquotRules
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
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
    return genes[~unnamed], _keep_genes(expression, ~unnamed), entry


def _clip(expression: np.ndarray) -> dict[str, Any]:
    """Set values below 0 to 0, in place."""
    n, lowest = 0, np.float32(0)
    # By genes, as the file has them; what is compared with 0 stays in the processor's cache.
    for start in range(0, expression.shape[1], _BLOCK):
        block = expression[:, start : start + _BLOCK]
        n += int(np.count_nonzero(block < 0))
        lowest = np.fmin(lowest, np.fmin.reduce(block, axis=None))
        np.maximum(block, 0, out=block)
    entry: dict[str, Any] = {"rule": "value below 0 set to 0", "n": n}
    return entry | {"lowest": float(lowest)} if n else entry


def _settle_missing(
    genes: pd.DataFrame, expression: np.ndarray, types: pd.Series, which: str
) -> tuple[pd.DataFrame, np.ndarray, dict[str, Any]]:
    """Drop or fill genes that lack values, and count by tumour type how many genes lack some."""
    codes, names = pd.factorize(types, sort=True)
    lacks = np.zeros((len(names), len(genes)), bool)
    for gene, values in enumerate(expression.T):
        gaps = np.isnan(values)
        if gaps.any():
            lacks[codes[gaps], gene] = True
    missing = np.asarray(lacks.any(axis=0))
    lacking = {str(name): int(n) for name, n in zip(names, lacks.sum(axis=1), strict=True) if n}
    if which == "zero":
        entry = count_dropped(
            "gene missing in some samples, filled with 0 (missing: zero)", list(genes.index[missing])
        )
        n_values = int(np.count_nonzero(np.isnan(expression)))
        np.nan_to_num(expression, copy=False, nan=0.0)
        # Zeros where a catalogue had no such gene tell the type as well as the gaps did.
        fate = "They were filled with 0, which can tell types apart as well as the gaps did."
        return genes, expression, entry | {"by_type": lacking, "n_values": n_values, "fate": fate}
    if missing.all():
        raise CohortError(
            f"Some gene must have a value in every kept sample, but got none (genes missing by type: "
            f"{name_some(f'{name} {n}' for name, n in lacking.items())}). Set missing: zero, or drop types."
        )
    entry = count_dropped("gene missing in some kept sample (missing: drop)", list(genes.index[missing]))
    if missing.any():
        genes, expression = genes[~missing], _keep_genes(expression, ~missing)
    return genes, expression, entry | {"by_type": lacking, "fate": "They were dropped."}


def _count_words(names: pd.DataFrame) -> list[dict[str, Any]]:
    """Count what the columns between ids and aliquots say, such as whether a miRNA was batch-corrected."""
    return [
        count_kept(f"gene by its column {column}", list(names.iloc[:, 0]))
        | {"by_word": count_types(list(names[column]))}
        for column in names.columns[1:]
    ]


def _count_shared_symbols(genes: pd.DataFrame) -> dict[str, Any]:
    symbols = genes["symbol"][genes["symbol"] != UNNAMED]
    shared = symbols[symbols.duplicated(keep=False)]
    told = [f"{symbol} ({gene})" for gene, symbol in shared.items()]
    return count_kept("gene that shares its symbol, told apart by id", told)


def _keep_genes(expression: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Drop columns within the memory of the array: a second array of its size may be more than there is.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        With the samples of a gene side by side in memory, as it is read; overwritten.
    kept : numpy.ndarray of shape (n_genes,)
        Boolean.
    """
    genes, places = expression.T, np.flatnonzero(kept)
    for start in range(0, len(places), _BLOCK):
        # Genes move towards the front, over what was read before; the selection is a copy.
        chosen = places[start : start + _BLOCK]
        genes[start : start + len(chosen)] = genes[chosen]
    return genes[: len(places)].T
