"""What was kept and dropped on the way to a cohort: entries of quality.json, and rules that sources share."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.errors import CohortError, name_some

_N_EXAMPLES = 5


def count_dropped(rule: str, names: Sequence[str], types: Sequence[str] | None = None) -> dict[str, Any]:
    """Make the entry of one rule.

    Parameters
    ----------
    rule : str
        The rule, in words.
    names : sequence of str
        What it dropped (or changed); the first few are kept as examples.
    types : sequence of str, optional
        Tumour type of each, to be counted.

    Returns
    -------
    dict
        ``rule``, ``n``, ``examples`` and, with types, ``by_type``.

    Examples
    --------
    >>> count_dropped("sample type not kept", ["a", "b"], ["ACC", "ACC"])
    {'rule': 'sample type not kept', 'n': 2, 'examples': ['a', 'b'], 'by_type': {'ACC': 2}}
    """
    entry: dict[str, Any] = {
        "rule": rule,
        "n": len(names),
        "examples": [str(name) for name in names[:_N_EXAMPLES]],
    }
    if types is not None:
        entry["by_type"] = count_types(types)
    return entry


def count_kept(rule: str, names: Sequence[str]) -> dict[str, Any]:
    """Make the entry of a rule that drops nothing, with how much it has looked at and the first few names.

    Examples
    --------
    >>> count_kept("gene without a symbol, kept", ["a"])
    {'rule': 'gene without a symbol, kept', 'n': 0, 'examples': ['a'], 'n_kept': 1}
    """
    return count_dropped(rule, names) | {"n": 0, "n_kept": len(names)}


def count_types(types: Sequence[str]) -> dict[str, int]:
    """Count tumour types, in alphabetical order."""
    return {
        str(name): int(n)
        for name, n in pd.Series(list(types), dtype=object).value_counts().sort_index().items()
    }


def drop_small_types(samples: pd.DataFrame, smallest: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Drop the samples of tumour types with too few patients.

    Parameters
    ----------
    samples : pandas.DataFrame
        With the columns ``patient`` and ``tumour_type``.
    smallest : int
        Least number of patients of a type; 0 for samples that are no cohort to learn types from.

    Returns
    -------
    samples : pandas.DataFrame
        What is left.
    entry : dict
        What was dropped, for quality.json.

    Raises
    ------
    CohortError
        If fewer than two types are left.
    """
    n_patients = samples.groupby("tumour_type")["patient"].nunique()
    small = samples["tumour_type"].isin(n_patients.index[n_patients < smallest])
    dropped = samples[small]
    n_left = int((n_patients >= smallest).sum())
    if smallest and n_left < 2:
        counted = name_some(f"{name} ({n})" for name, n in n_patients.items())
        raise CohortError(
            f"At least two tumour types must have {smallest} patients or more, but got {n_left} "
            f"(patients by type: {counted}). Add samples, correct the labels or lower smallest_type."
        )
    rule = f"tumour type with fewer than {smallest} patients (smallest_type)"
    return samples[~small], count_dropped(rule, list(dropped.index), list(dropped["tumour_type"]))


def describe_cohort(
    cohort: Cohort,
    *,
    read_types: Sequence[str],
    n_genes_read: int,
    samples: list[dict[str, Any]],
    genes: list[dict[str, Any]],
    values: list[dict[str, Any]],
    positions: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Put the entries of all rules together.

    Parameters
    ----------
    cohort : Cohort
        What came of it.
    read_types : sequence of str
        Tumour type of each labelled sample before the rules.
    n_genes_read : int
        Number of genes in the file.
    samples, genes, values : list of dict
        Entries of the rules, in the order in which they were applied.
    positions : mapping, optional
        What is known of the file that gene positions came from.

    Returns
    -------
    dict
        JSON-able; the content of quality.json.
    """
    quality: dict[str, Any] = {
        "cohort": cohort.name,
        "unit": cohort.unit,
        "n_patients": int(cohort.samples["patient"].nunique()),
        "samples": {"read": len(read_types), "kept": len(cohort.samples), "rules": samples},
        "genes": {"read": n_genes_read, "kept": len(cohort.genes), "rules": genes},
        "values": {"rules": values},
        "types": {"read": count_types(read_types), "kept": count_types(list(cohort.samples["tumour_type"]))},
    }
    if positions is not None:
        quality["genes"]["positions"] = dict(positions)
    if "chromosome" in cohort.genes:
        lost = cohort.genes.index[cohort.genes["chromosome"].isna()]
        quality["genes"]["without_position"] = count_dropped(
            "no position known (kept, placed last)", list(lost)
        )
    return quality
