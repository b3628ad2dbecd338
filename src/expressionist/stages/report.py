"""Put the whole run on one page."""

from pathlib import Path

from rich.console import Console

from expressionist.data import read_split
from expressionist.files import read_arrays, read_json, read_table, write_whole
from expressionist.painting import read_layout
from expressionist.params import AttributionParams, EvaluationParams
from expressionist.report import FinishedRun, build_report


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
    evaluations: Path,
    baselines: Path,
    comparison: Path,
    attributions: Path,
    out: Path,
) -> None:
    """Write `report.html`, one page that refers to nothing outside itself."""
    laid, _, genes, about = read_layout(layout)
    compared = read_json(comparison / "comparison.json")
    winner = evaluations / compared["winner"]
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
        scores=read_table(comparison / "comparison.tsv", index="model"),
        splits=read_table(comparison / "splits.tsv"),
        # The names of its rows stand in a column without a name; they are those of the columns.
        confusion=read_table(winner / "confusion.tsv").iloc[:, 1:],
        per_type=read_table(winner / "per_type.tsv"),
        probabilities=read_json(winner / "probabilities.json"),
        explanation=read_json(attributions / "explanation.json"),
        gaps=read_table(attributions / "samples.tsv", index="sample"),
        recovery=read_table(attributions / "recovery.tsv"),
        recovery_matrix=read_table(attributions / "recovery_matrix.tsv"),
        top_genes=read_table(attributions / "top_genes.tsv"),
        arrays=read_arrays(attributions / "attributions.npz"),
        cross_check=read_table(attributions / "cross_check.tsv"),
    )
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "report.html").write_text(build_report(finished), encoding="utf-8")
    Console().print(f"Report: {out / 'report.html'}")
