"""Put networks and baseline models side by side, and say plainly who won."""

from pathlib import Path

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
    models: Path,
    evaluations: Path,
    baselines: Path,
    repeats: Path,
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
        moved = [column for column in table if str(column).endswith(("_mean", "_sd"))]
        shown = table[[*METRICS, *moved]].to_dict(orient="index")
        write_json(partial / "metrics.json", {str(name): scores for name, scores in shown.items()})
        predicted, *_ = read_predictions(files[winner], "test")
        write_table(partial / "confusion.tsv", predicted[["tumour_type", "predicted"]], index=False)
        marks = {"synthetic": about["synthetic"], "random_weights": bool(random_weights)}
        forest = draw_forest(table, level=evaluation.level, splits=splits)
        write_figure(partial / "comparison.png", stamp(forest, **marks))
    for sentence in (facts["verdict"], spread.get("said")):
        if sentence:
            Console().print(sentence)
