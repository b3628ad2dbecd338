"""A registered version explains itself: predictions, one sample's page, its rankings, and the gate."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.files.store import read_json, read_table
from expressionist.tracking.store import open_store
from pipeline.checkout import REGISTERED, write_params

CHALLENGER = "models:/tumour-type@challenger"


@pytest.fixture(scope="module")
def own(published, tmp_path_factory):
    """A checkout of its own, with a file of ten test samples that lacks some genes."""
    folder = shutil.copytree(published, tmp_path_factory.mktemp("own") / "checkout")
    cohort = read_cohort(folder / "data/cohort/cohort.h5ad")
    rows = read_table(folder / "data/split.tsv", index="sample")
    test = rows.index[rows["split"] == "test"][:10]
    table = pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index).loc[test]
    table.iloc[:, 5:].to_csv(folder / "ten.tsv", sep="\t")
    return folder


def test_predictions_are_explained_in_a_table_beside_them(call, own):
    words = ("predict", "--model", CHALLENGER, "ten.tsv")
    assert call(own, *words, "--out", "plain.tsv")[0] == 0
    code, printed, said = call(own, *words, "--out", "predictions.tsv", "--explain", "genes.tsv")
    assert (code, printed) == (0, "")
    assert "Completeness gap: median " in said
    assert (own / "plain.tsv").read_bytes() == (own / "predictions.tsv").read_bytes()
    predictions, genes = (read_table(own / name) for name in ("predictions.tsv", "genes.tsv"))
    first = genes.groupby("sample").first().loc[predictions["sample"]]
    assert first["tumour_type"].tolist() == predictions["tumour_type"].tolist()
    assert set(genes["direction"]) == {"for", "against"}
    assert np.median(first["completeness_gap"]) <= 0.01
    assert np.percentile(first["completeness_gap"], 95) <= 0.05
    assert (genes.groupby("sample")["share"].agg(lambda each: each.abs().sum()) <= 1).all()


def test_the_served_model_explains_when_it_is_asked_to(own):
    import mlflow

    store = open_store(own)
    table = read_table(own / "ten.tsv", index="sample").iloc[:2]
    mlflow.set_tracking_uri(store.uri)
    try:
        model = mlflow.pyfunc.load_model(CHALLENGER)
        plain = model.predict(table)
        explained = model.predict(table, params={"explain": True})
    finally:
        mlflow.set_tracking_uri(None)
    assert "explanation" not in plain
    pd.testing.assert_frame_equal(explained[plain.columns], plain, rtol=1e-5)
    told = json.loads(explained.to_json(orient="records"))
    assert told[1]["explanation"][0]["direction"] == "for"
    assert told[0]["completeness_gap"] <= 0.05


def test_one_sample_has_a_page_of_its_own(call, own):
    rows = read_table(own / REGISTERED / "predictions.tsv", index="sample")
    sample = read_table(own / "ten.tsv", index="sample").index[3]
    words = ("report-sample", "ten.tsv", "--model", CHALLENGER, "--sample", sample)
    code, printed, _ = call(own, *words)
    assert code == 0
    assert f"Page: {sample}.html" in printed
    page = (own / f"{sample}.html").read_text(encoding="utf-8")
    assert f"<h1>Sample {sample}: " in page
    assert "Research use only" in page
    assert "SYNTHETIC" in page
    test = rows[rows["split"] == "test"]
    called = test[test["predicted"] == rows.loc[sample, "predicted"]]
    n_right = int((called["predicted"] == called["tumour_type"]).sum())
    assert f"{n_right} of {len(called)}" in page
    rival = next(name for name in sorted(set(rows["tumour_type"])) if name != rows.loc[sample, "predicted"])
    # What the stage pack leaves is as good as the version made of it.
    packed = [word.replace(CHALLENGER, "data/served") for word in words]
    assert call(own, *packed, "--rival", rival, "--out", "rival.html")[0] == 0
    page = (own / "rival.html").read_text(encoding="utf-8").replace("<", " <")
    assert f"Why not {rival}" in page
    assert "data/served" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sample", "nobody"), "ten.tsv must have the sample 'nobody', but has "),
        (("--sample", "{sample}", "--rival", "XYZ"), "that is not predicted, but got 'XYZ'"),
    ],
)
def test_a_page_that_cannot_be_is_refused_in_a_line(call, own, words, told):
    sample = read_table(own / "ten.tsv", index="sample").index[0]
    given = [word.format(sample=sample) for word in words]
    code, _, said = call(own, "report-sample", "ten.tsv", "--model", CHALLENGER, *given, "--out", "no.html")
    assert (code, said.count("\n")) == (2, 1)
    assert told in said
    assert not (own / "no.html").exists()


def test_a_version_that_was_registered_without_answers_is_refused(call, own, tmp_path):
    older = shutil.copytree(own, tmp_path / "older")
    open_store(older)  # moves the store along
    for path in older.glob("mlruns/**/answers.tsv"):
        path.unlink()
    code, _, said = call(older, "report-sample", "ten.tsv", "--model", CHALLENGER, "--sample", "S")
    assert code == 2
    assert "was made without. Run the pipeline again" in said


def test_what_it_answered_is_registered_without_names(own):
    (path,) = own.glob("mlruns/**/answers.tsv")
    answers, rows = read_table(path), read_table(own / REGISTERED / "predictions.tsv")
    test = rows[rows["split"] == "test"]
    assert list(answers) == ["predicted", "probability", "right"]
    assert answers["right"].mean() == pytest.approx((test["predicted"] == test["tumour_type"]).mean())
    assert answers["predicted"].is_monotonic_increasing


def test_a_version_agrees_with_itself(call, own):
    code, printed, _ = call(own, "compare-explanations", CHALLENGER, "models:/tumour-type/1")
    assert code == 0
    lines = printed.splitlines()
    n_types = len(read_table(own / "data/attributions/types.tsv"))
    assert lines[0].split() == ["tumour_type", "n_shared", "correlation"]
    assert len(lines) == n_types + 2
    assert f"Mean over {n_types} types: 20.0 of the first 20 genes, rank correlation 1.000; 400" in lines[-1]


def test_the_gate_asks_for_the_explanation(call, own):
    gap = read_json(own / "data/attributions/explanation.json")["gap"]["median"]
    gate = {"accuracy": 0.0, "f1_macro": 0.0, "worse_than_staging": 0.0}
    allow = ("--allow-synthetic", "--allow-random-weights")
    for asked, held, told in (
        ({"gap_median": 1.0}, True, f"gap_median {gap:.4f} at most 1.0000 yes"),
        # One sample of a type has no halves.
        ({"gap_median": 1.0, "shared_halves": 0.0}, False, "shared_halves is nan, below 0.0000."),
    ):
        write_params(own, **{"registry.gate": gate | {"explanation": asked}})
        code, printed, _ = call(own, "promote", "--to", f"asked-{len(asked)}", *allow)
        assert (code == 0) is held, printed
        assert told in " ".join(printed.split())
