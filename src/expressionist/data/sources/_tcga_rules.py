"""Rules that turn a labelled TCGA file into a cohort, and count what they drop.

They are applied in this order, and each is counted in the quality entry of what it dropped:

1. A row of the samples table needs a column of the expression, and a column needs a row with a cancer type.
   Where a barcode stands several times, because the aliquot was sequenced on two platforms, its k-th column
   belongs to its k-th row.
2. Only the sample types asked for stay.
3. Of several aliquots of one sample (patient and sample type) the first by barcode stays, unless they are
   to be averaged. Of several columns of one barcode that one counts as first whose platform is the commoner
   among the columns left.
4. Tumour types that are to be merged get their new name; those with too few patients go.
5. Genes without a name go, if asked for. Genes that share a symbol stay, told apart by their Entrez ids.
6. Values below 0, which batch correction leaves, become 0, where the unit has none; too many are refused.
7. Several aliquots of one sample are averaged, if asked for.
8. Genes missing in any sample that is left go, or are filled with 0. Missingness tells tumour types apart
   (platforms and catalogues of genes differed), so it must not reach a model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import Merged, merge_types, rename_labels
from expressionist.data.nomenclature import Nomenclature
from expressionist.data.quality import (
    count_dropped,
    count_kept,
    count_types,
    describe_cohort,
    drop_small_types,
)
from expressionist.data.readers.gene_ids import UNNAMED, identify_genes
from expressionist.data.readers.missing import settle_missing
from expressionist.data.readers.positions import place_genes
from expressionist.data.readers.row_source import keep_genes
from expressionist.data.readers.text_form import TextForm
from expressionist.data.readers.text_tables import read_numbers
from expressionist.data.readers.units import check_values, clip_negative, refuse_negative, settle_unit
from expressionist.data.sources._aliquots import (
    BOOKKEEPING,
    AliquotRules,
    average_aliquots,
    choose_aliquots,
    keep_sample_types,
)
from expressionist.data.units import parse_unit
from expressionist.errors import CohortError, NoSamplesError

_Rules = TypeVar("_Rules", bound=AliquotRules)


@dataclass(frozen=True)
class Rows:
    """Expression as it was read: float32 of shape (n_columns, n_genes), and what is known of its genes.

    `n_genes_read` counts those that were left out, too; `rules` are the entries of that.
    """

    expression: np.ndarray
    genes: pd.DataFrame
    n_genes_read: int
    rules: list[dict[str, Any]]


def read_rows(
    path: Path, form: TextForm, n_before: int, nomenclature: Nomenclature | None, columns: Sequence[int]
) -> Rows:
    """Read some columns of a text table with genes in rows and their ids in the first column.

    `n_before` cells stand before the first aliquot; what those after the ids say of genes is counted.
    """
    names, expression = read_numbers(path, form, texts=range(n_before), numbers=columns, transposed=True)
    ids = identify_genes(
        list(names.iloc[:, 0]),
        path,
        "auto",
        lambda place: f"row {place + 2}",
        values=expression,
        nomenclature=nomenclature,
    )
    rules = [*ids.rules, *_count_words(names.iloc[ids.kept])]
    return Rows(ids.take(expression), ids.genes, ids.n_read, rules)


def build_cohort(
    files: Mapping[str, Path],
    columns: pd.DataFrame,
    read: Callable[[Sequence[int]], Rows],
    *,
    read_types: pd.Series,
    rules: list[dict[str, Any]],
    options: AliquotRules,
    name: str,
    unit: str,
    merged: Merged,
) -> tuple[Cohort, dict[str, Any]]:
    """Read the columns that the rules keep, and make a cohort of them, and the content of quality.json.

    `files` has ``expression``, by which it is called in messages, and ``positions`` or not. `columns` are
    labelled, as `label_columns` gives them, or some of those; `read` reads the expression of some, by their
    positions. `read_types` are the tumour types of all labelled columns, `rules` the entries of what was
    counted before. The number of types is put behind the name.
    """
    path = files["expression"]
    # None of these needs the expression itself.
    kept, types_rule = keep_sample_types(columns, options.sample_types, options.more_sample_types)
    kept, aliquots_rule = choose_aliquots(kept, options.aliquots)
    kept, merged_rules = merge_types(kept, merged)
    kept, small_rule = drop_small_types(kept, options.smallest_type)
    found = read(list(kept["column"]))
    genes, expression = found.genes, found.expression
    check_values(expression, list(kept.index), list(genes.index), path, missing=True, negative=True)
    genes, expression, unnamed_rule = _drop_unnamed(genes, expression, options.unnamed)
    value_rules = []
    if not parse_unit(unit).may_be_negative:
        refuse_negative(expression, parse_unit(unit), path)
        value_rules.append(clip_negative(expression))
    if options.aliquots == "mean":
        kept, expression = average_aliquots(kept, expression)
    genes, expression, missing_rule = settle_missing(genes, expression, kept["tumour_type"], options.missing)
    expression, unit, unit_rules = settle_unit(expression, unit, list(kept.index), list(genes.index), path)
    shared_rule = _count_shared_symbols(genes)
    genes, about = place_genes(genes, files.get("positions"))
    samples = kept.drop(columns=[*BOOKKEEPING])
    n_types = samples["tumour_type"].nunique()
    cohort = Cohort(f"{name}-{n_types}", expression, samples, genes, unit, merged=merged)
    quality = describe_cohort(
        cohort,
        read_types=rename_labels(read_types, merged),
        n_genes_read=found.n_genes_read,
        samples=[*rules, types_rule, aliquots_rule, *merged_rules, small_rule],
        genes=[*found.rules, unnamed_rule, missing_rule, shared_rule],
        values=[*value_rules, *unit_rules],
        positions=about,
    )
    return cohort, quality


def read_aside(
    read: Callable[[_Rules, Path], tuple[Cohort, dict[str, Any]]], options: _Rules, raw: Path
) -> Cohort | None:
    """Read normal tissue by a source's own `read`, as a cohort of its own; types are those of the patients.

    It tells samples that are unlike tumours. None where no normal tissue is asked for, or there.
    """
    if not options.normal_types:
        return None
    rules = replace(options, sample_types=options.normal_types, more_sample_types={}, smallest_type=0)
    try:
        return read(rules, raw)[0]
    except NoSamplesError:
        return None


def _drop_unnamed(
    genes: pd.DataFrame, expression: np.ndarray, which: str
) -> tuple[pd.DataFrame, np.ndarray, dict[str, Any]]:
    unnamed = (genes["symbol"] == UNNAMED).to_numpy()
    if which == "keep":
        entry = count_dropped("gene without a symbol, kept (unnamed: keep)", [])
        return genes, expression, entry | {"n_kept": int(unnamed.sum())}
    if unnamed.all():
        raise CohortError("Some gene must have a symbol, but got none with one. Set unnamed: keep.")
    entry = count_dropped("gene without a symbol (unnamed: drop)", genes.index[unnamed])
    return genes[~unnamed], keep_genes(expression, np.flatnonzero(~unnamed)), entry


def _count_words(names: pd.DataFrame) -> list[dict[str, Any]]:
    """Count what the columns between ids and aliquots say, such as whether a miRNA was batch-corrected."""
    return [
        count_kept(f"gene by its column {column}", names.iloc[:, 0]) | {"by_word": count_types(names[column])}
        for column in names.columns[1:]
    ]


def _count_shared_symbols(genes: pd.DataFrame) -> dict[str, Any]:
    symbols = genes["symbol"][genes["symbol"] != UNNAMED]
    shared = symbols[symbols.duplicated(keep=False)]
    told = [f"{symbol} ({gene})" for gene, symbol in shared.items()]
    return count_kept("gene that shares its symbol, told apart by id", told)
