"""Put the whole run on one page."""

from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path

import pandas as pd
from rich.console import Console

from expressionist.data import read_split
from expressionist.files import md5, read_arrays, read_json, read_table, write_whole
from expressionist.painting import read_layout
from expressionist.params import AttributionParams, EvaluationParams
from expressionist.report import FinishedRun, build_report
from expressionist.tracking import read_provenance

# Files of explanations that sections other than the rankings show.
_EXPLAINED = ("explanation.json", "samples.tsv", "faithfulness.tsv", "randomisation.tsv")
_ELSEWHERE = {
    *_EXPLAINED,
    "siblings.tsv",
    "errors.tsv",
    "pathways.tsv",
    "gene_sets.tsv",
    "cross_check.tsv",
}
_VERSIONS = ("expressionist", "tensorflow", "keras")


def run(
    backbones: tuple[str, ...],
    attribution: AttributionParams,
    evaluation: EvaluationParams,
    *,
    quality: Path,
    split: Path,
    layout: Path,
    images: Path,
    search: Path,
    models: Path,
    refit: Path,
    baselines: Path,
    comparison: Path,
    ablation: Path,
    attributions: Path,
    out: Path,
    root: Path,
) -> None:
    """Write `report.html`, one page that refers to nothing outside itself."""
    laid, _, genes, about = read_layout(layout)
    compared = read_json(comparison / "comparison.json")
    winner = refit / "evaluation" / compared["winner"]
    finished = FinishedRun(
        backbones=backbones,
        attribution=attribution,
        evaluation=evaluation,
        quality=read_json(quality / "quality.json"),
        split=read_split(split),
        layout=laid,
        genes=genes,
        about=about,
        preview=(images / "preview.png").read_bytes(),
        differences=(images / "differences.png").read_bytes(),
        searches={backbone: read_json(search / f"{backbone}.json") for backbone in backbones},
        trainings={backbone: read_json(models / backbone / "training.json") for backbone in backbones},
        baselines=read_json(baselines / "baselines.json"),
        comparison=compared,
        spread=read_json(comparison / "spread.json"),
        refit=read_json(refit / "refit.json"),
        picture=read_json(ablation / "ablation.json"),
        ablation=read_table(ablation / "ablation.tsv"),
        scores=read_table(comparison / "comparison.tsv", index="model"),
        splits=read_table(comparison / "splits.tsv"),
        # The names of its rows stand in a column without a name; they are those of the columns.
        # A type may be called like a column of names, which are read as text.
        confusion=read_table(winner / "confusion.tsv").iloc[:, 1:].astype(int),
        per_type=read_table(winner / "per_type.tsv"),
        probabilities=read_json(winner / "probabilities.json"),
        explanation=read_json(attributions / "explanation.json"),
        gaps=read_table(attributions / "samples.tsv", index="sample"),
        types=read_table(attributions / "types.tsv"),
        faithfulness=read_table(attributions / "faithfulness.tsv"),
        randomisation=read_table(attributions / "randomisation.tsv"),
        siblings=read_table(attributions / "siblings.tsv"),
        errors=read_table(attributions / "errors.tsv"),
        recovery=read_table(attributions / "recovery.tsv"),
        recovery_matrix=read_table(attributions / "recovery_matrix.tsv"),
        truth=_read_known(attributions / "truth.tsv"),
        top_genes=read_table(attributions / "top_genes.tsv"),
        arrays=read_arrays(attributions / "attributions.npz"),
        cross_check=read_table(attributions / "cross_check.tsv"),
        pathways=_read_known(attributions / "pathways.tsv"),
        gene_sets=_read_known(attributions / "gene_sets.tsv"),
        commit=_name_commit(read_provenance(root)),
        versions={package: installed(package) for package in _VERSIONS},
        model_digest=md5(refit / "models" / compared["winner"]),
        files={
            "run": [str(models / "*/training.json"), str(search / "*.json")],
            "cohort": [str(quality / "quality.json"), str(split)],
            "images": [str(layout / "genes.tsv"), str(images / "preview.png")],
            "comparison": [
                str(comparison / "comparison.tsv"),
                str(comparison / "splits.tsv"),
                str(refit / "refit.json"),
            ],
            "picture": [str(ablation / "ablation.tsv"), str(attributions / "samples.tsv")],
            "search": [str(search / "*.json")],
            "errors": [str(winner / name) for name in ("predictions.tsv", "confusion.tsv", "per_type.tsv")],
            "probabilities": [str(winner / "probabilities.json"), str(attributions / "explanation.json")],
            "training": [str(models / "*/training.json")],
            "attributions": [str(attributions / name) for name in _EXPLAINED],
            "rankings": [str(path) for path in sorted(attributions.iterdir()) if path.name not in _ELSEWHERE],
            "siblings": [str(attributions / name) for name in ("siblings.tsv", "errors.tsv")],
            "pathways": [str(attributions / name) for name in ("pathways.tsv", "gene_sets.tsv")],
            "cross-check": [str(attributions / "cross_check.tsv")],
        },
    )
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "report.html").write_text(build_report(finished), encoding="utf-8")
    Console().print(f"Report: {out / 'report.html'}")


def _read_known(path: Path) -> pd.DataFrame | None:
    """Read a table that not every run has."""
    return read_table(path) if path.exists() else None


def _name_commit(about: Mapping[str, str]) -> str:
    code = f"code {about['package'][:12]}"
    if "git_commit" not in about:
        return f"{code}, no known commit"
    return f"{code}, commit {about['git_commit'][:9]}" + (
        " with uncommitted changes" if about.get("git_dirty") == "true" else ""
    )
