"""Networks beside baseline models: who was chosen, who won, and how much that moves from split to split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from expressionist.evaluation.metrics import METRICS, mcnemar, score_subsets
from expressionist.params import EvaluationParams

# Those whose spread is told.
SPREAD = ("accuracy", "f1_macro")
_DIGITS = 8
# What the best of each kind is chosen as.
_PURPOSES = {"network": "network", "baseline": "baseline model to hold it against"}
# On validation samples: the second where the first is equal.
CHOSEN_BY = ("validation_f1_macro", "validation_log_loss")


def compare_models(
    described: Mapping[str, Mapping[str, Any]],
    predictions: Mapping[str, tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]],
    repeats: pd.DataFrame,
    evaluation: EvaluationParams,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Score models, test them against the best baseline model, and say who won.

    The winning network and best baseline model are those of the highest macro-F1 on validation samples, of
    equals that of the least log-loss on them; test samples only judge.

    Parameters
    ----------
    described, predictions : mapping of str
        By model: its ``kind`` (network or baseline) and what else is to stand in the table; its predictions
        for validation and test samples, as `read_predictions` gives them.
    repeats : pandas.DataFrame
        The table of the stage `repeats`: the scores of all splits but this first one; may be empty.

    Returns
    -------
    table, splits, facts, spread
        Scores with intervals, McNemar tests and spreads by model, the best on test samples first; the scores
        of every split; who won, in words too; the same over all splits, empty where there is one.
    """
    rows, right = [], {}
    for name, (samples, probabilities, truth, _) in predictions.items():
        scores = score_subsets(samples, probabilities, truth, evaluation)
        row = {"model": name, **described[name]}
        for metric in METRICS:
            row[metric] = scores["test"][metric]
            row[f"{metric}_low"], row[f"{metric}_high"] = scores["test_interval"][metric]
        rows.append(
            row | {name: scores["validation"][name.removeprefix("validation_")] for name in CHOSEN_BY}
        )
        right[name] = (probabilities.argmax(axis=1) == truth)[samples["split"] == "test"]
    table = pd.DataFrame(rows).set_index("model", drop=False)
    baselines = table.index[table["kind"] == "baseline"].tolist()
    ranked = rank_on_validation(table)
    best = ranked.groupby("kind", sort=False)["model"].first()
    winner, best_baseline = str(best["network"]), str(best["baseline"])
    tests = [mcnemar(right[name], right[best_baseline]) for name in table.index]
    table["only_right"] = [test.only_a for test in tests]
    table["only_baseline_right"] = [test.only_b for test in tests]
    table["p_value"] = [test.p_value for test in tests]
    table.loc[best_baseline, "p_value"] = np.nan
    first = table[["model", "kind", "depth", *CHOSEN_BY, *METRICS]].assign(repeat=1)
    splits = pd.concat([first, repeats], ignore_index=True) if len(repeats) else first
    spread: dict[str, Any] = {}
    if splits["repeat"].nunique() > 1:
        table = table.join(summarise(splits, baselines))
        spread = _describe_spread(table.T[winner], winner, choose_rivals(splits, baselines))
    table = table.sort_values("f1_macro", ascending=False, kind="stable")
    facts = {
        "winner": winner,
        "best_baseline": best_baseline,
        "best_on_test": str(table.index[0]),
        "verdict": _state_verdict(table, winner, best_baseline) + _state_level(ranked, winner, best_baseline),
        "p_value": float(table["p_value"].loc[winner]),
        "n_test": len(right[winner]),
    }
    return table, splits, facts, spread


def name_model(model: str) -> str:
    """Write the name of a model as a reader says it, wherever one is told of.

    Parameters
    ----------
    model : str
        A backbone, or a baseline model of params.yaml.

    Returns
    -------
    str
        Its name.

    Examples
    --------
    >>> name_model("logistic_regression"), name_model("linear_svm"), name_model("vgg19")
    ('logistic regression', 'linear SVM', 'vgg19')
    """
    return model.replace("_", " ").replace("svm", "SVM")


def _state_verdict(table: pd.DataFrame, winner: str, baseline: str) -> str:
    """Say in one plain sentence how the chosen network fares against the best baseline model."""
    ours, theirs = table["accuracy"].loc[winner], table["accuracy"].loc[baseline]
    p_value = table["p_value"].loc[winner]
    word = name_model(baseline)
    if p_value >= 0.05:
        outcome = f"and {word} ({theirs:.1%}) cannot be told apart on these test samples"
    elif ours > theirs:
        outcome = f"is better than {word} ({theirs:.1%})"
    else:
        outcome = f"is worse than {word} ({theirs:.1%})"
    return f"{winner} ({ours:.1%} accuracy) {outcome} (McNemar p = {p_value:.2g})."


