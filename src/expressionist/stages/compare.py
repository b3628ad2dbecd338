"""Put networks and opponents side by side, and say plainly who won."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from expressionist.evaluation import (
    METRICS,
    SPREAD,
    bootstrap,
    choose_rivals,
    mcnemar,
    read_predictions,
    score,
    summarise,
)
from expressionist.files import read_json, read_table, write_json, write_table, write_whole
from expressionist.params import EvaluationParams
from expressionist.report import draw_forest, stamp, write_figure


def run(
    evaluation: EvaluationParams,
    backbones: tuple[str, ...],
    *,
    layout: Path,
    models: Path,
    evaluations: Path,
    baselines: Path,
    repeats: Path,
    out: Path,
) -> None:
    """Write the comparison: scores with intervals, McNemar tests against the best opponent, and the verdict.

    The winning network and the best opponent are chosen on validation samples; test samples only judge them.
    Where the patients were dealt more than once, the spread over all splits stands beside the scores; the
    winner is that of the first split all the same.

    Parameters
    ----------
    evaluation : EvaluationParams
        Bootstrap intervals.
    backbones : tuple of str
        The networks to compare.
    layout, models, evaluations, baselines, repeats : pathlib.Path
        Outputs of the stages `layout`, `train`, `evaluate`, `baselines` and `repeats`.
    out : pathlib.Path
        Folder to write: `comparison.tsv`, `comparison.json`, `comparison.png`; `splits.tsv`, the scores of
        every split, and `spread.json`, empty where there is one; `metrics.json` and `confusion.tsv` for
        `dvc metrics` and `dvc plots`.
    """
    about = read_json(layout / "layout.json")
    opponents = list(read_json(baselines / "baselines.json"))
    files = {name: evaluations / name / "predictions.tsv" for name in backbones}
    files |= {name: baselines / f"{name}.tsv" for name in opponents}
    rows, correct = [], {}
    for name, path in files.items():
        described = _describe_network(models / name) if name in backbones else {"kind": "opponent"}
        scores, correct[name] = _score_file(path, evaluation)
        rows.append({"model": name, **described, **scores})
    table = pd.DataFrame(rows).set_index("model", drop=False)
    winner = str(table.loc[list(backbones), "validation_f1_macro"].idxmax())
    best_opponent = str(table.loc[opponents, "validation_f1_macro"].idxmax())
    tests = {name: mcnemar(correct[name], correct[best_opponent]) for name in files}
    table["only_right"] = [tests[name].only_a for name in table.index]
    table["only_opponent_right"] = [tests[name].only_b for name in table.index]
    table["p_value"] = [np.nan if name == best_opponent else tests[name].p_value for name in table.index]
    splits = _list_splits(table, read_table(repeats))
    spread: dict[str, Any] = {}
    if splits["repeat"].nunique() > 1:
        table = table.join(summarise(splits, opponents))
        spread = _describe_spread(table, winner, choose_rivals(splits, opponents))
    table = table.sort_values("f1_macro", ascending=False)
    facts = {
        "winner": winner,
        "best_opponent": best_opponent,
        "best_on_test": str(table.index[0]),
        "verdict": state_verdict(table, winner, best_opponent),
        "p_value": tests[winner].p_value,
        "n_test": len(correct[winner]),
        "random_weights": sorted(table.index[table["weights"] == "RANDOM"]),
        "cohort": about["cohort"],
        "synthetic": about["synthetic"],
        "scores": table.loc[winner, list(METRICS)].to_dict(),
    }
    with write_whole(out) as partial:
        partial.mkdir()
        write_table(partial / "comparison.tsv", table, index=False)
        write_json(partial / "comparison.json", facts)
        # Apart: repeats must move nothing that hangs on the first split, such as what is explained.
        write_json(partial / "spread.json", spread)
        write_table(partial / "splits.tsv", splits, index=False)
        moved = [column for column in table if str(column).endswith(("_mean", "_sd"))]
        shown = table[[*METRICS, *moved]].to_dict(orient="index")
        write_json(partial / "metrics.json", {str(name): scores for name, scores in shown.items()})
        predicted, *_ = read_predictions(files[winner], "test")
        write_table(partial / "confusion.tsv", predicted[["tumour_type", "predicted"]], index=False)
        figure = stamp(
            draw_forest(table, splits=splits),
            synthetic=about["synthetic"],
            random_weights=bool(facts["random_weights"]),
        )
        write_figure(partial / "comparison.png", figure)
    for sentence in (facts["verdict"], spread.get("said")):
        if sentence:
            Console().print(sentence)


def _describe_network(model: Path) -> dict[str, Any]:
    training = read_json(model / "training.json")
    return {
        "kind": "network",
        "depth": training["depth"],
        "weights": "RANDOM" if training["weights"]["random"] else "imagenet",
    }


def _score_file(path: Path, evaluation: EvaluationParams) -> tuple[dict[str, float], np.ndarray]:
    """Score the test rows of a file of predictions, and say which of them are right."""
    _, validation, validation_truth, _ = read_predictions(path, "validation")
    rows, probabilities, truth, _ = read_predictions(path, "test")
    intervals = bootstrap(
        probabilities,
        truth,
        n_resamples=evaluation.n_resamples,
        level=evaluation.level,
        rng=np.random.default_rng(evaluation.seed),
        patients=rows["patient"].to_numpy(),
    )
    scores = score(probabilities, truth)
    flat = {}
    for name in METRICS:
        flat[name] = scores[name]
        flat[f"{name}_low"], flat[f"{name}_high"] = intervals[name]
    flat["validation_f1_macro"] = score(validation, validation_truth)["f1_macro"]
    return flat, probabilities.argmax(axis=1) == truth


def _list_splits(table: pd.DataFrame, repeats: pd.DataFrame) -> pd.DataFrame:
    """Put the scores of the first split, which all else is about, above those of the others."""
    scores = table[["model", "kind", "depth", "validation_f1_macro", *METRICS]].assign(repeat=1)
    return pd.concat([scores, repeats], ignore_index=True) if len(repeats) else scores


def _describe_spread(table: pd.DataFrame, winner: str, rivals: pd.DataFrame) -> dict[str, Any]:
    """Put the winner over all splits beside the opponents that were best on validation samples in each."""
    ours = table.T[winner]
    facts: dict[str, Any] = {"n_splits": int(ours["n_splits"])}
    for metric in SPREAD:
        p_value = float(ours[f"{metric}_lead_p_value"])
        facts[metric] = {
            "winner": [ours[f"{metric}_mean"], ours[f"{metric}_sd"]],
            "opponent": [rivals[metric].mean(), rivals[metric].std(ddof=1)],
            "lead": [ours[f"{metric}_lead_mean"], ours[f"{metric}_lead_sd"]],
            "p_value": None if np.isnan(p_value) else p_value,
        }
    return facts | {"said": _state_spread(winner, facts)}


def _state_spread(winner: str, spread: Mapping[str, Any]) -> str:
    """Say in one plain sentence how the chosen network fares on all splits."""
    (ours, sd), (theirs, their_sd), (lead, lead_sd) = (
        spread["accuracy"][key] for key in ("winner", "opponent", "lead")
    )
    p_value, points = spread["accuracy"]["p_value"], f"{100 * lead:+.1f}".replace("-", "\u2212")
    return (
        f"Over {spread['n_splits']} splits {winner} has {ours:.1%} ± {100 * sd:.1f} accuracy, and the best "
        f"opponent of each split {theirs:.1%} ± {100 * their_sd:.1f}: a lead of {points} ± "
        f"{100 * lead_sd:.1f} points"
        + ("." if p_value is None else f" (corrected resampled t-test p = {p_value:.2g}).")
    )


def state_verdict(table: pd.DataFrame, winner: str, opponent: str) -> str:
    """Say in one plain sentence how the chosen network fares against the best opponent.

    Parameters
    ----------
    table : pandas.DataFrame
        The comparison, indexed by model.
    winner, opponent : str
        The network and the opponent that were chosen on validation samples.
    """
    ours, theirs = table["accuracy"].loc[winner], table["accuracy"].loc[opponent]
    p_value = table["p_value"].loc[winner]
    word = opponent.replace("_", " ")
    if p_value >= 0.05:
        outcome = f"and {word} ({theirs:.1%}) cannot be told apart on these test samples"
    elif ours > theirs:
        outcome = f"is better than {word} ({theirs:.1%})"
    else:
        outcome = f"is worse than {word} ({theirs:.1%})"
    return f"{winner} ({ours:.1%} accuracy) {outcome} (McNemar p = {p_value:.2g})."
