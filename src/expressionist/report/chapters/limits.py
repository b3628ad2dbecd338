"""Limits of a run, beside those that always hold."""

from expressionist.report.chapters.attributions import state_completeness
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, join

_FEW_TO_CHOOSE_ON = 30


def describe(run: FinishedRun) -> list[str]:
    """Say what limits this run: few samples, incomplete attributions, random weights, one split."""
    limits = []
    few = run.per_type.loc[run.per_type["n_samples"] < 10]
    if len(few):
        limits.append(
            f"In this run {len(few)} of {count(len(run.per_type), 'tumour type')} have fewer than ten test "
            f"samples (fewest: {few['n_samples'].min()}): their scores move by a tenth or more with a single "
            "sample."
        )
    n_validation = int((run.split["split"] == "validation").sum())
    if n_validation < _FEW_TO_CHOOSE_ON:
        limits.append(
            "What validation samples chose (network, the baseline models' hyper-parameters, temperature, "
            f"the confidence below which no answer is given) rests on {n_validation}, and may be chance."
        )
    if not run.explanation["complete"]:
        limits.append(state_completeness(run))
    if run.marks.random_weights:
        limits.append(
            f"{join(run.marks.random_weights)} started from random weights, so this run says nothing on "
            "transfer learning with them."
        )
    limits.append(
        "Depths were chosen on folds of training and validation patients, the network on validation samples. "
        + _tell_splits(run)
    )
    return limits


def _tell_splits(run: FinishedRun) -> str:
    if not run.spread:
        return (
            "One split was used, and one seed to compare models, so what others would give is not known here."
        )
    return (
        f"Scores of {run.spread['n_splits']} splits are compared, all else is of the first one; models were "
        "not compared with another seed."
    )
