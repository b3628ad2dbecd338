"""Merged tumour types: labels that get one new name, before types are counted and the patients split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.data.quality import count_kept, count_types
from expressionist.errors import CohortError, name_some

# New name → the labels that it stands for, as `cohort.merge_types` has them.
Merged = Mapping[str, Sequence[str]]
NOTHING_MERGED: Merged = MappingProxyType({})


def name_merged(merged: Merged) -> dict[str, str]:
    """Say what every merged label is called now.

    Examples
    --------
    >>> name_merged({"CRC": ["COAD", "READ"]})
    {'COAD': 'CRC', 'READ': 'CRC'}
    """
    return {label: name for name, labels in merged.items() for label in labels}


def rename_labels(labels: pd.Series, merged: Merged) -> pd.Series:
    """Call labels what they are called after merging."""
    names = name_merged(merged)
    return labels.map(lambda label: names.get(label, label))


def merge_types(samples: pd.DataFrame, merged: Merged) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Rename the tumour types of samples, and make an entry of quality.json for every new name.

    A label that no sample has, a new name that other samples have already, and fewer than two types left are
    refused.
    """
    if not merged:
        return samples, []
    present, names = set(samples["tumour_type"]), name_merged(merged)
    if unknown := sorted(set(names) - present):
        raise CohortError(
            f"cohort.merge_types must name tumour types of the cohort, but got {name_some(unknown)}. Choose "
            f"from {', '.join(sorted(present))}."
        )
    if taken := sorted(name for name, labels in merged.items() if name in present - set(labels)):
        raise CohortError(
            f"A new name in cohort.merge_types must not be that of another type, but got {name_some(taken)}. "
            "Choose another, or list that type among those merged."
        )
    called = samples.assign(tumour_type=rename_labels(samples["tumour_type"], merged))
    if called["tumour_type"].nunique() < 2:
        raise CohortError(
            f"cohort.merge_types must leave two tumour types or more, but got {name_some(merged)} alone. "
            "Merge fewer."
        )
    entries = []
    for name, labels in merged.items():
        old = samples["tumour_type"][samples["tumour_type"].isin(labels)]
        entry = count_kept(f"tumour type of {' + '.join(labels)}, called {name} (merge_types)", old.index)
        entries.append(entry | {"by_type": count_types(old)})
    return called, entries


def merge_simulated(cohort: Cohort, merged: Merged) -> tuple[Cohort, list[dict[str, Any]]]:
    """Merge types of a cohort that knows its planted markers and its truth."""
    samples, entries = merge_types(cohort.samples, merged)
    if not merged:
        return cohort, entries
    n_samples, names = cohort.samples["tumour_type"].value_counts(), name_merged(merged)
    markers = [
        ",".join(dict.fromkeys(names.get(owner, owner) for owner in owners.split(",")))
        for owners in cohort.genes["marker_of"]
    ]
    return replace(
        cohort,
        samples=samples,
        genes=cohort.genes.assign(marker_of=markers),
        truth=_merge_truth(cohort.truth, n_samples, merged),
        merged=merged,
    ), entries


def _merge_truth(
    truth: Mapping[str, pd.DataFrame], n_samples: pd.Series, merged: Merged
) -> dict[str, pd.DataFrame]:
    """Tell what the new types have beside all others; what moves a gene most is that of the greatest part."""
    effect, kinds = truth["effect"], truth["effect_kind"]
    n, total = n_samples[effect.columns], n_samples.sum()
    # Above the mean of all samples, instead of that of the others: these means can be averaged.
    centred = effect.astype(np.float64) * (total - n) / total * n
    parts = {"effect": effect.drop(columns=[*name_merged(merged)])}
    parts["effect_kind"] = kinds.drop(columns=[*name_merged(merged)])
    for name, labels in merged.items():
        of, n_merged = centred[[*labels]], n[[*labels]].sum()
        joint = of.sum(axis=1) / n_merged * total / (total - n_merged)
        most = of.abs().to_numpy().argmax(axis=1)
        kind = kinds[[*labels]].astype(str).to_numpy()[np.arange(len(kinds)), most]
        told = pd.Categorical(kind, kinds[labels[0]].cat.categories)
        parts["effect"] = parts["effect"].assign(**{name: joint.astype(np.float32)})
        parts["effect_kind"] = parts["effect_kind"].assign(**{name: told})
    return parts
