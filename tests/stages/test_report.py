"""The stage `report` puts what the other stages wrote on one page, and says plainly what it found."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.report import made_up
from tests.report.made_up import EVALUATION, TRAINING, TYPES
from tests.toy import make_cohort

from expressionist.data.cohort_file import write_cohort
from expressionist.data.split import read_split
from expressionist.evaluation.metrics import METRICS, confusion, per_type, score
from expressionist.evaluation.predictions import tabulate_predictions, write_predictions
from expressionist.files.digests import md5
from expressionist.files.store import read_table, write_arrays, write_json, write_table
from expressionist.painting.layout_file import read_layout
from expressionist.params.sections import BaselinesParams, ExpressionParams, LayoutParams, SplitParams
from expressionist.report.chapters.recovery import RANKINGS
from expressionist.report.page import state_registration
from expressionist.stages import baselines, compare, images, layout, report, split

EVIL = "<script>alert(1)</script>"


def make_repeats(n_repeats: int) -> pd.DataFrame:
    """The network gets better by a hundredth from split to split, the baseline model stays as it is."""
    kinds = {"mobilenet": "network", "k_nearest_neighbours": "baseline"}
    rows = [
        {"repeat": repeat, "model": model, "kind": kind, "depth": np.nan, "n_train": 30, "n_test": 18}
        | dict.fromkeys(
            ("validation_f1_macro", "validation_log_loss", *METRICS), 0.9 + (kind == "network") * repeat / 100
        )
        for repeat in range(2, n_repeats + 1)
        for model, kind in kinds.items()
    ]
    chosen_by = ["validation_f1_macro", "validation_log_loss"]
    columns = ["repeat", "model", "kind", "depth", "n_train", "n_test", *chosen_by, *METRICS]
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
    method = LayoutParams("random", 1, {})
    layout.run(ExpressionParams(n_genes=40), method, **at, lists=folder, out=paths["layout"])
    images.run(**at, layout=paths["layout"], scheduler=None, out=paths["images"])
    models = BaselinesParams(("k_nearest_neighbours",), 1)
    baselines.run(models, **at, layout=paths["layout"], out=paths["baselines"])
    write_json(paths["search"] / "mobilenet.json", made_up.SEARCH)
    write_json(paths["models"] / "mobilenet" / "training.json", TRAINING)
    _write_evaluation(paths["evaluations"] / "mobilenet", read_split(paths["split"]))
    among = {name: paths[name] for name in ("layout", "search", "models", "evaluations", "baselines")}
    repeats = folder / "repeats.tsv"
    write_table(repeats, make_repeats(n_repeats), index=False)
    tables = {"repeats": repeats, "metrics": folder / "metrics.json"}
    compare.run(EVALUATION, ("mobilenet",), **among, **tables, out=paths["comparison"])
    _write_attributions(paths["attributions"], paths["layout"])
    paths |= {name: folder / name for name in ("ablation", "refit")}
    # What was trained is registered, as without members.
    shutil.copytree(paths["models"], paths["refit"] / "models")
    shutil.copytree(paths.pop("evaluations"), paths["refit"] / "evaluation")
    write_json(paths["refit"] / "refit.json", {})
    write_table(paths["ablation"] / "ablation.tsv", made_up.make_ablation(), index=False)
    write_json(paths["ablation"] / "ablation.json", made_up.PICTURE)
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
    write_json(folder / "probabilities.json", made_up.make_probabilities())
    write_json(folder / "metrics.json", {"test": score(probabilities[test], truth[test])})


def _write_attributions(folder: Path, laid: Path) -> None:
    genes = read_layout(laid)[2]
    rng = np.random.default_rng(0)
    rankings = {ranking: rng.normal(size=(3, len(genes))) for ranking in RANKINGS}
    expression = rng.random((3, len(genes)))
    n_samples = np.array([2, 0, 2])
    means = {"attribution": rng.normal(size=expression.shape), "expression": expression}
    write_arrays(folder / "attributions.npz", **rankings, **means, n_samples=n_samples)
    top = genes.head(4).rename_axis("gene").reset_index()[["gene", "symbol", "row", "column"]]
    top = top.assign(attribution=[3, 2, 1, -1], share_positive=1.0, log2_fold_change=2.0)
    top = top.assign(speaks_by_being=["high", "high", "high", "low"], score=[3.0, 2.0, 1.0, 1.5])
    parts = [top.assign(tumour_type=name, marker=[True, False, False, False]) for name in ("T0", "T2")]
    write_table(folder / "top_genes.tsv", pd.concat(parts), index=False)
    write_table(folder / "samples.tsv", made_up.make_gaps())
    tables = {"types": made_up.make_types(), "faithfulness": made_up.make_faithfulness()}
    tables |= {"randomisation": made_up.make_randomisation(), "siblings": made_up.make_siblings()}
    for name, table in {**tables, "errors": made_up.make_errors()}.items():
        write_table(folder / f"{name}.tsv", table, index=False)
    found = made_up.make_recovery(**dict.fromkeys(RANKINGS, 1)).query("tumour_type in ('T0', 'T2')")
    write_table(folder / "recovery.tsv", found, index=False)
    matrix = pd.DataFrame({"type": ["T0", "T0", "T2", "T2"], "markers_of": ["T0", "T2"] * 2})
    matrix = matrix.assign(n_top=3, n_markers=2, n_found=[1, 0, 0, 2])
    write_table(folder / "recovery_matrix.tsv", matrix, index=False)
    checked = pd.DataFrame({"sample_position": [0], "correlation": [0.9], "n_top": [100], "n_shared": [70]})
    write_table(folder / "cross_check.tsv", checked, index=False)
    write_json(folder / "explanation.json", made_up.make_explanation())


def show(paths: dict[str, Path], out: Path) -> str:
    report.run(("mobilenet",), made_up.ATTRIBUTION, EVALUATION, **paths, out=out, root=out.parent)
    return (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(paths: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    return show(paths, tmp_path_factory.mktemp("page") / "out")


def test_spreads_are_shown_where_the_patients_were_split_anew(page: str, tmp_path: Path) -> None:
    assert "over 1 splits" not in page
    assert "±" not in page
    paths = write_inputs(tmp_path, n_repeats=3)
    spread = show(paths, tmp_path / "out")
    assert "All models over 3 splits" in spread
    assert "understate how far scores would move on new cohorts" in spread
    assert "Over 3 splits mobilenet has" in spread
    table = read_table(paths["comparison"] / "comparison.tsv", index="model")
    shown = re.sub(r"<[^>]+>|\s+", " ", spread)
    for metric, form in (("accuracy", ".3f"), ("f1_macro", ".3f"), ("f1_macro_lead", "+.3f")):
        mean, sd = table.loc["mobilenet", [f"{metric}_mean", f"{metric}_sd"]]
        said = re.escape(format(mean, form).replace("-", chr(0x2212)))
        assert re.search(rf"{said} +± {sd:.3f}", shown), metric


def test_every_section_is_there(page: str) -> None:
    wanted = "verdict run cohort images comparison picture search errors probabilities training attributions"
    wanted += " rankings siblings cross-check limits"
    assert re.findall(r'<section id="([^"]+)"', page) == wanted.split()


def test_the_page_says_where_it_comes_from(page: str, paths: dict[str, Path]) -> None:
    (origin,) = re.findall(r'<p class="origin">(.*?)</p>', page)
    model = md5(paths["models"] / "mobilenet")
    for words in (
        "First trained on 9 March 2026",
        "no known commit",
        "keras 3.",
        "training seed 7",
        model[:12],
    ):
        assert words in origin
    registered = state_registration(page, "toy version 3, MLflow run <abc>")
    assert "toy version 3, MLflow run &lt;abc&gt;</span>" in registered
    assert "the copy of this page in MLflow" in page
    assert "the copy of this page in MLflow" not in registered


def test_sections_say_which_files_they_show(page: str, paths: dict[str, Path]) -> None:
    sections = dict(re.findall(r'<section id="([^"]+)">(.*?)</section>', page, re.DOTALL))
    shown = {name: re.findall(r'<p class="files">From (.*?)</p>', text) for name, text in sections.items()}
    assert str(paths["attributions"] / "top_genes.tsv") in shown["rankings"][0]
    named = [file for (files,) in filter(None, shown.values()) for file in files.split(", ")]
    assert all(list(Path("/").glob(file.removeprefix("/"))) for file in named), "files are there"


def test_the_page_says_what_it_is_not(page: str) -> None:
    assert "<strong>SYNTHETIC</strong>" in page
    assert "<strong>RANDOM WEIGHTS</strong>" in page
    assert "No pretrained weights were used for mobilenet, as weights.source: random asks" in page
    assert "could be downloaded" not in page


def test_random_weights_that_nobody_asked_for_are_explained(paths: dict[str, Path], tmp_path: Path) -> None:
    weights = {**TRAINING["weights"], "asked": "imagenet"}
    write_json(tmp_path / "mobilenet" / "training.json", {**TRAINING, "weights": weights})
    page = show({**paths, "models": tmp_path}, tmp_path / "out")
    assert "for mobilenet, as no ImageNet weights were found or could be downloaded:" in page


def test_names_from_the_data_are_escaped(page: str) -> None:
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_what_was_found_is_said_plainly(page: str) -> None:
    assert "NOT as complete as asked: a median gap of 5.00%" in page
    assert "No test sample of T1 was classified correctly" in page
    assert "mobilenet classifies 6 of 18 test samples wrongly." in page
    assert "Genes that are 0 in every sample" in page
    assert "divided by 1.25" in page


def test_types_that_were_explained_have_a_part_each(page: str) -> None:
    assert re.findall(r'id="type-\d+"><summary>(\w+)', page) == ["T0", "T2"]


def test_the_stage_loads_neither_tensorflow_nor_mlflow() -> None:
    heavy = "{'tensorflow', 'keras', 'mlflow'}"
    code = f"import sys, expressionist.stages.report; sys.exit(bool({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
