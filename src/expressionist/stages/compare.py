"""Put networks and baseline models side by side, and say plainly who won."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from expressionist.evaluation import METRICS, compare_models, read_predictions
from expressionist.files import read_json, read_table, write_json, write_table, write_whole
from expressionist.params import EvaluationParams
from expressionist.report import draw_forest, stamp, write_figure


def run(
    evaluation: EvaluationParams,
    backbones: tuple[str, ...],
    *,
    layout: Path,
    search: Path,
    models: Path,
    evaluations: Path,
    baselines: Path,
    repeats: Path,
    metrics: Path,
    out: Path,
) -> None:
    """Write scores with intervals, McNemar tests against the best baseline model, and the verdict.

    Where the patients were split more than once, the spread over all splits stands beside the scores; the
    winner is that of the first split all the same.
    """
    about = read_json(layout / "layout.json")
    described, files = {}, {}
    for name in backbones:
        training = read_json(models / name / "training.json")
        weights = "RANDOM" if training["weights"]["random"] else "imagenet"
        described[name] = {"kind": "network", "depth": training["depth"], "weights": weights}
        files[name] = evaluations / name / "predictions.tsv"
    for name in read_json(baselines / "baselines.json"):
        described[name] = {"kind": "baseline"}
        files[name] = baselines / f"{name}.tsv"
    predictions = {name: read_predictions(path, "validation", "test") for name, path in files.items()}
    table, splits, facts, spread = compare_models(described, predictions, read_table(repeats), evaluation)
    winner = facts["winner"]
    random_weights = sorted(table.index[table["weights"] == "RANDOM"])
    facts |= {"random_weights": random_weights, "cohort": about["cohort"], "synthetic": about["synthetic"]}
    facts["scores"] = table.loc[winner, list(METRICS)].to_dict()
    with write_whole(out) as partial:
        partial.mkdir()
        write_table(partial / "comparison.tsv", table, index=False)
        write_json(partial / "comparison.json", facts)
        # Apart: repeats must move nothing that hangs on the first split, such as what is explained.
        write_json(partial / "spread.json", spread)
        write_table(partial / "splits.tsv", splits, index=False)
        predicted, *_ = read_predictions(files[winner], "test")
        write_table(partial / "confusion.tsv", predicted[["tumour_type", "predicted"]], index=False)
        _write_curves(partial, backbones, search, models, evaluations)
        marks = {"synthetic": about["synthetic"], "random_weights": bool(random_weights)}
        forest = draw_forest(table, level=evaluation.level, splits=splits)
        write_figure(partial / "comparison.png", stamp(forest, **marks))
    # Apart from the folder, as git keeps it, and DVC the rest.
    write_json(metrics, _pick_metrics(table, facts))
    for sentence in (facts["verdict"], spread.get("said")):
        if sentence:
            Console().print(sentence)


def _pick_metrics(table: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what DVC compares between revisions: few, and under the same names whoever won."""
    winner, best = facts["winner"], facts["best_baseline"]
    spread = [name for name in table if name in ("f1_macro_mean", "f1_macro_sd")]
    ours = table.loc[winner, ["weights", "accuracy", "f1_macro", "log_loss", *spread]].to_dict()
    theirs = table.loc[best, ["accuracy", "f1_macro"]].to_dict()
    named = {"winner": winner, "best_baseline": best}
    return {**named, **ours, **{f"baseline_{name}": value for name, value in theirs.items()}}


def _write_curves(out: Path, backbones: Iterable[str], search: Path, models: Path, evaluations: Path) -> None:
    """Write what DVC plots of every network: its training, its depth search and its reliability."""
    for name in backbones:
        history = pd.DataFrame(read_json(models / name / "training.json")["history"])
        trials = pd.DataFrame(read_json(search / f"{name}.json")["trials"])[["depth", "value", "state"]]
        judged = read_json(evaluations / name / "probabilities.json")["test"]
        curves = {
            "training": history.drop(columns="seconds", errors="ignore"),
            "search": trials.dropna(subset="value"),
            "reliability": pd.DataFrame(judged["reliability_after"]),
        }
        for kind, rows in curves.items():
            write_table(out / kind / f"{name}.tsv", rows, index=False)
