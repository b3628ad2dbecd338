"""Publish everything to MLflow and register the winner; what is there already is left alone."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from expressionist.evaluation import add_reference
from expressionist.files import digest_file, md5, read_json, read_table
from expressionist.params import (
    CohortParams,
    ExpressionParams,
    LayoutParams,
    RegistryParams,
    SplitParams,
    WeightsParams,
)
from expressionist.report import state_registration
from expressionist.tracking import (
    CARD_FILE,
    DIGESTS_FILE,
    PREDICTIONS,
    Dataset,
    add_metrics,
    flatten_explanation,
    flatten_scores,
    hang_page,
    kill_orphans,
    open_experiment,
    open_store,
    publish_baseline,
    publish_search,
    publish_training,
    read_provenance,
    register_version,
)

_FILES = ("confusion.png", "confusion.tsv", "per_type.tsv", "probabilities.json", PREDICTIONS)
_WIDTH = 112  # below DVC there is no terminal to take it from


def run(
    cohort: CohortParams,
    split: SplitParams,
    expression: ExpressionParams,
    layout: LayoutParams,
    weights: WeightsParams,
    registry: RegistryParams,
    backbones: tuple[str, ...],
    *,
    cohort_folder: Path,
    split_table: Path,
    layout_folder: Path,
    images: Path,
    search: Path,
    models: Path,
    evaluations: Path,
    baselines: Path,
    refit: Path,
    comparison: Path,
    ablation: Path,
    attributions: Path,
    served: Path,
    report: Path,
    root: Path,
    tracking_uri: str | None,
) -> None:
    """Bring MLflow level with the DVC outputs, and register the winning network as the challenger.

    The sections of params.yaml are logged with every final run; what else a training hangs on is in its own
    output.
    """
    found = read_json(comparison / "comparison.json")
    experiment = open_experiment(open_store(root, tracking_uri), found["cohort"])
    digests = {
        "cohort": md5(cohort_folder),
        "split": md5(split_table),
        "layout": md5(layout_folder),
        "images": md5(images),
    }
    about: dict[str, Any] = {"provenance": read_provenance(root)}
    dataset = Dataset(found["cohort"], digests["images"], str(images))
    params = {
        "cohort": _name_options(cohort, cohort.source),
        "split": asdict(split),
        "expression": asdict(expression),
        "layout": _name_options(layout, layout.method),
    }

    def publish(model: Path, folder: Path, **own: str) -> str:
        training = read_json(model / "training.json")
        return publish_training(
            experiment,
            training,
            _read_scores(training, folder),
            key=md5(model / "training.json") + md5(folder / "metrics.json"),
            dataset=dataset,
            digests={**digests, "search": md5(search / f"{model.name}.json"), **own},
            params={**params, "weights": asdict(weights)},
            files=[folder / name for name in _FILES],
            **about,
        )

    runs = {}
    for backbone in backbones:
        publish_search(experiment, {**read_json(search / f"{backbone}.json"), "source": str(images)}, **about)
        evaluation = md5(evaluations / backbone)
        runs[backbone] = publish(models / backbone, evaluations / backbone, evaluation=evaluation)
    table = read_table(comparison / "comparison.tsv", index="model")
    tested = read_json(served / "model.json")["about"]["tested"]
    for name, fitted in read_json(baselines / "baselines.json").items():
        runs[name] = publish_baseline(
            experiment,
            name,
            tested[name],
            key=md5(baselines / f"{name}.tsv"),
            dataset=dataset,
            digests={**digests, "baselines": md5(baselines)},
            params=params,
            choice=fitted["choice"],
            synthetic=found["synthetic"],
            seconds=fitted["seconds"],
            **about,
        )
    winner = found["winner"]
    final, judged = refit / "models" / winner, refit / "evaluation" / winner
    # Without members, this is the winner's run.
    own = {"refit": md5(refit)}
    registered = publish(final, judged, **own)
    kill_orphans(experiment)
    if spread := read_json(comparison / "spread.json"):
        for name, run_id in runs.items():
            # The step is the number of splits: of several values, MLflow shows that of the most.
            add_metrics(experiment, run_id, _read_spread(table, name, tested[name]), spread["n_splits"])
    explained = read_json(attributions / "explanation.json"), read_table(attributions / "types.tsv")
    version = register_version(
        experiment,
        registry.name,
        served,
        # An explanation hangs on its version for good, and the gate weighs it: another one makes another.
        key=f"sealed {_digest_parts(served)} {md5(final)} {md5(attributions)}",
        run_id=registered,
        metrics=flatten_scores(read_json(judged / "metrics.json")) | flatten_explanation(*explained),
        digests={**digests, **own},
        tags={
            "synthetic": "SYNTHETIC" if found["synthetic"] else "no",
            "weights": "RANDOM" if winner in found["random_weights"] else "imagenet",
            "cohort": found["cohort"],
            "backbone": winner,
            "sealed": digest_file(served / DIGESTS_FILE),
        },
        when=datetime.now(UTC),
        card=(served / CARD_FILE).read_text(encoding="utf-8"),
        artifacts=[attributions],
    )
    with tempfile.TemporaryDirectory() as place:
        known = f"{registry.name} version {version}, MLflow run {registered}"
        page = _copy_page(report, Path(place, report.name), known)
        hang_page(experiment, registry.name, version, page)
    console = Console(width=_WIDTH, markup=False)
    _show_comparison(console, add_reference(table, read_table(ablation / "ablation.tsv"), winner), found)
    told = (spread, read_json(ablation / "ablation.json"), read_json(refit / "refit.json"))
    console.print(*(each["said"] for each in told if each), sep="\n")
    console.print(f"{registry.name} version {version} is the challenger ({winner}).")
    console.print(f"Report: {report}\nMLflow: make ui, then http://127.0.0.1:5000")


def _read_scores(training: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read a network's scores; of one that has learned the validation samples, only those on test samples."""
    scores = read_json(folder / "metrics.json")
    return {**scores, "validation": {}} if training.get("members") else scores


