"""What is registered: served as trained, promoted by a gate, published once, rebuilt from the outputs,
moved along."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from expressionist.commands.params_file import read_params
from expressionist.data.cohort_file import read_cohort
from expressionist.errors import RegistryError
from expressionist.evaluation.predictions import read_predictions
from expressionist.files.digests import md5
from expressionist.files.store import read_json, read_table
from expressionist.tracking.registry import list_versions, predict_with
from expressionist.tracking.store import open_store
from pipeline.checkout import BACKBONE, run_command, run_stages, stage_command, write_params

CHALLENGER = "models:/tumour-type@challenger"
N_MISSING = 20  # 0.05 of 400 genes


@pytest.fixture(scope="module")
def store(published):
    return open_store(published)


@pytest.fixture(scope="module")
def trained(published):
    """Test samples and the probabilities that the trained network gave them."""
    path = published / f"data/evaluation/{BACKBONE}/predictions.tsv"
    rows, probabilities, _, tumour_types = read_predictions(path, "test")
    return pd.DataFrame(probabilities, index=rows.index, columns=tumour_types)


@pytest.fixture(scope="module")
def table(published, trained):
    """What a user would give: the test samples, their genes shuffled among others that the model does not
    know."""
    cohort = read_cohort(published / "data/cohort/cohort.h5ad")
    known = pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index).loc[trained.index]
    rng = np.random.default_rng(0)
    names = [f"unknown{number}" for number in range(50)]
    unknown = pd.DataFrame(rng.integers(0, 999, (len(known), 50)), known.index, names)
    return pd.concat([known, unknown], axis=1).sample(frac=1, axis=1, random_state=1)


@pytest.fixture
def own(published, tmp_path):
    """A copy of the published checkout that a test may change."""
    return shutil.copytree(published, tmp_path / "own")


def read_probabilities(predictions, types):
    return predictions[[f"p_{name}" for name in types]].to_numpy()


def count(folder):
    """Count runs by kind and state, versions and models of a store."""
    client = open_store(folder).client
    experiments = [item.experiment_id for item in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=1000)
    kinds = pd.Series([f"{run.data.tags['kind']} {run.info.status}" for run in runs]).value_counts()
    return {
        **kinds.sort_index().to_dict(),
        "versions": len(client.search_model_versions()),
        "models": len(client.search_logged_models(experiments)),
    }


def read_identities(folder):
    client = open_store(folder).client
    experiments = [item.experiment_id for item in client.search_experiments()]
    return {run.info.run_id for run in client.search_runs(experiments, max_results=1000)}


def test_genes_in_any_order_among_others_give_what_the_network_gave(store, trained, table):
    predictions = predict_with(store, CHALLENGER, table)
    assert predictions["sample"].tolist() == trained.index.tolist()
    assert (predictions["n_missing_genes"] == 0).all()
    probabilities = read_probabilities(predictions, trained.columns)
    np.testing.assert_allclose(probabilities, trained.to_numpy(), atol=1e-6)
    # The order of the genes matters to the network: another one is another sample.
    assert probabilities.std(axis=0).max() > 1e-3


def test_the_tumour_type_is_the_likeliest(store, trained, table):
    predictions = predict_with(store, CHALLENGER, table)
    assert predictions["tumour_type"].tolist() == trained.idxmax(axis=1).tolist()
    np.testing.assert_allclose(predictions["probability"], trained.max(axis=1), atol=1e-6)


def test_predictions_abstain_and_are_flagged_as_the_pipeline_found(published, store, table):
    known = read_json(published / f"data/evaluation/{BACKBONE}/probabilities.json")
    predictions = predict_with(store, CHALLENGER, table)
    assert predictions["unlike_training"].sum() == known["flagged"]["test"][0]
    assert (~predictions["abstain"]).mean() == pytest.approx(known["test"]["answered"], abs=0.02)
    assert predictions["unlike_training"].tolist() == (predictions["novelty"] > 1).tolist()


def test_as_many_genes_as_may_be_missing_are_filled_and_counted(published, store, trained, table):
    genes = read_table(published / "data/layout/genes.tsv", index="gene")
    lost = genes.index[::20][:N_MISSING]
    predictions = predict_with(store, CHALLENGER, table.drop(columns=lost))
    assert (predictions["n_missing_genes"] == N_MISSING).all()
    probabilities = read_probabilities(predictions, trained.columns)
    # What fills them is the training mean, so that a table which has the mean itself is the same table.
    log2 = genes["low"] + genes["span"] * genes["mean"]
    filled = table.assign(**{gene: np.exp2(log2[gene]) - 1 for gene in lost})
    whole = read_probabilities(predict_with(store, CHALLENGER, filled), trained.columns)
    np.testing.assert_allclose(probabilities, whole, atol=1e-5)
    # Near the whole table's (in total variation), and not the same.
    gap = np.abs(probabilities - trained.to_numpy()).sum(axis=1) / 2
    assert 0 < np.median(gap) < 0.25


def test_more_missing_genes_are_refused_in_a_short_message(published, store, table):
    genes = read_table(published / "data/layout/genes.tsv", index="gene")
    with pytest.raises(
        RegistryError, match=r"may lack 20 of the model's 400 genes, but 21 are missing"
    ) as refused:
        predict_with(store, CHALLENGER, table.drop(columns=genes.index[: N_MISSING + 1]))
    assert len(str(refused.value)) < 300


def test_the_version_says_that_it_is_synthetic_and_of_random_weights(store, published):
    (version,) = list_versions(store, "tumour-type").to_dict("records")
    scores = read_json(published / f"data/evaluation/{BACKBONE}/metrics.json")["test"]
    assert (version["synthetic"], version["weights"], version["aliases"]) == (
        "SYNTHETIC",
        "RANDOM",
        "challenger",
    )
    assert version["accuracy"] == scores["accuracy"]
    assert version["f1_macro"] == scores["f1_macro"]


def test_report_and_attributions_hang_on_the_model(store):
    version = store.client.get_model_version_by_alias("tumour-type", "challenger")
    model = version.source.removeprefix("models:/")
    assert {"report.html", "attributions"} <= {
        item.path for item in store.client.list_logged_model_artifacts(model)
    }


def test_predict_writes_what_the_network_gave(published, trained, table, tmp_path, call):
    table.to_csv(tmp_path / "samples.tsv", sep="\t")
    words = ("--model", CHALLENGER, tmp_path / "samples.tsv", "--out", tmp_path / "predictions.tsv")
    code, _, said = call(published, "predict", *words)
    assert (code, said) == (0, "")
    written = read_table(tmp_path / "predictions.tsv", index="sample").loc[trained.index]
    assert written["tumour_type"].tolist() == trained.idxmax(axis=1).tolist()
    np.testing.assert_allclose(read_probabilities(written, trained.columns), trained.to_numpy(), atol=1e-6)


@pytest.mark.parametrize("command", ["models", "predict"])
def test_what_a_person_does_often_imports_no_more_than_it_needs(published, table, tmp_path, command):
    table.head(10).to_csv(tmp_path / "ten.tsv", sep="\t")
    words = {"models": [], "predict": ["--model", CHALLENGER, str(tmp_path / "ten.tsv")]}[command]
    code = """
