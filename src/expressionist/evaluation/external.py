"""What predictions are worth on another labelled cohort, some of whose types the model may not know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from expressionist.errors import CohortError
from expressionist.evaluation.calibration import bin_reliability, trace_coverage
from expressionist.evaluation.metrics import METRICS, bootstrap, confusion, mcnemar, per_type, score
from expressionist.params import EvaluationParams

_N_BINS = 10


@dataclass(frozen=True, eq=False)
class ExternalCohort:
    """The labels of another cohort, as a model sees them.

    `labels` and `patients` are of shape (n_samples,), text; `tumour_types` are the model's, in its order.
    """

    labels: np.ndarray
    patients: np.ndarray
    tumour_types: tuple[str, ...]

    @property
    def truth(self) -> np.ndarray:
        """Positions of the labels in the model's types; -1 for foreign ones."""
        return pd.Index(self.tumour_types).get_indexer(pd.Index(self.labels))


def judge_external(
    cohort: ExternalCohort,
    probabilities: np.ndarray,
    marks: pd.DataFrame,
    baselines: Mapping[str, np.ndarray],
    evaluation: EvaluationParams,
) -> dict[str, Any]:
    """Score predictions on another cohort: known types as on test samples, foreign types by what they raise.

    Parameters
    ----------
    cohort : ExternalCohort
        Labels and patients.
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        The network's, calibrated.
    marks : pandas.DataFrame of length n_samples
        ``abstain`` and ``unlike_training``, true or false, as `predict` gives them.
    baselines : mapping of str to numpy.ndarray
        By baseline model: its probabilities.
    evaluation : EvaluationParams
        Bootstrap and its level; patients are drawn.

    Returns
    -------
    dict
        ``counts`` of samples and patients; ``models``, by name (the network's is ``network``), with
        ``scores``, ``intervals`` and, for baseline models, McNemar's test; ``answered``: samples of known
        types that have neither mark; ``flagged``: a row for all known types, for all foreign ones and for
        each of these; ``reliability`` and ``coverage``; ``confusion`` and ``per_type``. Where no type is
        known, ``models`` is empty and what needs the truth is None.

    Raises
    ------
    CohortError
        If there is no sample.
    """
    truth = cohort.truth
    if not len(truth):
        raise CohortError(
            "A cohort must have labelled samples, but got none. Check the sample ids of the labels."
        )
    known = truth >= 0
    facts: dict[str, Any] = {
        "counts": _count(cohort, known),
        "flagged": _tabulate_marks(cohort.labels, probabilities, marks, known, cohort.tumour_types),
    }
    if not known.any():
        nothing = dict.fromkeys(("answered", "reliability", "coverage", "confusion", "per_type"))
        return facts | {"models": {}} | nothing
    true, patients, ours = truth[known], cohort.patients[known], probabilities[known]
    # As in the column `answer`, what is unlike the training samples has none, whatever its probability.
    sure = ~(marks["abstain"] | marks["unlike_training"]).to_numpy(bool)[known]
    models = {"network": _score(ours, true, patients, evaluation)}
    for name, theirs in baselines.items():
        models[name] = _score(theirs[known], true, patients, evaluation) | _test(ours, theirs[known], true)
    answered = {"share": float(sure.mean())}
    if sure.any():
        among = _score(ours[sure], true[sure], patients[sure], evaluation)
        answered |= {"accuracy": among["scores"]["accuracy"], "interval": among["intervals"]["accuracy"]}
    return facts | {
        "models": models,
        "answered": answered,
        "reliability": bin_reliability(ours, true, _N_BINS).to_dict("list"),
        "coverage": trace_coverage(ours, true).to_dict("list"),
        "confusion": confusion(ours, true).tolist(),
        "per_type": per_type(ours, true, cohort.tumour_types).query("n_samples > 0").to_dict("list"),
    }


def flatten_external(facts: Mapping[str, Any]) -> dict[str, float]:
    """Give the scores of the network, and of the baseline models, one flat set of names.

    Examples
    --------
    >>> one = {"scores": {"ece": 0.1}, "intervals": {"ece": [0.0, 0.3]}}
    >>> known = {"counts": {"n_known": 9}, "answered": {"share": 1.0}, "flagged": []}
    >>> flatten_external({**known, "models": {"network": one}})
    {'n_known': 9, 'ece': 0.1, 'ece_low': 0.0, 'ece_high': 0.3, 'answered': 1.0}
    """
    flat: dict[str, float] = dict(facts["counts"])
    for name, model in facts["models"].items():
        before = "" if name == "network" else f"{name}_"
        for metric, value in model["scores"].items():
            low, high = model["intervals"][metric]
            flat |= {f"{before}{metric}": value, f"{before}{metric}_low": low, f"{before}{metric}_high": high}
    answered = facts["answered"] or {}
    names = {"share": "answered", "accuracy": "answered_accuracy"}
    flat |= {name: answered[key] for key, name in names.items() if key in answered}
    totals = [row for row in facts["flagged"] if row["type"] is None]
    return flat | {f"flagged_{row['kind']}": row["share_either"] for row in totals}


def _score(
    probabilities: np.ndarray, truth: np.ndarray, patients: np.ndarray, evaluation: EvaluationParams
) -> dict[str, Any]:
    intervals = bootstrap(
        probabilities,
        truth,
        n_resamples=evaluation.n_resamples,
        level=evaluation.level,
        rng=np.random.default_rng(evaluation.seed),
        patients=patients,
    )
    scores = score(probabilities, truth)
    return {"scores": {name: scores[name] for name in METRICS}, "intervals": intervals}


def _test(ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Test whether the network and a baseline model are equally often right."""
    test = mcnemar(ours.argmax(axis=1) == truth, theirs.argmax(axis=1) == truth)
    return {"only_network_right": test.only_a, "only_this_right": test.only_b, "p_value": test.p_value}


def _count(cohort: ExternalCohort, known: np.ndarray) -> dict[str, int]:
    return {
        "n_samples": len(known),
        "n_patients": len(np.unique(cohort.patients)),
        "n_known": int(known.sum()),
        "n_foreign": int((~known).sum()),
        "n_known_types": len(np.unique(cohort.labels[known])),
        "n_foreign_types": len(np.unique(cohort.labels[~known])),
    }


def _tabulate_marks(
    labels: np.ndarray,
    probabilities: np.ndarray,
    marks: pd.DataFrame,
    known: np.ndarray,
    tumour_types: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Say which share of the known types' samples, and of those of each foreign type, is marked, and how."""
    guesses = np.asarray(tumour_types, dtype=object)[probabilities.argmax(axis=1)]
    groups: list[tuple[str, str | None, np.ndarray]] = [("known", None, known), ("foreign", None, ~known)]
    groups += [("foreign", str(name), labels == name) for name in np.unique(labels[~known])]
    rows = []
    for kind, name, chosen in groups:
        if not chosen.any():
            continue
        unlike, unsure = (marks[mark].to_numpy(bool)[chosen] for mark in ("unlike_training", "abstain"))
        taken = pd.Series(guesses[chosen]).value_counts()
        rows.append(
            {
                "kind": kind,
                "type": name,
                "n_samples": int(chosen.sum()),
                "share_unlike": float(unlike.mean()),
                "share_abstain": float(unsure.mean()),
                "share_either": float((unlike | unsure).mean()),
                "taken_for": ", ".join(f"{one} {n}" for one, n in taken.head(3).items()),
            }
        )
    return rows