def _state_level(ranked: pd.DataFrame, *chosen: str) -> str:
    """Say which models were level on validation samples with those chosen of their kind, if any was."""
    told, purposes = [], []
    for model in chosen:
        own = ranked.loc[model]
        level = ranked["validation_f1_macro"].round(_DIGITS) == round(own["validation_f1_macro"], _DIGITS)
        others = ranked.index[level & (ranked["kind"] == own["kind"]) & (ranked.index != model)]
        if len(others):
            told.append(f"{name_model(model)} is level with {', '.join(map(name_model, others))}")
            purposes.append(f"{name_model(model)} as the {_PURPOSES[str(own['kind'])]}")
    if not told:
        return ""
    return (
        f" In macro-F1 on validation samples {', and '.join(told)}: the least log-loss on them chose "
        f"{' and '.join(purposes)}."
    )


def _describe_spread(ours: pd.Series, winner: str, rivals: pd.DataFrame) -> dict[str, Any]:
    """Put the winner over all splits next to the baseline models best on validation samples in each."""
    facts: dict[str, Any] = {"n_splits": int(ours["n_splits"])}
    for metric in SPREAD:
        p_value = float(ours[f"{metric}_lead_p_value"])
        facts[metric] = {
            "winner": [ours[f"{metric}_mean"], ours[f"{metric}_sd"]],
            "baseline": [rivals[metric].mean(), rivals[metric].std(ddof=1)],
            "lead": [ours[f"{metric}_lead_mean"], ours[f"{metric}_lead_sd"]],
            "p_value": None if np.isnan(p_value) else p_value,
        }
    return facts | {"said": _state_spread(winner, facts)}


def _state_spread(winner: str, spread: Mapping[str, Any]) -> str:
    """Say in one plain sentence how the chosen network fares on all splits."""
    (ours, sd), (theirs, their_sd), (lead, lead_sd) = (
        spread["accuracy"][key] for key in ("winner", "baseline", "lead")
    )
    p_value, points = spread["accuracy"]["p_value"], f"{100 * lead:+.1f}".replace("-", "\u2212")
    return (
        f"Over {spread['n_splits']} splits {winner} has {ours:.1%} ± {100 * sd:.1f} accuracy, and the best "
        f"baseline model of each split {theirs:.1%} ± {100 * their_sd:.1f}: a lead of {points} ± "
        f"{100 * lead_sd:.1f} points"
        + ("." if p_value is None else f" (corrected resampled t-test p = {p_value:.2g}).")
    )


def rank_on_validation(scores: pd.DataFrame) -> pd.DataFrame:
    """Sort models by macro-F1 on validation samples, and equals, but for rounding, by log-loss on them."""
    keys = {
        "by_f1": -scores["validation_f1_macro"].round(_DIGITS),
        "by_loss": scores["validation_log_loss"].round(_DIGITS),
    }
    order = scores.assign(**keys).reset_index(drop=True).sort_values(list(keys), kind="stable").index
    return scores.iloc[order]


def choose_rivals(scores: pd.DataFrame, baselines: Sequence[str]) -> pd.DataFrame:
    """Take, by split, the row of the baseline model that is best on validation samples."""
    among = scores.set_index("model").loc[list(baselines)].reset_index()
    return rank_on_validation(among).drop_duplicates("repeat").set_index("repeat").sort_index()


def summarise(scores: pd.DataFrame, baselines: Sequence[str]) -> pd.DataFrame:
    """Give every model mean and spread of its scores, and of its lead over a split's best baseline model.

    Splits share training samples, so that their scores are no independent draws. The corrected resampled
    t-test makes up for it with a variance that does not fall below n_test / n_train of that between splits
    (Nadeau, Bengio: Inference for the Generalization Error, Machine Learning 52:239, 2003).
    """
    rivals = choose_rivals(scores, baselines)
    ratio = float((scores["n_test"] / scores["n_train"]).mean())
    rows = {}
    for model, own in scores.groupby("model", sort=False):
        own = own.set_index("repeat")
        facts: dict[str, float] = {"n_splits": len(own)}
        for metric in SPREAD:
            # A table keeps nine digits; what is equal but for them must not pass for a lead.
            lead = (own[metric] - rivals[metric]).round(_DIGITS)
            facts[f"{metric}_mean"], facts[f"{metric}_sd"] = own[metric].mean(), own[metric].std(ddof=1)
            facts[f"{metric}_lead_mean"] = round(float(lead.mean()), _DIGITS) + 0.0  # no minus before a zero
            facts[f"{metric}_lead_sd"] = lead.std(ddof=1)
            facts[f"{metric}_lead_p_value"] = correct_p_value(lead.to_numpy(), ratio)
        rows[model] = facts
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n_splits": int})


def correct_p_value(leads: np.ndarray, ratio: float) -> float:
    """Test whether leads are 0 on average, NaN where all are the same; the ratio is n_test / n_train."""
    variance = leads.var(ddof=1)
    if variance < np.finfo(float).eps ** 2:
        return float("nan")
    statistic = leads.mean() / np.sqrt((1 / len(leads) + ratio) * variance)
    return float(2 * student.sf(abs(statistic), df=len(leads) - 1))
