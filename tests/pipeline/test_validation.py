"""A registered version on another cohort: scored as predicted, shown, published, and held by the gate."""

import shutil

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.files.store import read_json, read_table
from expressionist.tracking.store import open_store

CHALLENGER = "models:/tumour-type@challenger"


@pytest.fixture(scope="module")
def other(published, tmp_path_factory):
    """Test patients, one of them without a label and some of a foreign type, and a few training patients."""
    folder = tmp_path_factory.mktemp("other")
    cohort, split = (
        read_cohort(published / "data/cohort/cohort.h5ad"),
        read_table(published / "data/split.tsv"),
    )
    test = split["sample"][split["split"] == "test"].tolist()
    trained = split["sample"][split["split"] == "train"].tolist()[:5]
    rows = cohort.samples.loc[[*test, *trained]]
    expression = pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index).loc[rows.index]
    expression.T.to_csv(folder / "hospital.tsv", sep="\t")
    labels = rows["tumour_type"].astype(str).replace({"ACC": "adrenal"})
    labels.iloc[:3], labels.iloc[3] = "ependymoma", ""
    table = pd.DataFrame({"sample": rows.index, "diagnosis": labels.array, "patient": rows["patient"].array})
    table.to_csv(folder / "labels.csv", index=False)
    (folder / "map.csv").write_text("adrenal,ACC\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def own(published, tmp_path_factory):
    return shutil.copytree(published, tmp_path_factory.mktemp("own") / "checkout")


def validate(call, own, other, *words):
    files = ("--labels", other / "labels.csv", "--map", other / "map.csv", "--out", own / "page")
    return call(own, "validate", other / "hospital.tsv", "--model", CHALLENGER, *files, *words)


def test_a_version_is_scored_as_it_predicts(call, own, other):
    code, said, _ = validate(call, own, other, "--exclude-trained")
    assert code == 0
    assert "5 samples of patients who trained the version are left out." in said
    facts = read_json(own / "page/validation.json")
    told = read_table(own / "page/predictions.tsv", index="sample")
    n_test = len(told)
    assert facts["counts"]["n_foreign"] == 3
    assert facts["counts"]["n_known"] == n_test - 3
    assert "1 without" in said
    known = told[told["label"] != "ependymoma"]
    assert "adrenal" not in set(known["label"])
    right = (known["label"] == known["tumour_type"]).mean()
    assert facts["models"]["network"]["scores"]["accuracy"] == pytest.approx(right)
    assert facts["n_trained"] == 0


def test_the_baseline_models_that_travel_are_fitted_on_the_same_patients(call, own, other):
    validate(call, own, other, "--exclude-trained")
    facts = read_json(own / "page/validation.json")
    assert set(facts["models"]) == {"network", "logistic_regression", "linear_svm"}
    told = read_table(own / "page/predictions.tsv", index="sample")
    told = told[told["label"] != "ependymoma"]
    best = read_json(own / "data/refit/refit.json")["best_baseline"]
    assert best in ("logistic_regression", "linear_svm")
    before = read_table(own / f"data/refit/{best}.tsv", index="sample").loc[told.index]
    accuracy = (before["predicted"] == told["label"]).mean()
    assert facts["models"][best]["scores"]["accuracy"] == pytest.approx(accuracy)


def test_patients_who_trained_the_version_are_a_warning(call, own, other):
    code, said, _ = validate(call, own, other)
    assert code == 0
    assert "Warning: 5 of " in said
    assert read_json(own / "page/validation.json")["n_trained"] == 5
    assert "are of patients who trained the version" in (own / "page/validation.html").read_text("utf-8")


def test_the_version_tells_it_and_the_gate_asks_for_it(call, own, other):
    shutil.copyfile(own / "params.yaml", own / "params.kept")
    validate(call, own, other, "--exclude-trained")
    version = open_store(own).client.get_model_version_by_alias("tumour-type", "challenger")
    assert any(key.startswith("external.") for key in version.tags)
    text = (own / "params.yaml").read_text("utf-8")
    low = text.replace("external: {}", "external: {accuracy: 0.0}").replace("accuracy: 0.75", "accuracy: 0.0")
    allow = ("--allow-synthetic", "--allow-random-weights")
    for least, reached in (("0.0", True), ("1.0", False)):
        (own / "params.yaml").write_text(
            low.replace("{accuracy: 0.0}", f"{{accuracy: {least}}}").replace(
                "f1_macro: 0.6", "f1_macro: 0.0"
            ),
            "utf-8",
        )
        code, said, _ = call(own, "promote", "--to", f"at-{least[0]}", *allow)
        assert (code == 0) is reached, said
        assert "accuracy on hospital" in said
    shutil.copyfile(own / "params.kept", own / "params.yaml")


def test_samples_are_aligned_by_rank(call, own, other):
    assert validate(call, own, other, "--exclude-trained")[0] == 0
    before = read_table(own / "page/predictions.tsv", index="sample")
    code, said, _ = validate(call, own, other, "--exclude-trained", "--align", "rank")
    assert code == 0, said
    after = read_table(own / "page/predictions.tsv", index="sample")
    gaps = np.abs(after["probability"] - before["probability"])
    assert 0 < gaps.max()
    # The same samples, nearly: ranks are those of the model's own cohort.
    assert gaps.median() < 0.1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--align", "median"), "align must be none or rank, but got 'median'"),
        (("--label-column", "grade"), "must have the column 'grade'"),
        (("--nomenclature", "data/split.tsv"), "must have the columns symbol, prev_symbol, alias_symbol"),
    ],
)
def test_refusals_are_one_line(call, own, other, words, told):
    code, _, said = validate(call, own, other, *words)
    assert code == 2
    assert told in said
