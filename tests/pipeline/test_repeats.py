"""The patients split anew: a repeat does what the stages do, survives a kill, and is shown by `compare`."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from expressionist.commands.params_file import read_params
from expressionist.data.cohort_file import read_cohort
from expressionist.data.split import read_split
from expressionist.evaluation.metrics import METRICS
from expressionist.files.store import read_json, read_table, write_json
from expressionist.params.sections import SplitParams
from expressionist.pipeline import Recipe, SplitFitter
from expressionist.stages.repeats import split_again
from pipeline import checkout
from pipeline.checkout import BACKBONE, EVALUATION

BASELINES = ["k_nearest_neighbours", "linear_svm"]
FEW = {"split.repeats": 2, "baselines.models": BASELINES, "search.depths": [0]}
TABLE = "data/repeats.tsv"


@pytest.fixture(scope="module")
def repeated(tiny, tmp_path_factory):
    """The tiny cohort split twice, undisturbed; not to be changed but for `compare`."""
    folder = tmp_path_factory.mktemp("repeated")
    taken = ("cohort", "lists", "layout", "search", "models", "evaluation", "baselines")
    checkout.copy_data(tiny, folder, *taken)
    checkout.write_params(folder, **FEW)
    checkout.run_stages(folder, "repeats")
    return folder


def list_results(folder):
    return sorted((folder / "data/cache/repeats").glob("results/*.json"))


def test_the_first_split_scores_as_the_stages_do(tiny, tmp_path):
    """Else a repeat would measure something else than what is trained, evaluated and registered."""
    params = read_params(tiny / "params.yaml")
    sections = ("expression", "layout", "weights", "network", "training", "search", "baselines")
    recipe = Recipe(*(getattr(params, name) for name in sections))
    cohort = read_cohort(tiny / "data/cohort/cohort.h5ad")
    split = read_split(tiny / "data/split.tsv").loc[cohort.samples.index, "split"]
    about = {"lists": tmp_path, "folder": tmp_path / "split", "cache_gigabytes": 1.0}
    fitter = SplitFitter(cohort, split, recipe, **about)
    test = cohort.take((split == "test").to_numpy())
    expected = read_table(tiny / "data/comparison/comparison.tsv", index="model")
    models = {name: fitter.fit_baseline for name in params.baselines.models}
    models[BACKBONE] = partial(fitter.fit_network, on_trial=lambda trial: None)
    assert sorted(models) == sorted(expected.index)
    for name, fit in models.items():
        fitted = fit(name)
        scores, row = fitted.score(test, fitter.tumour_types), expected.loc[name]
        assert [scores[each] for each in METRICS] == pytest.approx(row[list(METRICS)].tolist(), rel=1e-4), (
            name
        )
        assert fitter.validate(fitted)["f1_macro"] == pytest.approx(row["validation_f1_macro"]), name
    assert fitted.choice["depth"] == expected.loc[BACKBONE, "depth"]
    temperature = read_json(tiny / EVALUATION / "probabilities.json")["temperature"]
    assert fitted.choice["temperature"] == pytest.approx(temperature, rel=1e-4)


def test_no_patient_stands_on_two_sides_of_any_repeat(tiny):
    samples = read_cohort(tiny / "data/cohort/cohort.h5ad").samples
    # A patient with several samples is what could go wrong.
    assert samples["patient"].duplicated().any()
    split = SplitParams(validation=0.1, test=0.1, seed=1, repeats=9)
    splits = [read_split(tiny / "data/split.tsv").loc[samples.index, "split"]]
    splits += [split_again(samples, split, repeat) for repeat in range(2, 10)]
    for each in splits:
        assert (each.groupby(samples["patient"]).nunique() == 1).all()
        assert each.groupby(samples["tumour_type"]).nunique().eq(3).all()
    assert len(set(map(tuple, splits))) == 9, "every repeat is a split of its own"
    assert splits[1].equals(split_again(samples, split, 2))


def test_one_split_needs_no_cohort_and_writes_a_table_without_rows(tmp_path):
    checkout.write_params(tmp_path)
    checkout.run_stages(tmp_path, "repeats")
    table = read_table(tmp_path / TABLE)
    assert table.empty
    assert {"repeat", "model", "kind", "depth", *METRICS} <= set(table)
    assert not (tmp_path / "data/cache").exists()


def test_every_model_has_a_row_per_repeat(repeated):
    table = read_table(repeated / TABLE)
    assert table["repeat"].tolist() == [2, 2, 2]
    assert table["model"].tolist() == [*BASELINES, BACKBONE]
    assert table["kind"].tolist() == ["baseline", "baseline", "network"]
    assert table["depth"].isna().tolist() == [True, True, False]
    assert not table.drop(columns="depth").isna().any(axis=None)
    # Nothing is left of it but the results: activations and images are large.
    assert [path.name for path in (repeated / "data/cache/repeats").iterdir()] == ["results"]
    assert len(list_results(repeated)) == 3


def test_a_second_run_computes_only_what_is_missing(repeated, monkeypatch):
    before, fitted = (repeated / TABLE).read_bytes(), []

    def note(kind):
        fit = getattr(SplitFitter, kind)

        def noted(self, name, *rest):
            fitted.append(name)
            return fit(self, name, *rest)

        return noted

    for kind in ("fit_baseline", "fit_network"):
        monkeypatch.setattr(SplitFitter, kind, note(kind))
    checkout.run_stages(repeated, "repeats")
    assert fitted == []
    (one,) = (path for path in list_results(repeated) if "n_neighbours" in read_json(path)["choice"])
    one.unlink()
    checkout.run_stages(repeated, "repeats")
    assert fitted == ["k_nearest_neighbours"]
    assert one.exists()
    assert (repeated / TABLE).read_bytes() == before


def test_what_a_result_hangs_on_is_in_its_name(repeated, tmp_path, monkeypatch):
    checkout.copy_data(repeated, tmp_path, "cohort", "lists", "cache/repeats")
    asked = []

    def refuse(self, name, *_):
        asked.append(name)
        raise KeyboardInterrupt

    monkeypatch.setattr(SplitFitter, "fit_baseline", refuse)
    monkeypatch.setattr(SplitFitter, "fit_network", refuse)
    of_all = {"split.seed": 2, "split.test": 0.2, "expression.n_genes": 100, "layout.seed": 2}
    of_networks = {"training.epochs": 3, "search.depths": [1], "weights.seed": 2, "network.dropout": 0.1}
    for name, value in {**of_all, "baselines.seed": 2, **of_networks}.items():
        checkout.write_params(tmp_path, **FEW | {name: value})
        with pytest.raises(KeyboardInterrupt):
            checkout.run_stages(tmp_path, "repeats")
        assert asked.pop() == (BACKBONE if name in of_networks else BASELINES[0]), name
    checkout.write_params(tmp_path, **FEW | {"search.storage": "postgresql://me@there/studies"})
    checkout.run_stages(tmp_path, "repeats")
    assert (tmp_path / TABLE).read_bytes() == (repeated / TABLE).read_bytes()


def test_a_kill_costs_at_most_the_model_in_work(repeated, tmp_path):
    checkout.copy_data(repeated, tmp_path, "cohort", "lists")
    states = "data/cache/repeats/*/*/checkpoints/*/state.json"
    checkout.kill_when(tmp_path, checkout.stage_command("repeats"), lambda: any(tmp_path.glob(states)))
    assert not (tmp_path / TABLE).exists()
    done = {path: path.stat().st_mtime_ns for path in list_results(tmp_path)}
    assert len(done) == len(BASELINES)
    assert checkout.finish(tmp_path, *checkout.stage_command("repeats")).count("(kept)") == len(BASELINES)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    found, expected = (read_table(folder / TABLE) for folder in (tmp_path, repeated))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3)
    assert [path.name for path in (tmp_path / "data/cache/repeats").iterdir()] == ["results"]


def test_compare_shows_the_spread(repeated, tiny):
    about = read_json(tiny / "data/baselines/baselines.json")
    # As the stage `baselines` would have written it with these params.
    write_json(repeated / "data/baselines/baselines.json", {name: about[name] for name in BASELINES})
    checkout.run_stages(repeated, "compare")
    folder = repeated / "data/comparison"
    table = read_table(folder / "comparison.tsv", index="model")
    assert set(table.index) == {*BASELINES, BACKBONE}
    repeats = read_table(repeated / TABLE, index="model")
    for name in table.index:
        both = np.array([table.loc[name, "f1_macro"], repeats.loc[name, "f1_macro"]])
        assert table.loc[name, "n_splits"] == 2
        assert table.loc[name, "f1_macro_mean"] == pytest.approx(both.mean(), abs=1e-8)
        assert table.loc[name, "f1_macro_sd"] == pytest.approx(both.std(ddof=1), abs=1e-8)
    facts = read_json(folder / "comparison.json")
    # What is said of the first split is said all the same: `explain` hangs on it.
    alone = read_json(tiny / "data/comparison/comparison.json")
    # Of fewer models, others are the best of all, and level on validation samples.
    assert facts == alone | {name: facts[name] for name in ("best_on_test", "verdict")}
    first = [each["verdict"].partition(" In macro-F1 on validation")[0] for each in (facts, alone)]
    assert first[0] == first[1]
    spread = read_json(folder / "spread.json")
    assert spread["n_splits"] == 2
    assert spread["said"].startswith(f"Over 2 splits {BACKBONE} has ")
    splits = read_table(folder / "splits.tsv")
    assert splits.groupby("repeat")["model"].nunique().to_dict() == {1: 3, 2: 3}
    assert "f1_macro_sd" in read_json(repeated / "data/metrics.json")


def test_compare_says_nothing_of_spreads_without_repeats(tiny):
    table = read_table(tiny / "data/comparison/comparison.tsv")
    assert not [column for column in table if column.endswith(("_mean", "_sd")) or column == "n_splits"]
    assert read_json(tiny / "data/comparison/spread.json") == {}
