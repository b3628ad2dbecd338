"""Publish everything to MLflow and register the winner; what is there already is left alone."""

import shutil
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

from expressionist.data import LINEAR_UNITS
from expressionist.evaluation import read_predictions
from expressionist.files import md5, read_json, read_table, write_table
from expressionist.painting import read_layout
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
    ANSWERS_FILE,
    CARD_FILE,
    FOOTPRINT_FILE,
    LINEAR_FILE,
    NOVELTY_FILE,
    PREDICTIONS,
    Dataset,
    Served,
    add_metrics,
    flatten_explanation,
    flatten_scores,
    hang_page,
    open_experiment,
    open_store,
    publish_baseline,
    publish_search,
    publish_training,
    read_provenance,
    register_version,
    seal,
    write_card,
    write_served,
)

_FILES = ("confusion.png", "confusion.tsv", "per_type.tsv", "probabilities.json", PREDICTIONS)
_OF_SPREAD = ("_mean", "_sd", "_lead_p_value")
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
    novelty: Path,
    baselines: Path,
    comparison: Path,
    attributions: Path,
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
    outputs = {"cohort": cohort_folder, "split": split_table, "layout": layout_folder, "images": images}
    digests = {name: md5(path) for name, path in outputs.items()}
    about: dict[str, Any] = {"provenance": read_provenance(root)}
    dataset = Dataset(found["cohort"], digests["images"], str(images))
    params = {
        "cohort": _name_options(cohort, cohort.source),
        "split": asdict(split),
        "expression": asdict(expression),
        "layout": _name_options(layout, layout.method),
    }
    runs = {}
    for backbone in backbones:
        publish_search(experiment, read_json(search / f"{backbone}.json"), **about)
        model, folder = models / backbone, evaluations / backbone
        runs[backbone] = publish_training(
            experiment,
            read_json(model / "training.json"),
            read_json(folder / "metrics.json"),
            key=md5(model / "training.json") + md5(folder / "metrics.json"),
            dataset=dataset,
            digests={**digests, "search": md5(search / f"{backbone}.json"), "evaluation": md5(folder)},
            params={**params, "weights": asdict(weights)},
            files=[folder / name for name in _FILES],
            **about,
        )
    table = read_table(comparison / "comparison.tsv", index="model")
    for name, fitted in read_json(baselines / "baselines.json").items():
        runs[name] = publish_baseline(
            experiment,
            name,
            _read_numbers(table, name, spread=False),
            key=md5(baselines / f"{name}.tsv"),
            dataset=dataset,
            digests={**digests, "baselines": md5(baselines)},
            params=params,
            choice=fitted["choice"],
            synthetic=found["synthetic"],
            seconds=fitted["seconds"],
            **about,
        )
    if spread := read_json(comparison / "spread.json"):
        for name, run_id in runs.items():
            # The step is the number of splits: of several values, MLflow shows that of the most.
            add_metrics(experiment, run_id, _read_numbers(table, name, spread=True), spread["n_splits"])
    winner = found["winner"]
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        made = (models / winner, evaluations / winner, novelty, layout_folder, baselines)
        served = _describe_model(folder, *made, registry, found, table)
        own = {**digests, "model": md5(models / winner), "evaluation": md5(evaluations / winner)}
        explained = read_json(attributions / "explanation.json"), read_table(attributions / "types.tsv")
        # An explanation hangs on its version for good, and the gate weighs it: another one makes another.
        # Versions without a seal are others: they are not loaded.
        key = f"sealed {md5(folder)} {own['model']} {md5(attributions)}"
        # Words about the model do not make it another: its key is without them.
        card = _write_card(folder / CARD_FILE, served, evaluations / winner)
        # By name only, as it is large, and digested already.
        (folder / "model.keras").symlink_to((models / winner / "model.keras").absolute())
        sealed = seal(folder)
        version = register_version(
            experiment,
            registry.name,
            folder,
            key=key,
            run_id=runs[winner],
            metrics=flatten_scores(read_json(evaluations / winner / "metrics.json"))
            | flatten_explanation(*explained),
            digests=own,
            tags={
                "synthetic": "SYNTHETIC" if found["synthetic"] else "no",
                "weights": "RANDOM" if winner in found["random_weights"] else "imagenet",
                "cohort": found["cohort"],
                "backbone": winner,
                "sealed": sealed,
            },
            when=datetime.now(UTC),
            card=card,
            artifacts=[attributions],
        )
        told = f"{registry.name} version {version}, MLflow run {runs[winner]}"
        hang_page(experiment, registry.name, version, _copy_page(report, folder / report.name, told))
    console = Console(width=_WIDTH)
    _show_comparison(console, table, found)
    if spread:
        console.print(spread["said"])
    console.print(f"{registry.name} version {version} is the challenger ({winner}).")
    console.print(f"Report: {report}")
    console.print("MLflow: make ui, then http://127.0.0.1:5000")


