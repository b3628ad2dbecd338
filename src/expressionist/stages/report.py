"""Put the whole run on one page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from expressionist.data import read_split
from expressionist.evaluation import read_predictions
from expressionist.explain import match_markers, matched_by
from expressionist.files import read_arrays, read_json, read_table, write_whole
from expressionist.network import explain_random
from expressionist.painting import Layout, read_layout
from expressionist.params import AttributionParams, EvaluationParams
from expressionist.report import (
    Marks,
    Part,
    ReportContent,
    TypePart,
    build_report,
    declare_verdict,
    describe_attributions,
    describe_cohort,
    describe_comparison,
    describe_cross_check,
    describe_errors,
    describe_images,
    describe_probabilities,
    describe_run,
    describe_search,
    describe_training,
    describe_types,
    draw_samples,
    state_limits,
)


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
    """Write `report.html`, one page that refers to nothing outside itself.

    Parameters
    ----------
    backbones : tuple of str
        The networks compared.
    attribution, evaluation : AttributionParams, EvaluationParams
        Sections of params.yaml.
    quality : pathlib.Path
        Folder of the stage `prepare`, with quality.json.
    split, layout, images, search, models, evaluations, baselines, comparison, attributions : pathlib.Path
        Outputs of the stages.
    out : pathlib.Path
        Folder to write.
    """
    found, sides = read_json(comparison / "comparison.json"), read_split(split)
    found["spread"] = read_json(comparison / "spread.json")
    laid, _, genes, about = read_layout(layout)
    searches = {backbone: read_json(search / f"{backbone}.json") for backbone in backbones}
    trainings = {backbone: read_json(models / backbone / "training.json") for backbone in backbones}
    opponents = read_json(baselines / "baselines.json")
    table = read_table(comparison / "comparison.tsv", index="model")
    winner, marks = found["winner"], Marks(found["synthetic"], frozenset(found["random_weights"]))
    random = [backbone for backbone in backbones if backbone in marks.random_weights]
    explanation = read_json(attributions / "explanation.json")
    explained, types = _read_attributions(attributions, explanation, attribution, laid, marks)
    content = ReportContent(
        title=f"{found['cohort']}: tumour types from expression images",
        run=describe_run(about, sides, searches, trainings, opponents),
        synthetic=marks.synthetic,
        random_weights=random,
        # All backbones were asked the same.
        random_because=explain_random(trainings[random[0]]["weights"]["asked"]) if random else "",
        verdict=declare_verdict(table, found),
        cohort=describe_cohort(
            read_json(quality / "quality.json"),
            marks.show(
                draw_samples(sides),
                "Number of samples per tumour type, by side of the split",
                "Samples per tumour type. All samples of a patient stand on one side of the split.",
            ),
        ),
        images=describe_images(
            laid,
            genes,
            about,
            (images / "preview.png").read_bytes(),
            (images / "differences.png").read_bytes(),
            match_markers(genes),
            matched_by(genes),
            sorted(sides["tumour_type"].unique()),
            marks,
        ),
        comparison=describe_comparison(
            table, found, opponents, evaluation.level, marks, read_table(comparison / "splits.tsv")
        ),
        search=describe_search(searches, marks),
        errors=_read_errors(evaluations / winner, found, marks),
        probabilities=describe_probabilities(
            read_json(evaluations / winner / "probabilities.json"), table, winner, marks
        ),
        training=describe_training(trainings, marks),
        attributions=explained,
        types=types,
        cross_check=describe_cross_check(read_table(attributions / "cross_check.tsv"), sides, marks, winner),
        limits=state_limits(
            explanation, attribution, read_table(evaluations / winner / "per_type.tsv"), marks, backbones
        ),
    )
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "report.html").write_text(build_report(content), encoding="utf-8")
    Console().print(f"Report: {out / 'report.html'}")


def _read_errors(evaluation: Path, found: Mapping[str, Any], marks: Marks) -> Part:
    """Read what the chosen network predicts for test samples."""
    *_, tumour_types = read_predictions(evaluation / "predictions.tsv", "test")
    # The row names stand in a column without a name; they are those of the columns.
    counts = read_table(evaluation / "confusion.tsv").iloc[:, 1:].set_axis(tumour_types, axis=0)
    per_type = read_table(evaluation / "per_type.tsv")
    return describe_errors(counts, per_type, found["winner"], marks)


def _read_attributions(
    folder: Path, explanation: Mapping[str, Any], attribution: AttributionParams, layout: Layout, marks: Marks
) -> tuple[Part, list[TypePart]]:
    """Read what the stage `explain` wrote: the section, and its part for every tumour type."""
    part = describe_attributions(
        explanation,
        attribution,
        read_table(folder / "samples.tsv", index="sample"),
        read_table(folder / "recovery.tsv"),
        read_table(folder / "recovery_matrix.tsv"),
        marks,
    )
    top_genes = read_table(folder / "top_genes.tsv")
    arrays = read_arrays(folder / "attributions.npz")
    types = describe_types(
        layout, arrays, top_genes, explanation["tumour_types"], explanation["backbone"], marks
    )
    return part, types
