"""Train the winner on all patients but those of the test: what is registered, and what that is worth."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from expressionist.data import Cohort, read_cohort, read_split
from expressionist.evaluation import (
    METRICS,
    LabelledRows,
    LinearModel,
    compare_answers,
    name_model,
    pack_linear,
    read_predictions,
    refit_baseline,
    score,
    tabulate_predictions,
    unpack_linear,
    write_predictions,
)
from expressionist.files import digest_code, read_arrays, read_json, write_arrays, write_json, write_whole
from expressionist.network import predict_logits
from expressionist.painting import read_layout, take_painted
from expressionist.params import (
    BaselinesParams,
    EvaluationParams,
    NetworkParams,
    TrainingParams,
    WeightsParams,
)
from expressionist.pipeline import train_members, write_evaluation
from expressionist.tracking import read_environment
from expressionist.training import Epoch, FineTuned, FineTuner, Workspace, open_tuner

_KNOWN = ("train", "validation")


def run(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    baselines: BaselinesParams,
    evaluation: EvaluationParams,
    *,
    cohort: Path,
    split: Path,
    layout: Path,
    images: Path,
    search: Path,
    models: Path,
    evaluations: Path,
    novelty: Path,
    fitted: Path,
    comparison: Path,
    cache: Path,
    cache_gigabytes: float,
    scheduler: str | None,
    out: Path,
    root: Path,
) -> None:
    """Write the network that is registered and its evaluation, in folders called like the winner.

    Shares, temperature and threshold are those that validation samples set while they were unseen. The best
    baseline model is fitted on the same patients, and refit.json says who leads. `fitted` is what the stage
    `baselines` wrote. Without members, all is as it was trained and evaluated.
    """
    compared = read_json(comparison)
    winner, best = compared["winner"], compared["best_baseline"]
    with write_whole(out) as partial:
        model, judged = partial / "models" / winner, partial / "evaluation" / winner
        if training.members == 0:
            shutil.copytree(models / winner, model)
            shutil.copytree(evaluations / winner, judged)
            shutil.copyfile(fitted / "linear.npz", partial / "linear.npz")
            write_json(partial / "refit.json", {})
            return
        rows, (laid, *_) = read_split(split), read_layout(layout)
        found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
        about = read_json(models / winner / "training.json")
        workspace = Workspace(split, layout, images, cache, cache_gigabytes, scheduler)
        tuner = open_tuner(winner, replace(weights, source=about["weights"]["source"]), network, workspace)
        started, clock = datetime.now(UTC), time.perf_counter()
        best_trial = read_json(search / f"{winner}.json")["best"]
        members = _train(tuner, best_trial, training, about["shares"], workspace.checkpoints)
        whole = tuner.assemble(*members)
        model.mkdir(parents=True)
        whole.save(model / "model.keras")
        about |= {
            "members": training.members,
            "code": digest_code("training.finetuner"),
            "environment": read_environment(root),
            "n_parameters": whole.count_params(),
            "history": _count_on([each.fit.history for each in members]),
            "started": started.isoformat(),
            "seconds": time.perf_counter() - clock,
        }
        write_json(model / "training.json", about)
        test = (rows["split"] == "test").to_numpy()
        logits = predict_logits(whole, found.expression, np.flatnonzero(test))
        unseen, unseen_logits = _read_unseen(evaluations / winner)
        ordered = pd.concat([unseen, rows[test]])
        marks = {"synthetic": about["synthetic"], "random_weights": about["weights"]["random"]}
        told = evaluation, read_json(novelty), marks, found.merged
        write_evaluation(judged, ordered, np.vstack([unseen_logits, logits]), about["tumour_types"], *told)
        linear, tested = _refit_baselines(partial, best, fitted, found, rows, baselines.seed)
        write_arrays(partial / "linear.npz", **pack_linear(linear))
        facts = _compare(judged / "predictions.tsv", partial / f"{best}.tsv", evaluation)
        named = {"winner": winner, "best_baseline": best, "members": training.members}
        write_json(partial / "refit.json", {**named, **facts, "tested": tested})
    Console(markup=False).print(facts["said"])


def _read_unseen(evaluation: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read validation samples and their logits, but for a constant each, from before they were learned."""
    rows, probabilities, *_ = read_predictions(evaluation / "predictions.tsv", "validation")
    temperature = read_json(evaluation / "probabilities.json")["temperature"]
    return rows, temperature * np.log(np.maximum(probabilities, np.finfo(float).tiny))


