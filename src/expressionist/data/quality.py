"""What was kept and dropped on the way to a cohort: entries of quality.json, and rules that sources share."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.errors import CohortError, name_some

_N_EXAMPLES = 5


def count_dropped(rule: str, names: Iterable[object], types: Iterable[str] | None = None) -> dict[str, Any]:
    """Make the entry of one rule from what it dropped (or changed) and, if told, the tumour type of each."""
    dropped = [str(name) for name in names]
    entry: dict[str, Any] = {"rule": rule, "n": len(dropped), "examples": dropped[:_N_EXAMPLES]}
    return entry if types is None else entry | {"by_type": count_types(types)}


def count_kept(rule: str, names: Iterable[object]) -> dict[str, Any]:
    """Make the entry of a rule that drops nothing, with how much it has looked at and the first few names."""
    entry = count_dropped(rule, names)
    return entry | {"n": 0, "n_kept": entry["n"]}


def count_types(types: Iterable[object]) -> dict[str, int]:
    """Count tumour types, in alphabetical order."""
    return dict(sorted(Counter(map(str, types)).items()))


def drop_small_types(samples: pd.DataFrame, smallest: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Drop the samples of tumour types with too few patients, and make the entry of that.

    Fewer than two types left are refused, unless `smallest` is 0: those are no cohort to learn types from.
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
    return samples[~small], count_dropped(rule, dropped.index, dropped["tumour_type"])


def describe_cohort(
    cohort: Cohort,
    *,
    read_types: pd.Series,
    n_genes_read: int,
    samples: list[dict[str, Any]],
    genes: list[dict[str, Any]],
    values: list[dict[str, Any]],
    positions: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Put the entries of all rules, in the order in which they were applied, together to quality.json.

    `read_types` are those of the labelled samples before the rules; `positions` says what is known of the
    file that gene positions came from.
    """
    quality: dict[str, Any] = {
        "cohort": cohort.name,
        "unit": cohort.unit,
        "n_patients": int(cohort.samples["patient"].nunique()),
        "samples": {"read": len(read_types), "kept": len(cohort.samples), "rules": samples},
        "genes": {"read": n_genes_read, "kept": len(cohort.genes), "rules": genes},
        "values": {"rules": values},
        "types": {"read": count_types(read_types), "kept": count_types(cohort.samples["tumour_type"])},
    }
    if positions is not None:
        quality["genes"]["positions"] = dict(positions)
    if "chromosome" in cohort.genes:
        lost = cohort.genes.index[cohort.genes["chromosome"].isna()]
        quality["genes"]["without_position"] = count_dropped("no position known (kept, placed last)", lost)
    return quality
