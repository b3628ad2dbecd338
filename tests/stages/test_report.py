"""The stage `report` puts what the other stages wrote on one page, and says plainly what it found."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.toy import make_cohort

from expressionist.data.cohort_file import write_cohort
from expressionist.data.split import read_split
from expressionist.evaluation.metrics import confusion, per_type, score
from expressionist.evaluation.predictions import tabulate_predictions, write_predictions
from expressionist.evaluation.spreads import METRICS
from expressionist.files.store import read_json, read_table, write_arrays, write_json, write_table
from expressionist.painting.layout_file import read_layout
from expressionist.params.sections import (
    AttributionParams,
    BaselinesParams,
    EvaluationParams,
    ExpressionParams,
    LayoutParams,
    SplitParams,
)
from expressionist.report.attributions import describe_attributions
from expressionist.report.cohort import describe_cohort
from expressionist.report.content import Part, ReportContent
from expressionist.report.figures import draw_samples
from expressionist.report.marks import Marks
from expressionist.report.page import build_report
from expressionist.report.probabilities import describe_probabilities
from expressionist.report.recovery import RANKINGS, TESTED, judge_recovery, sum_by_pixel
from expressionist.report.search import describe_search
from expressionist.stages import baselines, compare, images, layout, report, split

TYPES = ["T0", "T1", "T2"]
EVIL = "<script>alert(1)</script>"
EVALUATION = EvaluationParams(n_resamples=20, level=0.9, answered_accuracy=0.9, false_alarms=0.05, seed=1)
ATTRIBUTION = AttributionParams(
    n_samples_per_type=5, steps=8, max_steps=16, median_delta=0.01, p95_delta=0.05, n_top=3, seed=1
)
HISTORY = [
    {"epoch": epoch, "loss": 2.0 / epoch, "validation_log_loss": 1.5, "validation_f1_macro": 0.3 * epoch}
    | {"validation_accuracy": 0.4}
    for epoch in (1, 2)
]
TRIALS = [
    {"number": 0, "state": "COMPLETE", "depth": 0, "params": {"depth": 0, "dropout": 0.3}, "value": 0.6}
    | {"seconds": 2.0, "n_unfrozen_layers": 0, "n_unfrozen_parameters": 0, "history": HISTORY},
    {"number": 1, "state": "PRUNED", "depth": 1, "params": {"depth": 1, "dropout": 0.5}, "value": 0.2}
    | {"seconds": 1.0, "n_unfrozen_layers": 1, "n_unfrozen_parameters": 1234567, "history": HISTORY[:1]},
    {"number": 2, "state": "FAIL", "depth": 2, "params": {"depth": 2, "dropout": 0.5}, "value": None}
    | {"seconds": None, "history": []},
]
SEARCH: dict[str, Any] = {
    "study": "toy-mobilenet-1",
    "objective": "f1_macro",
    "space": {"depths": [0, 1, 2]},
    "digests": {"images": "abc.dir"},
    "params": {"search": {"n_trials": 3}},
    "trials": TRIALS,
    "best": {"number": 0},
}
TRAINING: dict[str, Any] = {
    "backbone": "mobilenet",
    "depth": 0,
    "unfrozen_layers": [],
    "n_unfrozen_parameters": 0,
    "n_parameters": 1000,
    "weights": {"source": "random", "file": "", "digest": "random-1", "random": True, "asked": "random"},
    "tumour_types": TYPES,
    "history": HISTORY,
    "seconds": 1.0,
    "params": {"training": {"epochs": 2}},
    "study": "toy-mobilenet-1",
}


def make_recovery(**found: int) -> pd.DataFrame:
    """As many markers found by each ranking, of ten, in each of eight types."""
    rows = [
        {"tumour_type": f"T{number}", "ranking": ranking, "n_top": 20, "n_markers": 10, "n_found": n}
        | {"expected": 0.2, "p_value": 0.001 if n > 2 else 0.5}
        for number in range(8)
        for ranking, n in found.items()
    ]
    return pd.DataFrame(rows)


def make_repeats(n_repeats: int) -> pd.DataFrame:
    """The network gets better by a hundredth from split to split, the opponent stays as it is."""
    kinds = {"mobilenet": "network", "k_nearest_neighbours": "opponent"}
    rows = [
        {"repeat": repeat, "model": model, "kind": kind, "depth": np.nan, "n_train": 30, "n_test": 18}
        | dict.fromkeys(("validation_f1_macro", *METRICS), 0.9 + (kind == "network") * repeat / 100)
        for repeat in range(2, n_repeats + 1)
        for model, kind in kinds.items()
    ]
    columns = ["repeat", "model", "kind", "depth", "n_train", "n_test", "validation_f1_macro", *METRICS]
    return pd.DataFrame(rows, columns=columns)


def write_inputs(folder: Path, n_repeats: int = 1) -> dict[str, Path]:
    """Run the stages that need no TensorFlow, and write in their formats what the others would."""
    cohort = make_cohort()
    cohort.genes.loc["g0", "symbol"] = EVIL
    paths = {name: folder / name for name in ("quality", "layout", "images", "baselines", "comparison")}
    paths |= {name: folder / name for name in ("search", "models", "evaluations", "attributions")}
    paths["split"] = folder / "split.tsv"
    write_cohort(paths["quality"] / "cohort.h5ad", cohort)
    write_json(paths["quality"] / "quality.json", {"synthetic": True, "n_genes_never_seen": 17})
    at = {"cohort": paths["quality"], "split": paths["split"]}
    split.run(SplitParams(validation=0.2, test=0.3, seed=1), cohort=paths["quality"], out=paths["split"])
    layout.run(
        ExpressionParams(n_genes=40),
        LayoutParams("random", 1, {}),
        **at,
        incoming=folder,
        out=paths["layout"],
    )
    images.run(**at, layout=paths["layout"], scheduler=None, out=paths["images"])
    opponents = BaselinesParams(("k_nearest_neighbours",), 1)
    baselines.run(opponents, **at, layout=paths["layout"], out=paths["baselines"])
    write_json(paths["search"] / "mobilenet.json", SEARCH)
    write_json(paths["models"] / "mobilenet" / "training.json", TRAINING)
    _write_evaluation(paths["evaluations"] / "mobilenet", read_split(paths["split"]))
    among = {name: paths[name] for name in ("layout", "models", "evaluations", "baselines")}
    repeats = folder / "repeats.tsv"
    write_table(repeats, make_repeats(n_repeats), index=False)
    compare.run(EVALUATION, ("mobilenet",), **among, repeats=repeats, out=paths["comparison"])
    _write_attributions(paths["attributions"], paths["split"], paths["layout"])
    return paths


def _write_evaluation(folder: Path, rows: pd.DataFrame) -> None:
    held_out = rows[rows["split"] != "train"]
    truth = pd.Index(TYPES).get_indexer(held_out["tumour_type"])
    probabilities = np.full((len(truth), 3), 0.2)
    # T0 is always right, T1 always taken for T2.
    probabilities[np.arange(len(truth)), np.where(truth == 1, 2, truth)] = 0.6
    write_predictions(folder / "predictions.tsv", tabulate_predictions(held_out, probabilities, TYPES))
    test = (held_out["split"] == "test").to_numpy()
    counts = confusion(probabilities[test], truth[test])
    write_table(folder / "confusion.tsv", pd.DataFrame(counts, index=TYPES, columns=TYPES))
    write_table(folder / "per_type.tsv", per_type(probabilities[test], truth[test], TYPES), index=False)
    write_json(folder / "probabilities.json", make_probabilities())
    write_json(folder / "metrics.json", {"test": score(probabilities[test], truth[test])})


def make_probabilities(**changes: object) -> dict[str, Any]:
    bins = {"confidence": [0.6], "share_right": [0.7], "n_samples": [9]}
    side = {
        "n_samples": 9,
        "ece_before": 0.2,
        "ece_after": 0.1,
        "log_loss_before": 0.9,
        "log_loss_after": 0.8,
    }
    side |= {
        "answered": 0.75,
        "answered_accuracy": 0.95,
        "reliability_before": bins,
        "reliability_after": bins,
    }
    flagged = {
        "validation": [0, 9],
        "test": [1, 18],
        "shuffled": [18, 18],
        "linear": [18, 18],
        "normal": [4, 5],
    }
    return {
        "temperature": 1.25,
        "abstain_below": 0.55,
        "validation": side,
        "test": side,
        "coverage": {"threshold": [0.6], "coverage": [1.0], "accuracy": [0.7]},
        "false_alarms": 0.05,
        "n_normals_shown": 30,
        "flagged": flagged,
        "flagged_normals": {"T0": [4, 5]},
        **changes,
    }


def _write_attributions(folder: Path, rows: Path, laid: Path) -> None:
    genes = read_layout(laid)[2]
    rng = np.random.default_rng(0)
    rankings = {ranking: rng.normal(size=(3, len(genes))) for ranking in RANKINGS}
    expression = rng.random((3, len(genes)))
    n_samples = np.array([2, 0, 2])
    write_arrays(folder / "attributions.npz", **rankings, expression=expression, n_samples=n_samples)
    top = genes.head(4).rename_axis("gene").reset_index()[["gene", "symbol", "row", "column"]]
    top = top.assign(attribution=[3, 2, 1, -1], share_positive=1.0, log2_fold_change=2.0, zero_baseline=0.1)
    parts = [top.assign(tumour_type=name, marker=[True, False, False, False]) for name in ("T0", "T2")]
    write_table(folder / "top_genes.tsv", pd.concat(parts), index=False)
    write_table(folder / "samples.tsv", make_gaps())
    found = make_recovery(**dict.fromkeys(RANKINGS, 1)).query("tumour_type in ('T0', 'T2')")
    write_table(folder / "recovery.tsv", found, index=False)
    matrix = pd.DataFrame({"type": ["T0", "T0", "T2", "T2"], "markers_of": ["T0", "T2"] * 2})
    matrix = matrix.assign(n_top=3, n_markers=2, n_found=[1, 0, 0, 2])
    write_table(folder / "recovery_matrix.tsv", matrix, index=False)
    checked = pd.DataFrame({"sample_position": [0], "correlation": [0.9], "n_top": [100], "n_shared": [70]})
    write_table(folder / "cross_check.tsv", checked, index=False)
    write_json(folder / "explanation.json", make_explanation())
    assert len(read_split(rows)) == 60


def make_gaps() -> pd.DataFrame:
    rows = [
        {"sample": sample, "tumour_type": name, "baseline": baseline, "rise": 2.0, "delta": 0.1}
        | {"relative_gap": 0.05, "steps": 16}
        for sample, name in (("a", "T0"), ("b", "T2"))
        for baseline in ("mean", "zero", "random")
    ]
    return pd.DataFrame(rows).set_index("sample")


def make_explanation(**changes: object) -> dict[str, Any]:
    gap = {"median": 0.05, "p95": 0.05, "n_steps": 16}
    facts = {"backbone": "mobilenet", "n_samples": 2, "n_genes": 40, "markers_matched_by": "planted"}
    return {
        **facts,
        "gap": {"mean": gap, "zero": gap, "random": gap},
        "complete": False,
        "tumour_types": TYPES,
        **changes,
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    paths = write_inputs(folder)
    report.run(("mobilenet",), ATTRIBUTION, EVALUATION, **paths, out=folder / "out")
    return (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_spreads_are_shown_where_the_patients_were_dealt_anew(page: str, tmp_path: Path) -> None:
    assert "over 1 splits" not in page
    assert "±" not in page
    paths = write_inputs(tmp_path, n_repeats=3)
    report.run(("mobilenet",), ATTRIBUTION, EVALUATION, **paths, out=tmp_path / "out")
    spread = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "All models over 3 splits" in spread
    assert "understate how far scores would move on new cohorts" in spread
    assert "Over 3 splits mobilenet has" in spread
    table = read_table(paths["comparison"] / "comparison.tsv", index="model")
    for metric, form in (("accuracy", ".3f"), ("f1_macro", ".3f"), ("f1_macro_lead", "+.3f")):
        mean, sd = table.loc["mobilenet", [f"{metric}_mean", f"{metric}_sd"]]
        shown = re.sub(r"<[^>]+>|\s+", " ", spread)
        assert re.search(rf"{re.escape(format(mean, form).replace('-', chr(0x2212)))} +± {sd:.3f}", shown), (
            metric
        )


def test_every_section_is_there(page: str) -> None:
    wanted = "run verdict cohort images comparison search errors probabilities training attributions"
    assert re.findall(r'<section id="([^"]+)"', page) == [*wanted.split(), "cross-check", "limits"]


def test_the_page_says_what_it_is_not(page: str) -> None:
    assert "<strong>SYNTHETIC</strong>" in page
    assert "<strong>RANDOM WEIGHTS</strong>" in page
    assert "No pretrained weights were used for mobilenet, as weights.source: random asks" in page
    assert "could be downloaded" not in page


def test_random_weights_that_nobody_asked_for_are_explained(tmp_path: Path) -> None:
    paths = write_inputs(tmp_path)
    training = paths["models"] / "mobilenet" / "training.json"
    about = read_json(training)
    about["weights"]["asked"] = "imagenet"
    write_json(training, about)
    report.run(("mobilenet",), ATTRIBUTION, EVALUATION, **paths, out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "for mobilenet, as no ImageNet weights were found or could be downloaded:" in page


def test_names_from_the_data_are_escaped(page: str) -> None:
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_what_was_found_is_said_plainly(page: str) -> None:
    assert "NOT as complete as asked: a median gap of 5.00%" in page
    assert "No test sample of T1 was classified correctly" in page
    assert "mobilenet classifies 6 of 18 test samples wrongly." in page
    assert "Genes never seen" in page


def test_types_that_were_explained_have_a_part_each(page: str) -> None:
    assert re.findall(r'id="type-\d+"><summary>(\w+)', page) == ["T0", "T2"]


def test_the_stage_loads_neither_tensorflow_nor_mlflow() -> None:
    heavy = "{'tensorflow', 'keras', 'mlflow'}"
    code = f"import sys, expressionist.stages.report; sys.exit(bool({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("control", "outcome"),
    [(1, "finds more than"), (5, "cannot be told apart from"), (9, "finds fewer than")],
)
def test_controls_are_judged_by_the_numbers(control: int, outcome: str) -> None:
    sentences = judge_recovery(make_recovery(**{TESTED: 5, "fold_change": control}))
    assert "finds 40 of 80 markers; 1.6 are expected by chance. In 8 types" in sentences[0]
    assert f"It {outcome} plain fold change ({8 * control} of 80)" in sentences[1]


def test_without_markers_there_is_a_sentence_instead_of_a_figure() -> None:
    nothing = make_recovery(**{TESTED: 1}).iloc[:0]
    explanation = make_explanation(markers_matched_by="nothing", complete=True)
    part = describe_attributions(explanation, ATTRIBUTION, make_gaps(), nothing, nothing, Marks())
    assert len(part.pictures) == 1
    assert any("cannot be tested here" in sentence for sentence in part.sentences)
    assert any("complete as asked" in sentence for sentence in part.sentences)


def test_pruned_and_failed_trials_are_marked() -> None:
    (table,) = describe_search({"mobilenet": SEARCH}, Marks()).tables
    assert table.rows["state"].tolist() == ["finished", "pruned", "failed"]
    assert table.rows["n_unfrozen_parameters"].tolist() == [0, 1234567, pd.NA]
    assert table.rows["dropout"].tolist() == [0.3, 0.5, 0.5]
    assert table.best == 0


def test_rules_of_a_read_cohort_become_rows_of_one_table() -> None:
    quality = {
        "cohort": "tcga",
        "samples": {
            "read": 10,
            "kept": 8,
            "rules": [
                {"rule": "second aliquot", "n": 2, "examples": ["a", "b"], "by_type": {"T0": 1, "T1": 1}}
            ],
        },
        "genes": {
            "read": 5,
            "kept": 5,
            "rules": [],
            "without_position": {"rule": "no position known", "n": 1, "examples": ["g"]},
        },
        "values": {"rules": [{"rule": "value below 0 set to 0", "n": 3, "lowest": -0.5}]},
        "types": {"read": {"T0": 6, "T1": 4}, "kept": {"T0": 8}},
    }
    split = pd.DataFrame({"tumour_type": ["T0"], "split": ["train"]})
    part = describe_cohort(quality, Marks().show(draw_samples(split), "samples"))
    rules, types = part.tables
    assert rules.rows["of"].tolist() == ["samples", "genes", "values"]
    assert rules.rows["n"].tolist() == [2, 1, 3]
    assert rules.rows["more"].tolist() == ["", "", "lowest \u22120.500"]
    assert types.rows.to_numpy().tolist() == [["T0", 6, 8], ["T1", 4, 0]]
    assert part.facts["Samples"] == "8 of 10 kept"
    assert "second aliquot" in build_report(ReportContent("t", Part(), cohort=part))


def test_a_pixel_shows_the_sum_of_its_genes() -> None:
    rng = np.random.default_rng(0)
    values, pixel = rng.normal(size=30), rng.integers(0, 12, 30)
    slow = np.zeros(12)
    for value, place in zip(values, pixel, strict=True):
        slow[place] += value
    assert np.allclose(sum_by_pixel(values, pixel, (3, 4)), slow.reshape(3, 4))


def describe(**changes: object) -> str:
    table = pd.DataFrame({"kind": ["opponent"], "ece": [0.123]}, index=["k_nearest_neighbours"])
    part = describe_probabilities(make_probabilities(**changes), table, "mobilenet", Marks())
    assert len(part.pictures) == 3
    return " ".join(part.sentences)


def test_probabilities_are_put_into_plain_words() -> None:
    told = describe()
    for words in ("divided by 1.25", "is 0.100; it was 0.200 before", "k nearest neighbours 0.123"):
        assert words in told
    assert "below 0.55 are marked abstain" in told
    assert "75.0% are answered, 95.0% of these rightly" in told
    assert "Of 18 test samples 1 are flagged" in told
    assert "shown 30 normal samples" in told


def test_probabilities_say_when_all_or_none_are_answered_and_when_no_normal_tissue_was_there() -> None:
    assert "no prediction is marked" in describe(abstain_below=0)
    side = make_probabilities()["test"] | {"answered": 0.0, "answered_accuracy": None}
    assert "every prediction abstains" in describe(abstain_below=1.0, test=side)
    flagged = {"validation": [0, 9], "test": [1, 18], "shuffled": [18, 18]}
    assert "brought no normal tissue" in describe(n_normals_shown=0, flagged=flagged, flagged_normals={})


def test_the_page_has_the_section_probabilities(page: str) -> None:
    assert 'id="probabilities"' in page
    assert "divided by 1.25" in page