def _train(
    tuner: FineTuner,
    trial: Mapping[str, Any],
    training: TrainingParams,
    shares: Mapping[str, float],
    checkpoints: Path,
) -> list[FineTuned]:
    """Train all members, with a progress bar."""
    with Progress() as progress:
        told = f"{tuner.backbone} at depth {trial['depth']}, {training.members} members: epochs"
        epochs = progress.add_task(told, total=training.members * training.epochs)

        def show(_: Epoch) -> bool:
            progress.advance(epochs)
            return False

        return train_members(tuner, trial, training, checkpoints, shares=shares, on_epoch=show)


def _count_on(histories: Sequence[Sequence[Epoch]]) -> list[Epoch]:
    """Put the epochs of all members one after the other: only losses and seconds, as all was learned."""
    told: list[Epoch] = []
    for number, history in enumerate(histories, 1):
        rows = [{name: row[name] for name in ("loss", "seconds")} for row in history]
        told += [{"epoch": len(told) + n, "member": number, **row} for n, row in enumerate(rows, 1)]
    return told


def _refit_baselines(
    out: Path, best: str, fitted: Path, found: Cohort, rows: pd.DataFrame, seed: int
) -> tuple[dict[str, LinearModel], dict[str, dict[str, float]]]:
    """Fit the best and the linear baseline models on these patients; return the latter, and all scores."""
    subset = rows["split"].replace(dict.fromkeys(_KNOWN, "known"))
    known, test = (LabelledRows.take(found, subset, each) for each in ("known", "test"))
    choices, linear, tested = read_json(fitted / "baselines.json"), {}, {}
    for name in {best: None, **unpack_linear(read_arrays(fitted / "linear.npz"))}:
        again = {"n_types": len(found.tumour_types), "seed": seed}
        model = refit_baseline(name, choices[name]["choice"], known, **again)
        if (flat := model.flatten()) is not None:
            linear[name] = flat
        probabilities = model.predict_proba(test.expression)
        tested[name] = score(probabilities, test.types)
        if name == best:
            told = rows[rows["split"] == "test"], probabilities, found.tumour_types
            write_predictions(out / f"{name}.tsv", tabulate_predictions(*told))
    return linear, tested


def _compare(registered: Path, baseline: Path, evaluation: EvaluationParams) -> dict[str, Any]:
    """Score both on the test samples, and say how far the network leads in macro-F1."""
    answers, scores = {}, {}
    for name, path in (("registered", registered), ("baseline", baseline)):
        answers[name], probabilities, truth, _ = read_predictions(path, "test")
        scores[name] = {metric: score(probabilities, truth)[metric] for metric in METRICS}
    lead, low, high = compare_answers(
        answers["registered"],
        answers["baseline"],
        level=evaluation.level,
        n_resamples=evaluation.n_resamples,
        rng=np.random.default_rng(evaluation.seed),
    )
    mine, other = (scores[each]["f1_macro"] for each in ("registered", "baseline"))
    said = (
        "Registered is the network trained again, on training and validation patients, with a macro-F1 of "
        f"{mine:.3f} on test samples; {name_model(baseline.stem)}, the best baseline model on validation "
        f"samples, trained again likewise, has {other:.3f}"
    )
    if low == high == lead == 0:
        said += ". Both have the same test samples right, which tell of no lead."
    else:
        span = f"{low:+.3f} to {high:+.3f}".replace("-", "\u2212")
        said += f" ({evaluation.level:.0%} interval of the network's lead: {span})"
        said += "." if low > 0 or high < 0 else ": 0 is in it, so that no lead is shown."
    return {**scores, "lead": lead, "lead_interval": [low, high], "said": said}
