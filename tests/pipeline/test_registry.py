"""What is registered: served as trained, promoted by a gate, published once, rebuilt, moved along."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expressionist.commands.params_file import read_params
from expressionist.data.cohort_file import read_cohort
from expressionist.evaluation.predictions import read_predictions
from expressionist.files.digests import md5
from expressionist.files.store import read_json, read_table
from expressionist.report.page import state_registration
from expressionist.tracking.registry import find_version, hang_page, list_versions
from expressionist.tracking.store import open_experiment, open_store
from pipeline import checkout
from pipeline.checkout import BACKBONE, EVALUATION, REGISTERED, SEARCH
from toy import predict_with

CHALLENGER = "models:/tumour-type@challenger"
N_MISSING = 20  # 0.05 of 400 genes


@pytest.fixture(scope="module")
def store(published):
    return open_store(published)


@pytest.fixture(scope="module")
def trained(published):
    """Test samples and the probabilities that the trained network gave them."""
    path = published / REGISTERED / "predictions.tsv"
    rows, probabilities, _, tumour_types = read_predictions(path, "test")
    return pd.DataFrame(probabilities, index=rows.index, columns=tumour_types)


@pytest.fixture(scope="module")
def table(published, trained):
    """What a user would give: the test samples, their genes shuffled among others, which are unknown."""
    cohort = read_cohort(published / "data/cohort/cohort.h5ad")
    known = pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index).loc[trained.index]
    rng = np.random.default_rng(0)
    names = [f"unknown{number}" for number in range(50)]
    unknown = pd.DataFrame(rng.integers(0, 999, (len(known), 50)), known.index, names)
    return pd.concat([known, unknown], axis=1).sample(frac=1, axis=1, random_state=1)


@pytest.fixture(scope="module")
def genes(published):
    return read_table(published / "data/layout/genes.tsv", index="gene")


@pytest.fixture
def own(published, tmp_path):
    """A copy of the published checkout that a test may change."""
    return shutil.copytree(published, tmp_path / "own")


def read_probabilities(predictions, trained):
    return predictions[[f"p_{name}" for name in trained.columns]].to_numpy()


def check_as_trained(predictions, trained):
    np.testing.assert_allclose(read_probabilities(predictions, trained), trained.to_numpy(), atol=1e-6)


def count(folder):
    """Count runs by kind and state, versions and models of a store."""
    client = open_store(folder).client
    models = client.search_logged_models([item.experiment_id for item in client.search_experiments()])
    kinds = pd.Series([f"{run.data.tags['kind']} {run.info.status}" for run in checkout.list_runs(folder)])
    counts = kinds.value_counts().to_dict()
    return {**counts, "versions": len(client.search_model_versions()), "models": len(models)}


def read_identities(folder):
    return {run.info.run_id for run in checkout.list_runs(folder)}


def test_genes_in_any_order_among_others_give_what_the_network_gave(store, trained, table):
    predictions = predict_with(store, CHALLENGER, table)
    assert predictions["sample"].tolist() == trained.index.tolist()
    assert (predictions["n_missing_genes"] == 0).all()
    check_as_trained(predictions, trained)
    # The order of the genes matters to the network: another one is another sample.
    assert trained.std(axis=0).max() > 1e-3
    assert predictions["tumour_type"].tolist() == trained.idxmax(axis=1).tolist()
    np.testing.assert_allclose(predictions["probability"], trained.max(axis=1), atol=1e-6)


def test_predictions_abstain_and_are_flagged_as_the_pipeline_found(published, store, table):
    known = read_json(published / REGISTERED / "probabilities.json")
    predictions = predict_with(store, CHALLENGER, table)
    assert predictions["unlike_training"].sum() == known["flagged"]["test"][0]
    assert (~predictions["abstain"]).mean() == pytest.approx(known["test"]["answered"], abs=0.02)
    assert predictions["unlike_training"].tolist() == (predictions["novelty"] > 1).tolist()


def test_as_many_genes_as_may_be_missing_are_filled_and_counted(genes, store, trained, table):
    lost = genes.index[::20][:N_MISSING]
    predictions = predict_with(store, CHALLENGER, table.drop(columns=lost))
    assert (predictions["n_missing_genes"] == N_MISSING).all()
    probabilities = read_probabilities(predictions, trained)
    # What fills them is the training mean, so that a table which has the mean itself is the same table.
    log2 = genes["low"] + genes["span"] * genes["mean"]
    filled = table.assign(**{gene: np.exp2(log2[gene]) - 1 for gene in lost})
    whole = read_probabilities(predict_with(store, CHALLENGER, filled), trained)
    np.testing.assert_allclose(probabilities, whole, atol=1e-5)
    # Near the whole table's (in total variation), and not the same.
    gap = np.abs(probabilities - trained.to_numpy()).sum(axis=1) / 2
    assert 0 < np.median(gap) < 0.25


def test_the_version_says_that_it_is_synthetic_and_of_random_weights(store, published):
    (version,) = list_versions(store, "tumour-type").to_dict("records")
    scores = read_json(published / REGISTERED / "metrics.json")["test"]
    expected = {"synthetic": "SYNTHETIC", "weights": "RANDOM", "aliases": "challenger"}
    expected |= {name: scores[name] for name in ("accuracy", "f1_macro")}
    assert expected.items() <= version.items()


def test_report_and_attributions_hang_on_the_model(store):
    version = store.client.get_model_version_by_alias("tumour-type", "challenger")
    listed = store.client.list_logged_model_artifacts(version.source.removeprefix("models:/"))
    assert {"report.html", "attributions"} <= {item.path for item in listed}


def test_only_the_report_that_hangs_on_the_model_names_its_version(store, published, tmp_path):
    version = store.client.get_model_version_by_alias("tumour-type", "challenger")
    hung = Path(store.client.download_artifacts(version.run_id, "report.html")).read_text(encoding="utf-8")
    told = f"tumour-type version {version.version}, MLflow run {version.run_id}"
    own = (published / "data/report/report.html").read_text(encoding="utf-8")
    assert told in hung
    assert told not in own
    assert state_registration(own, told) == hung
    # What hangs there is left alone.
    (tmp_path / "report.html").write_text("another", encoding="utf-8")
    experiment = open_experiment(store, "SYNTHETIC-embedded")
    hang_page(experiment, "tumour-type", version.version, tmp_path / "report.html")
    again = Path(store.client.download_artifacts(version.run_id, "report.html")).read_text(encoding="utf-8")
    assert again == hung


def test_predict_writes_what_the_network_gave(published, trained, table, tmp_path, call):
    table.to_csv(tmp_path / "samples.tsv", sep="\t")
    words = ("--model", CHALLENGER, tmp_path / "samples.tsv", "--out", tmp_path / "predictions.tsv")
    code, _, said = call(published, "predict", *words)
    assert (code, said.count("\n")) == (0, 3)
    assert said.startswith(f"samples.tsv: {len(table)} samples × ")
    assert "Probabilities are among the " in said
    written = read_table(tmp_path / "predictions.tsv", index="sample").loc[trained.index]
    n_unlike = int(written["unlike_training"].sum())
    told = f"; {n_unlike} unlike the training samples: " if n_unlike else ""
    assert f"\n{len(table)} samples{told}" in said
    assert written["tumour_type"].tolist() == trained.idxmax(axis=1).tolist()
    check_as_trained(written, trained)


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
    printed = checkout.finish(published, sys.executable, "-c", code, command, *words)
    assert "challenger" in printed or "unlike_training" in printed
    assert printed.splitlines()[-1] == "[]"


@pytest.mark.parametrize("stated", [(), ("--genes-in", "rows")])
def test_predict_takes_genes_in_rows(published, trained, table, tmp_path, call, stated):
    table.T.to_csv(tmp_path / "samples.csv.gz")
    code, printed, _ = call(published, "predict", "--model", CHALLENGER, *stated, tmp_path / "samples.csv.gz")
    assert code == 0
    header, *rows = printed.splitlines()
    assert header.split("\t")[:2] == ["sample", "tumour_type"]
    assert [row.split("\t")[0] for row in rows] == trained.index.tolist()


@pytest.mark.parametrize(
    ("model", "n_lost", "reason"),
    [
        (CHALLENGER, N_MISSING + 1, "may lack 20 of the model's 400 genes, but 21 are missing"),
        ("models:/tumour-type@staging", 0, "must be in the registry"),
        ("models:/another/1", 0, "another must be registered"),
    ],
)
def test_predict_refuses_in_one_short_line(published, genes, table, tmp_path, call, model, n_lost, reason):
    table.drop(columns=genes.index[:n_lost]).to_csv(tmp_path / "samples.tsv", sep="\t")
    words = ("--model", model, tmp_path / "samples.tsv", "--out", tmp_path / "predictions.tsv")
    code, printed, said = call(published, "predict", *words)
    assert (code, printed) == (2, "")
    assert reason in said
    assert said.count("\n") == 1
    assert len(said) < 300
    assert not (tmp_path / "predictions.tsv").exists()


def test_promote_refuses_what_the_gate_does_not_pass(own, call):
    gate = {"accuracy": 0.0, "f1_macro": 0.0, "worse_than_staging": 0.0, "ece": 1e-6}
    checkout.write_params(own, **{"registry.gate": gate})
    code, printed, _ = call(own, "promote", "--to", "staging")
    assert code == 1
    assert "0.0000" in printed
    assert "is not promoted" in printed
    assert "staging" not in set(list_versions(open_store(own), "tumour-type")["aliases"])


def test_promote_sets_the_alias_and_says_who_when_and_from_what(own, trained, table, tmp_path, call):
    gate = {"accuracy": 0.0, "f1_macro": 0.0, "worse_than_staging": 0.0}
    checkout.write_params(own, **{"registry.gate": gate})
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
    expected = {"promoted_from": "none", "promoted_synthetic": "true", "promoted_random_weights": "true"}
    assert expected.items() <= tags.items()
    assert tags["promoted_by"]
    assert pd.Timestamp(tags["promoted_at"]).tz is not None
    table.to_csv(tmp_path / "samples.tsv", sep="\t")
    words = ("--model", "models:/tumour-type@staging", tmp_path / "samples.tsv")
    code, printed, _ = call(own, "predict", *words)
    assert code == 0
    assert len(printed.splitlines()) == 1 + len(trained)


def test_the_card_is_the_description_of_the_version_and_travels_with_the_model(store, published):
    version = store.client.get_model_version_by_alias("tumour-type", "challenger")
    folder = find_version(store, CHALLENGER).folder
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert version.description == card
    scores = read_json(published / REGISTERED / "metrics.json")
    assert f"| accuracy | {scores['test']['accuracy']:.3f} |" in card
    for said in ("Research use only", "**SYNTHETIC:", "**RANDOM:", f"{scores['n_test']} test samples"):
        assert said in card


def test_two_promotions_a_failed_gate_and_a_rollback_as_the_history_prints_them(own, call):
    low = {"accuracy": 0.0, "f1_macro": 0.0, "worse_than_staging": 0.0, "paired": 0.95, "ece": 1.0}
    allowed = ("--allow-synthetic", "--allow-random-weights")
    checkout.write_params(own, **{"registry.gate": low})
    assert call(own, "promote", *allowed, "--reason", "first of the year")[0] == 0
    # The same network, which accepts other tables.
    checkout.write_params(own, **{"registry.gate": low, "registry.missing_genes": 0.1})
    checkout.run_stages(own, "pack", "register")
    code, printed, _ = call(own, "promote", "--dry-run", *allowed)
    assert code == 0
    heading, *rows = printed.splitlines()
    assert heading.split() == ["check", "found", "asked", "held"]
    held = {row.split("  ")[0]: row.split()[-1] for row in rows[:-1]}
    lead = "lead in f1_macro beside version 1, 95% interval"
    expected = {"samples": "allowed", "weights": "allowed", "accuracy": "yes", "f1_macro": "yes"}
    assert held == {**expected, "ece": "yes", lead: "yes"}
    assert "+0.0000 (+0.0000 to +0.0000)" in printed
    assert rows[-1] == "Version 2 of tumour-type passes; staging stays as it was."
    code, real, _ = call(own, "promote", *allowed, "--reason", "takes more tables")
    assert code == 0
    assert real.splitlines()[:-1] == printed.splitlines()[:-1]
    assert call(own, "rollback", "--to", "1", "--reason", "2 takes too much")[0] == 0
    checkout.write_params(own, **{"registry.gate": low | {"accuracy": 1.0}})
    assert call(own, "promote", *allowed, "--reason", "try again")[0] == 1
    code, printed, _ = call(own, "history")
    assert code == 0
    assert printed.splitlines()[0].split() == ["when", "who", "alias", "move", "from", "to", "why"]
    moves = [" ".join(row.split()[2:]) for row in printed.splitlines()[1:]]
    begins = [
        "challenger registered none 1",
        "staging promoted none 1 first of the year; Its samples are SYNTHETIC, which was allowed.",
        "challenger registered 1 2",
        "staging promoted 1 2 takes more tables; Its samples are SYNTHETIC, which was allowed.",
        "staging rolled back 2 1 2 takes too much",
        "staging refused 1 2 try again; accuracy is ",
    ]
    assert [move[: len(begin)] for move, begin in zip(moves, begins, strict=True)] == begins
    code, printed, _ = call(own, "demote", "--from", "staging")
    assert (code, printed) == (0, "staging of tumour-type: from version 1 to none.\n")
    code, _, said = call(own, "rollback", "--to", "3")
    assert code == 2
    assert "must go to a version that was staging before, but got '3'" in said


def test_every_stage_has_its_runs(published):
    runs = {"baseline FINISHED": 5, "search FINISHED": 1, "training FINISHED": 1, "registered FINISHED": 1}
    runs["trial FINISHED"] = len(read_json(published / SEARCH)["trials"])
    assert count(published) == {**runs, "versions": 1, "models": 1}


def read_finals(folder):
    """Read the final runs: model → run."""
    found = checkout.list_runs(folder, "metrics.accuracy >= 0 and tags.kind != 'registered'")
    return {run.data.params["model"]: run for run in found}


def test_final_runs_have_the_params_that_they_hang_on(published):
    finals = read_finals(published)
    shared = {"cohort.source": "embedded", "cohort.embedded.n_genes": "400", "split.test": "0.1"}
    shared |= {"expression.n_genes": "10404", "layout.method": "coexpression", "layout.overlap": "single"}
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
    assert finals[BACKBONE].data.tags["dvc.evaluation"] == md5(published / EVALUATION)
    (registered,) = checkout.list_runs(published, "tags.kind = 'registered'")
    assert registered.info.run_id == version.run_id
    told = (registered.data.tags["dvc.refit"], version.tags["dvc.refit"])
    assert set(told) == {md5(published / "data/refit")}
    assert all("outside DVC" in run.data.tags["DVC_STAGE"] for run in finals.values())


def test_a_second_register_changes_nothing(own):
    before, runs = count(own), read_identities(own)
    checkout.run_stages(own, "register")
    assert count(own) == before
    assert read_identities(own) == runs


def test_a_lost_store_is_built_again_from_the_outputs(own, published, trained, table):
    shutil.rmtree(own / "mlruns")
    # In a process of its own, as MLflow keeps a database open for as long as a process lives.
    checkout.finish(own, *checkout.stage_command("register"))
    assert count(own) == count(published)
    check_as_trained(predict_with(open_store(own), CHALLENGER, table), trained)


def test_a_moved_checkout_keeps_its_store(own, trained, table, tmp_path):
    before, runs = count(own), read_identities(own)
    moved = own.rename(tmp_path / "elsewhere")
    assert count(moved) == before
    assert read_identities(moved) == runs
    check_as_trained(predict_with(open_store(moved), CHALLENGER, table), trained)


def test_a_search_taken_further_goes_on_in_the_same_run(own):
    # One trial first, then all: the study and its run stay, also with a classifier that no trial trains.
    own = own.rename(own.with_name("further"))
    shutil.rmtree(own / "mlruns")
    shutil.rmtree(own / "data/cache")
    depths = []
    for changes in ({"search.n_trials": 1, "network.rank_units": 0}, {"network.rank_units": 8}):
        checkout.write_params(own, **changes)
        checkout.run_stages(own, "tune")
        depths.append([trial["depth"] for trial in read_json(own / SEARCH)["trials"]])
    assert depths[0] == depths[1][:1]
    assert sorted(depths[1]) == [0, 1]
    assert count(own) == {"search FINISHED": 1, "trial FINISHED": 2, "versions": 0, "models": 0}
