"""What a network is worth without the picture, with nothing else, and by the reference's protocol."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from expressionist.evaluation.metrics import METRICS, SMALLEST_PROBABILITY, score_subsets
from expressionist.evaluation.paired import compare_answers
from expressionist.params import EvaluationParams

# Variants that are called by no branch: the network as it is, and the reference's.
WHOLE, REFERENCE = "all", "reference"
PICTURE = "maps"
_VISIBLE = 5e-4  # in three decimals

Prediction = tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]
Predictions = Mapping[str, Prediction]


def score_variants(predictions: Predictions, evaluation: EvaluationParams) -> pd.DataFrame:
    """Score the variants of a network on validation and test samples.

    Parameters
    ----------
    predictions : mapping of str
        By variant, as `read_predictions` gives them for validation and test samples.
    evaluation : EvaluationParams
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        A row per ``variant`` and ``subset`` with all `METRICS`; ``_low`` and ``_high`` on test samples.
    """
    rows = []
    for variant, (samples, probabilities, truth, _) in predictions.items():
        scores = score_subsets(samples, probabilities, truth, evaluation)
        for subset in ("validation", "test"):
            row: dict[str, Any] = {"variant": variant, "subset": subset}
            for metric in METRICS:
                bounds = scores["test_interval"][metric] if subset == "test" else (np.nan, np.nan)
                row[metric] = scores[subset][metric]
                row[f"{metric}_low"], row[f"{metric}_high"] = bounds
            rows.append(row)
    return pd.DataFrame(rows)


def judge_picture(
    backbone: str, predictions: Predictions, scores: pd.DataFrame, rest: str, evaluation: EvaluationParams
) -> dict[str, Any]:
    """Say in one plain sentence what the picture adds to what the network reaches without it.

    Parameters
    ----------
    backbone : str
        Of the network.
    predictions, scores : mapping of str, pandas.DataFrame
        As `score_variants` takes and returns them.
    rest : str
        The variant that has everything but the picture; empty where there is nothing else.
    evaluation : EvaluationParams
        Of the bootstrap, which draws the same test patients for both.

    Returns
    -------
    dict
        ``without`` (the variant), ``lead`` in macro-F1, ``interval``, ``log_loss`` (its change, low and high)
        and ``said``; of these only the first and last where the network sees nothing but the picture.
    """
    reached = scores[scores["subset"] == "test"].set_index("variant")["f1_macro"]
    if not rest:
        said = f"{backbone} sees nothing but the picture, which reaches a macro-F1 of {reached[WHOLE]:.3f}."
        return {"without": rest, "said": said}
    whole, without = predictions[WHOLE], predictions[rest]
    lead, low, high = compare_answers(
        *(each[each["split"] == "test"] for each, *_ in (whole, without)),
        level=evaluation.level,
        n_resamples=evaluation.n_resamples,
        rng=np.random.default_rng(evaluation.seed),
    )
    losses = _compare_losses(whole, without, evaluation)
    told = (
        f"The picture alone, through {backbone}, reaches a macro-F1 of {reached[PICTURE]:.3f} on test "
        f"samples; without it {rest.replace('+', 'and')} reach {reached[rest]:.3f}, and all together "
        f"{reached[WHOLE]:.3f}: the picture {_state_lead(lead, low, high, evaluation.level)}; "
        f"{_state_losses(*losses, evaluation.level)}."
    )
    said = re.sub(r"-(?=\d)", "\u2212", told)
    return {"without": rest, "lead": lead, "interval": [low, high], "log_loss": losses, "said": said}


def _state_lead(lead: float, low: float, high: float, level: float) -> str:
    if lead == low == high == 0:
        return "changes nothing that these test samples could show"
    outcome = "which cannot be told from nothing on these test samples"
    if low > 0 or high < 0:
        outcome = "so the backbone contributes" if low > 0 else "so the network does worse for it"
    return f"adds {lead:+.3f} ({level:.0%} interval {low:+.3f} to {high:+.3f}), {outcome}"


def _state_losses(change: float, low: float, high: float, level: float) -> str:
    if abs(change) < _VISIBLE:
        return "the log-loss changes by less than 0.001"
    side = "better" if change < 0 else "worse"
    return (
        f"with it the log-loss is {side} by {abs(change):.3f} ({level:.0%} interval of the change, which is "
        f"better below 0: {low:+.3f} to {high:+.3f})"
    )


def _compare_losses(
    ours: Prediction, theirs: Prediction, evaluation: EvaluationParams
) -> tuple[float, float, float]:
    """Return the log-loss of the first less that of the second on test samples, and its paired interval."""
    losses = [
        pd.Series(
            -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], SMALLEST_PROBABILITY)), rows.index
        )
        for rows, probabilities, truth, _ in (ours, theirs)
    ]
    change, rows = losses[0] - losses[1], ours[0]
    by_patient = change[rows["split"] == "test"].groupby(rows["patient"]).agg(["sum", "size"]).to_numpy(float)
    ((value, low, high),) = _resample(by_patient[:, :1], by_patient[:, 1], evaluation).T
    return float(value), float(low), float(high)


def _resample(parts: np.ndarray, wholes: np.ndarray, evaluation: EvaluationParams) -> np.ndarray:
    """Divide sums of parts (n, n_parts) by the sum of wholes (n,), and bound that by drawing rows.

    Returned are the shares, their low and their high ends: (3, n_parts).
    """
    rng, n = np.random.default_rng(evaluation.seed), len(parts)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=evaluation.n_resamples)
    ends = [(1 - evaluation.level) / 2, (1 + evaluation.level) / 2]
    bounds = np.quantile((drawn @ parts) / (drawn @ wholes)[:, None], ends, axis=0)
    return np.vstack([parts.sum(axis=0) / wholes.sum(), bounds])


def share_by_branch(sums: pd.DataFrame, evaluation: EvaluationParams) -> pd.DataFrame:
    """Say which share of what speaks for the samples' types goes through each branch of the network.

    Parameters
    ----------
    sums : pandas.DataFrame of shape (n_samples, n_branches)
        Sums of a sample's attributions through each branch, in logits.
    evaluation : EvaluationParams
        Of the bootstrap, which draws samples.

    Returns
    -------
    pandas.DataFrame of length n_branches
        ``share``, ``share_low`` and ``share_high`` by branch; the shares add up to 1, and one below 0 speaks
        against the types.
    """
    parts = sums.to_numpy(float)
    names = ["share", "share_low", "share_high"]
    return pd.DataFrame(_resample(parts, parts.sum(axis=1), evaluation).T, sums.columns, names)


def add_reference(scores: pd.DataFrame, ablation: pd.DataFrame, winner: str) -> pd.DataFrame:
    """Put the reference's protocol among the models compared, of which it could not win.

    Parameters
    ----------
    scores, ablation : pandas.DataFrame
        comparison.tsv, indexed by model, and ablation.tsv.
    winner : str
        The network whose backbone and depth it has.

    Returns
    -------
    pandas.DataFrame
        The scores with its row, of the kind ``reference``, best first; without it where the winner is
        that network.
    """
    asked = (ablation["variant"] == REFERENCE) & (ablation["subset"] == "test")
    own = {name: scores[name][winner] for name in ("depth", "weights")}
    rows = ablation[asked].assign(model=f"{winner} (reference)", kind=REFERENCE, **own)
    rows = rows.set_index("model", drop=False)
    joined = pd.concat([scores, rows[rows.columns.intersection(scores.columns)]])
    return joined.sort_values("f1_macro", ascending=False, kind="stable")
