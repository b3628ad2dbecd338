"""The stage `ablation` trains what the network can do without, each once, and says what the picture adds."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from rich.progress import Progress

import toy
from expressionist.data.cohort_file import write_cohort
from expressionist.data.split import read_split
from expressionist.evaluation.metrics import METRICS, score
from expressionist.evaluation.predictions import tabulate_predictions, write_predictions
from expressionist.files.store import read_json, read_table, write_json
from expressionist.network.backbones import BACKBONES, Backbone
from expressionist.params import sections
from expressionist.params.sections import (
    EvaluationParams,
    ExpressionParams,
    LayoutParams,
    SplitParams,
    WeightsParams,
)
from expressionist.stages import ablation, images, layout, split
from expressionist.training import finetuner
from training.epochs import BrokenOff

EVALUATION = EvaluationParams(n_resamples=20, level=0.9, answered_accuracy=0.9, false_alarms=0.05, seed=1)
WEIGHTS = WeightsParams(source="imagenet", folder="nowhere", required=False, seed=3)
ALL = ["all", "maps", "genes", "ranks", "genes + ranks", "reference"]
PARAMS = toy.training_params(epochs=3, learning_rate=2e-2)
# Beside this network only the reference's is trained.
_BARE = {"genes": False, "rank_units": 0}


@pytest.fixture(autouse=True)
def trained(monkeypatch):
    """A toy backbone with maps of strides 2 and 4; what each training of it sees."""
    seen, fit = [], finetuner.FineTuner.fit

    def note(self, depth, dropout, params, *, branches, **kwargs):
        seen.append((branches, dropout, params.learning_rate))
        return fit(self, depth, dropout, params, branches=branches, **kwargs)

    monkeypatch.setitem(BACKBONES, "toy", Backbone("Toy", "tf", 8, "late_", 7, ()))
    monkeypatch.setattr(
        finetuner, "build_backbone", lambda name, side, path, *, seed: toy.make_backbone(side)
    )
    monkeypatch.setitem(sections._REFERENCE, "strides", (4,))
    monkeypatch.setattr(finetuner.FineTuner, "fit", note)
    return seen


@pytest.fixture
def paths(tmp_path):
    """What the stages before would have written; the winner's predictions are made up."""
    names = ("cohort", "layout", "images", "models", "evaluations", "cache", "out")
    paths = {name: tmp_path / name for name in names} | {"split": tmp_path / "split.tsv"}
    write_cohort(paths["cohort"] / "cohort.h5ad", toy.make_cohort(n_genes=30))
    at = {"cohort": paths["cohort"], "split": paths["split"]}
    split.run(SplitParams(validation=0.2, test=0.2, seed=1), cohort=paths["cohort"], out=paths["split"])
    method = LayoutParams("random", 1, {})
    layout.run(ExpressionParams(n_genes=30), method, **at, lists=tmp_path, out=paths["layout"])
    images.run(**at, layout=paths["layout"], scheduler=None, out=paths["images"])
    rows = read_split(paths["split"])
    rows = rows[rows["split"] != "train"]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(rows))
    predictions = tabulate_predictions(rows, probabilities, ["T0", "T1", "T2"])
    write_predictions(paths["evaluations"] / "toy" / "predictions.tsv", predictions)
    about = {
        "backbone": "toy",
        "depth": 2,
        "weights": {"source": "random"},
        "tumour_types": ["T0", "T1", "T2"],
    }
    about |= {
        "params": {"training": asdict(PARAMS), "dropout": 0.3},
        "n_unfrozen_parameters": 7,
        "seconds": 9.0,
    }
    write_json(paths["models"] / "toy" / "training.json", about)
    write_json(tmp_path / "comparison.json", {"winner": "toy"})
    return paths | {"comparison": tmp_path / "comparison.json"}


def run(paths, **network):
    params = toy.network_params(**{"rank_units": 4, **network})
    ablation.run(WEIGHTS, params, EVALUATION, **paths, cache_gigabytes=1.0, scheduler=None)
    table = read_table(paths["out"] / "ablation.tsv")
    return table.set_index(["variant", "subset"]), read_json(paths["out"] / "ablation.json")