import sys
from expressionist.commands.app import main
try:
    main()
finally:
    print(sorted({"mlflow", "alembic", "sklearn", "matplotlib", "anndata", "optuna"} & set(sys.modules)))
"""
    ended = run_command(published, sys.executable, "-c", code, command, *words)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "challenger" in ended.stdout or "unlike_training" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


def test_predict_takes_genes_in_rows(published, trained, table, tmp_path, call):
    table.T.to_csv(tmp_path / "samples.csv.gz")
    words = ("--model", CHALLENGER, "--genes-in", "rows", tmp_path / "samples.csv.gz")
    code, printed, _ = call(published, "predict", *words)
    assert code == 0
    header, *rows = printed.splitlines()
    assert header.split("\t")[:2] == ["sample", "tumour_type"]
    assert [row.split("\t")[0] for row in rows] == trained.index.tolist()


@pytest.mark.parametrize(
    ("model", "n_lost", "reason"),
    [
        (CHALLENGER, N_MISSING + 1, "may lack 20 of the model's 400 genes"),
        ("models:/tumour-type@staging", 0, "must be in the registry"),
        ("models:/another/1", 0, "another must be registered"),
    ],
)
def test_predict_refuses_in_one_line(published, table, tmp_path, call, model, n_lost, reason):
    genes = read_table(published / "data/layout/genes.tsv", index="gene")
    table.drop(columns=genes.index[:n_lost]).to_csv(tmp_path / "samples.tsv", sep="\t")
    words = ("--model", model, tmp_path / "samples.tsv", "--out", tmp_path / "predictions.tsv")
    code, printed, said = call(published, "predict", *words)
    assert (code, printed) == (2, "")
    assert reason in said
    assert said.count("\n") == 1
    assert not (tmp_path / "predictions.tsv").exists()


def test_promote_refuses_what_the_gate_does_not_pass(own, call):
    code, printed, _ = call(own, "promote", "--to", "staging")
    assert code == 1
    assert "below 0.7500" in printed
    assert "is not promoted" in printed
    assert "staging" not in set(list_versions(open_store(own), "tumour-type")["aliases"])


def test_promote_sets_the_alias_and_says_who_when_and_from_what(own, trained, table, tmp_path, call):
    write_params(own, **{"registry.gate": {"accuracy": 0.0, "f1_macro": 0.0, "worse_than_staging": 0.0}})
    code, printed, _ = call(own, "promote", "--to", "staging")
    assert code == 1
    assert "Its samples are SYNTHETIC" in printed
    assert "Its weights are RANDOM" in printed
    allowed = ("--allow-synthetic", "--allow-random-weights")
    code, printed, _ = call(own, "promote", "--to", "staging", *allowed)
    assert code == 0
    assert "Version 1 of tumour-type is staging (before: none)" in printed
    code, printed, _ = call(own, "models")
    assert code == 0
    assert "challenger, staging" in printed
    tags = open_store(own).client.get_model_version_by_alias("tumour-type", "staging").tags
    assert tags["promoted_from"] == "none"
    assert (tags["promoted_synthetic"], tags["promoted_random_weights"]) == ("true", "true")
    assert tags["promoted_by"]
    assert pd.Timestamp(tags["promoted_at"]).tz is not None
    table.to_csv(tmp_path / "samples.tsv", sep="\t")
    code, printed, _ = call(
        own, "predict", "--model", "models:/tumour-type@staging", tmp_path / "samples.tsv"
    )
    assert code == 0
    assert len(printed.splitlines()) == 1 + len(trained)


def test_every_stage_has_its_runs(published):
    n_trials = len(read_json(published / f"data/search/{BACKBONE}.json")["trials"])
    assert count(published) == {
        "baseline FINISHED": 5,
        "search FINISHED": 1,
        "training FINISHED": 1,
        "trial FINISHED": n_trials,
        "versions": 1,
        "models": 1,
    }


def read_finals(folder):
    """Read the final runs: model → run."""
    client = open_store(folder).client
    experiments = [item.experiment_id for item in client.search_experiments()]
    runs = client.search_runs(experiments, "metrics.accuracy >= 0")
    return {run.data.params["model"]: run for run in runs}


def test_final_runs_have_the_params_that_they_hang_on(published):
    finals = read_finals(published)
    shared = {
        "cohort.source": "embedded",
        "cohort.embedded.n_genes": "400",
        "split.test": "0.1",
        "expression.n_genes": "10404",
        "layout.method": "coexpression",
        "layout.overlap": "single",
    }
    baselines = read_params(published / "params.yaml").baselines.models
    assert set(finals) == {BACKBONE, *baselines}
    for run in finals.values():
        assert shared.items() <= run.data.params.items()
        assert not any(name.startswith(("cohort.tcga", "cohort.options")) for name in run.data.params)
    own = {"weights.source": "random", "network.side": "32", "training.epochs": "2"}
    assert own.items() <= finals[BACKBONE].data.params.items()


def test_runs_and_version_carry_the_digests_of_the_outputs_and_say_that_dvc_did_not_run_them(published):
    outputs = {"cohort": "cohort", "split": "split.tsv", "layout": "layout", "images": "images"}
    shared = {f"dvc.{name}": md5(published / "data" / path) for name, path in outputs.items()}
    finals = read_finals(published)
    version = open_store(published).client.get_model_version_by_alias("tumour-type", "challenger")
    for tags in (*(run.data.tags for run in finals.values()), version.tags):
        assert shared.items() <= tags.items()
    evaluation = md5(published / f"data/evaluation/{BACKBONE}")
    assert finals[BACKBONE].data.tags["dvc.evaluation"] == version.tags["dvc.evaluation"] == evaluation
    assert version.tags["dvc.model"] == md5(published / f"data/models/{BACKBONE}")
    assert all("outside DVC" in run.data.tags["DVC_STAGE"] for run in finals.values())


def test_a_second_register_changes_nothing(own):
    before, runs = count(own), read_identities(own)
    run_stages(own, "register")
    assert count(own) == before
    assert read_identities(own) == runs


def test_a_lost_store_is_built_again_from_the_outputs(own, published, trained, table):
    shutil.rmtree(own / "mlruns")
    # In a process of its own, as MLflow keeps a database open for as long as a process lives.
    ended = run_command(own, *stage_command("register"))
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert count(own) == count(published)
    predictions = predict_with(open_store(own), CHALLENGER, table)
    np.testing.assert_allclose(
        read_probabilities(predictions, trained.columns), trained.to_numpy(), atol=1e-6
    )


def test_a_moved_checkout_keeps_its_store(own, trained, table, tmp_path):
    before, runs = count(own), read_identities(own)
    moved = own.rename(tmp_path / "elsewhere")
    assert count(moved) == before
    assert read_identities(moved) == runs
    predictions = predict_with(open_store(moved), CHALLENGER, table)
    np.testing.assert_allclose(
        read_probabilities(predictions, trained.columns), trained.to_numpy(), atol=1e-6
    )


def test_a_search_taken_further_goes_on_in_the_same_run(own):
    # One trial first, then all: the study and its run stay.
    own = own.rename(own.with_name("further"))
    shutil.rmtree(own / "mlruns")
    shutil.rmtree(own / "data/cache")
    write_params(own, **{"search.n_trials": 1})
    run_stages(own, "tune")
    (before,) = [trial["depth"] for trial in read_json(own / f"data/search/{BACKBONE}.json")["trials"]]
    write_params(own)
    run_stages(own, "tune")
    depths = [trial["depth"] for trial in read_json(own / f"data/search/{BACKBONE}.json")["trials"]]
    assert depths[0] == before
    assert sorted(depths) == [0, 1]
    assert count(own) == {"search FINISHED": 1, "trial FINISHED": 2, "versions": 0, "models": 0}
