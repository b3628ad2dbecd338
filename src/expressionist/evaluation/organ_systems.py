"""Organ systems: what an answer can still say where the types of one organ cannot be told apart."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from expressionist.data import read_resource

ABSTAIN = "abstain"


def find_organ_systems(
    tumour_types: Sequence[str], merged: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Find the organ system of each tumour type.

    Parameters
    ----------
    tumour_types : sequence of str
        TCGA study codes; what is none is an organ system of its own.
    merged : mapping of str to sequence of str, optional
        Codes that merged types stand for: they have the organ system of all of them, if it is one.

    Examples
    --------
    >>> find_organ_systems(["CRC", "STAD", "my type"], {"CRC": ["COAD", "READ"]})
    ['core gastrointestinal', 'core gastrointestinal', 'my type']
    """
    known = read_resource("organ_systems.tsv").set_index("code")["organ_system"].to_dict()
    for name, codes in (merged or {}).items():
        systems = {known.get(code) for code in codes}
        # A label of one's own that was given a study code's name stands for what the code does.
        if systems != {None}:
            known[name] = systems.pop() if len(systems) == 1 else None
    return [known.get(name) or name for name in tumour_types]


def answer_by_organ(
    probabilities: np.ndarray, tumour_types: Sequence[str], organ_systems: Sequence[str], threshold: float
) -> pd.DataFrame:
    """Read predictions by organ system, and answer as exactly as the probabilities allow.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Calibrated.
    tumour_types, organ_systems : sequence of str of length n_types
        The types, and from `find_organ_systems` the organ system of each.
    threshold : float
        Least probability of an answer.

    Returns
    -------
    pandas.DataFrame of length n_samples
        ``organ_system``, that of the greatest summed probability; ``organ_system_probability``, that sum; and
        ``answer``: the type if it reaches the threshold, else the organ system if its sum does and it has
        several types, else ``abstain``.

    Examples
    --------
    >>> given = np.array([[0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.3, 0.2, 0.5]])
    >>> answer_by_organ(given, ["COAD", "READ", "UVM"], ["gut", "gut", "eye"], 0.8)["answer"].tolist()
    ['COAD', 'gut', 'abstain']
    """
    names, codes, n_types = np.unique(
        np.asarray(organ_systems, dtype=object), return_inverse=True, return_counts=True
    )
    sums = probabilities @ np.eye(len(names), dtype=probabilities.dtype)[codes]
    best, first = sums.argmax(axis=1), probabilities.argmax(axis=1)
    total = np.minimum(sums.max(axis=1), 1)
    # A threshold of 1 stands for no answer at all, and a sum is rounded.
    enough = (total >= threshold) & (n_types[best] > 1) & (threshold < 1)
    by_organ = np.where(enough, names[best], ABSTAIN)
    sure = probabilities.max(axis=1) >= threshold
    return pd.DataFrame(
        {
            "organ_system": names[best],
            "organ_system_probability": total,
            "answer": np.where(sure, np.asarray(tumour_types, dtype=object)[first], by_organ),
        }
    )