def test_every_part_is_trained_once_and_the_winner_is_not(paths, trained):
    table, facts = run(paths)
    assert table.index.tolist() == [(name, subset) for name in ALL for subset in ("validation", "test")]
    own = [(seen, 0.3, 2e-2) for seen in (("maps",), ("genes",), ("ranks",), ("genes", "ranks"))]
    rate = sections.follow_reference(PARAMS).learning_rate
    assert trained == [*own, (("maps",), sections._REFERENCE["dropout"], rate)]
    predicted = read_table(paths["evaluations"] / "toy" / "predictions.tsv", index="sample")
    test = predicted[predicted["split"] == "test"]
    truth = test["tumour_type"].str[1:].astype(int).to_numpy()
    expected = score(test[["T0", "T1", "T2"]].to_numpy(), truth)
    assert table.loc[("all", "test"), list(METRICS)].to_dict() == pytest.approx(expected)
    n_unfrozen = table["n_unfrozen_parameters"].xs("test", level="subset")
    # Without the picture there is no backbone to train; the winner's number is what its file says.
    assert n_unfrozen["all"] == 7
    assert n_unfrozen[["genes", "ranks", "genes + ranks"]].tolist() == [0, 0, 0]
    assert n_unfrozen["maps"] == n_unfrozen["reference"] > 0
    f1 = table["f1_macro"].xs("test", level="subset")
    assert (facts["without"], facts["depth"]) == ("genes + ranks", 2)
    assert facts["lead"] == pytest.approx(f1["all"] - f1["genes + ranks"])


@pytest.mark.parametrize(
    ("network", "variants", "n_trained"),
    [
        ({"rank_units": 0}, ["all", "maps", "genes", "reference"], 3),
        (_BARE, ["all", "reference"], 1),
        ({"protocol": "reference"}, ["all"], 0),
    ],
)
def test_what_the_network_has_not_is_left_out_and_nothing_is_trained_twice(
    paths, trained, network, variants, n_trained
):
    table, facts = run(paths, **network)
    assert table.index.unique("variant").tolist() == variants
    assert len(trained) == n_trained
    if "genes" not in variants:
        assert "sees nothing but the picture" in facts["said"]


@pytest.mark.parametrize("broken_at", [2, 8], ids=["the first", "the last of three"])
def test_broken_off_it_writes_nothing_and_trains_no_epoch_again(paths, monkeypatch, tmp_path, broken_at):
    told, advance, seen = [], Progress.advance, {"rank_units": 0}
    undisturbed, _ = run({**paths, "out": tmp_path / "undisturbed", "cache": tmp_path / "other"}, **seen)

    def note(self, task, n=1):
        told.append(n)
        if len(told) == broken_at:
            raise BrokenOff
        advance(self, task, n)

    monkeypatch.setattr(Progress, "advance", note)
    with pytest.raises(BrokenOff):
        run(paths, **seen)
    assert not paths["out"].exists()
    resumed, _ = run(paths, **seen)
    # Three trainings of three epochs; the one that was broken off was not kept.
    assert len(told) == 9 + 1
    assert resumed.drop(columns="seconds").equals(undisturbed.drop(columns="seconds"))
    assert not list((paths["cache"] / "checkpoints").iterdir())


def test_other_test_samples_move_no_validation_score(paths):
    before, _ = run(paths, **_BARE)
    cohort = toy.make_cohort(n_genes=30)
    rows = read_split(paths["split"])
    test = cohort.samples.index.get_indexer(rows.index[rows["split"] == "test"])
    expression = cohort.expression.copy()
    expression[test] = expression[test][:, ::-1]
    write_cohort(paths["cohort"] / "cohort.h5ad", replace(cohort, expression=expression))
    after, _ = run(paths, **_BARE)
    validation, test = ("reference", "validation"), ("reference", "test")
    scores = list(METRICS)
    assert before.loc[validation, scores].equals(after.loc[validation, scores])
    assert not before.loc[test, scores].equals(after.loc[test, scores])