def _name_options(section: CohortParams | LayoutParams, chosen: str) -> dict[str, Any]:
    """Give the chosen one's options back the name that they stand under in params.yaml."""
    content = asdict(section)
    options = content.pop("options")
    return {**content, chosen: options}


def _read_spread(table: pd.DataFrame, model: str, tested: Mapping[str, float]) -> dict[str, float]:
    """Read what a model's row has beside the scores of the first split."""
    numbers = pd.to_numeric(table.T[model], errors="coerce").dropna()
    return {str(name): float(value) for name, value in numbers.items() if name not in tested}


def _digest_parts(served: Path) -> str:
    """Digest what was sealed but for the card: words about a model do not make it another."""
    parts = {name: digest for name, digest in read_json(served / DIGESTS_FILE).items() if name != CARD_FILE}
    return hashlib.sha256(str(parts).encode()).hexdigest()


def _copy_page(report: Path, page: Path, told: str) -> Path:
    """Copy the report with the version that it tells of, known only now; that of the stage stays as it is."""
    page.write_text(state_registration(report.read_text(encoding="utf-8"), told), encoding="utf-8")
    return page


def _show_comparison(console: Console, table: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Print the comparison, best first."""
    shown = Table(title=f"{facts['cohort']}: {facts['n_test']} test samples")
    for heading in ("model", "kind", "depth", "weights", "accuracy (95% interval)", "macro-F1", "ECE", "p"):
        shown.add_column(heading, justify="left" if heading in ("model", "kind", "weights") else "right")
    for name, row in table.iterrows():
        interval = f"{row.accuracy:.3f} ({row.accuracy_low:.3f}–{row.accuracy_high:.3f})"
        depth, weights = ("", "") if row.kind == "baseline" else (f"{row.depth:.0f}", str(row.weights))
        p_value = "" if np.isnan(row.p_value) else f"{row.p_value:.2g}"
        style = "bold" if name == facts["winner"] else None
        numbers = (interval, f"{row.f1_macro:.3f}", f"{row.ece:.3f}", p_value)
        shown.add_row(str(name), row.kind, depth, weights, *numbers, style=style)
    console.print(shown)
    console.print(facts["verdict"])