def _name_options(section: CohortParams | LayoutParams, chosen: str) -> dict[str, Any]:
    """Give the chosen one's options back the name that they stand under in params.yaml."""
    content = asdict(section)
    options = content.pop("options")
    return {**content, chosen: options}


def _read_numbers(table: pd.DataFrame, model: str, *, spread: bool) -> dict[str, float]:
    """Read a model's row: what is said of the first split, or of the spread over all."""
    numbers = pd.to_numeric(table.T[model], errors="coerce").dropna()
    of_spread = {key for key in table if key == "n_splits" or str(key).endswith(_OF_SPREAD)}
    return {str(key): float(value) for key, value in numbers.items() if (key in of_spread) is spread}


def _describe_model(
    folder: Path,
    model: Path,
    evaluation: Path,
    novelty: Path,
    layout: Path,
    baselines: Path,
    registry: RegistryParams,
    found: dict[str, Any],
    table: pd.DataFrame,
) -> Served:
    """Put together what is registered beside the network: temperature, genes, what judges other cohorts."""
    _, scale, genes, about = read_layout(layout)
    training, calibration = read_json(model / "training.json"), read_json(evaluation / "probabilities.json")
    log2 = scale.low + scale.span * genes["mean"].to_numpy(np.float32)
    fill = np.exp2(log2) - 1 if about["unit"] in LINEAR_UNITS else log2
    served = Served(
        genes=genes.assign(fill=fill),
        tumour_types=tuple(training["tumour_types"]),
        unit=about["unit"],
        missing_genes=registry.missing_genes,
        synthetic=about["synthetic"],
        weights="RANDOM" if training["weights"]["random"] else "imagenet",
        cohort=about["cohort"],
        **{name: calibration[name] for name in ("abstain_below", "temperature")},
        about={
            **{name: training[name] for name in ("backbone", "depth")},
            "verdict": found["verdict"],
            "tested": {name: _read_numbers(table, name, spread=False) for name in map(str, table.index)},
        },
    )
    for path in (novelty / NOVELTY_FILE, novelty / FOOTPRINT_FILE, baselines / LINEAR_FILE):
        shutil.copyfile(path, folder / path.name)
    write_table(folder / ANSWERS_FILE, _list_answers(evaluation), index=False)
    write_served(folder, served)
    return served


def _write_card(path: Path, served: Served, evaluation: Path) -> str:
    metrics, by_type = read_json(evaluation / "metrics.json"), read_table(evaluation / "per_type.tsv")
    card = write_card(served, metrics, by_type)
    path.write_text(card, encoding="utf-8")
    return card


def _copy_page(report: Path, page: Path, told: str) -> Path:
    """Copy the report with the version that it tells of, known only now; that of the stage stays as it is."""
    page.write_text(state_registration(report.read_text(encoding="utf-8"), told), encoding="utf-8")
    return page


def _list_answers(evaluation: Path) -> pd.DataFrame:
    """List what the network answered on test samples and whether it was right; no row names its sample."""
    rows, probabilities, _, _ = read_predictions(evaluation / "predictions.tsv", "test")
    facts = {"predicted": rows["predicted"], "probability": probabilities.max(axis=1)}
    answers = pd.DataFrame(facts).assign(right=rows["predicted"] == rows["tumour_type"])
    return answers.sort_values(["predicted", "probability"], ascending=[True, False])


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
