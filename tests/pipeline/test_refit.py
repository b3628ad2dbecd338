"""What is registered: trained on all patients but those of the test, calibrated while some were unseen."""

import re

import numpy as np
import pytest
from scipy.special import softmax

from expressionist.data.cohort_file import read_cohort
from expressionist.data.split import read_split
from expressionist.evaluation.metrics import score
from expressionist.evaluation.predictions import read_predictions
from expressionist.files.store import read_arrays, read_json
from expressionist.network.assembly import load_network, predict_logits
from expressionist.painting.images import take_painted
from expressionist.painting.layout_file import read_layout
from pipeline.checkout import BACKBONE, EVALUATION, MODEL, copy_data, read_tree, run_stages, write_params


@pytest.fixture
def refit(tiny):
    return tiny / "data/refit"


def test_validation_samples_keep_what_was_said_while_they_were_unseen(tiny, refit):
    before, after = (
        read_predictions(path / "predictions.tsv", "validation")[:2]
        for path in (tiny / EVALUATION, refit / f"evaluation/{BACKBONE}")
    )
    assert after[0].equals(before[0])
    np.testing.assert_allclose(after[1], before[1], rtol=1e-4, atol=1e-7)
    facts = [
        read_json(path / "probabilities.json")
        for path in (tiny / EVALUATION, refit / f"evaluation/{BACKBONE}")
    ]
    for name in ("temperature", "abstain_below"):
        assert facts[1][name] == pytest.approx(facts[0][name], rel=1e-4)


def test_test_samples_are_judged_by_the_network_that_is_registered(tiny, refit):
    network = load_network(refit / f"models/{BACKBONE}/model.keras")
    split, (laid, *_) = read_split(tiny / "data/split.tsv"), read_layout(tiny / "data/layout")
    found = take_painted(read_cohort(tiny / "data/cohort/cohort.h5ad"), split, laid)
    test = np.flatnonzero((split["split"] == "test").to_numpy())
    temperature = read_json(refit / f"evaluation/{BACKBONE}/probabilities.json")["temperature"]
    expected = softmax(predict_logits(network, found.expression, test) / temperature, axis=1)
    rows, told, *_ = read_predictions(refit / f"evaluation/{BACKBONE}/predictions.tsv", "test")
    assert rows.index.tolist() == split.index[test].tolist()
    np.testing.assert_allclose(told, expected, atol=1e-4)
    assert len(read_json(refit / f"models/{BACKBONE}/training.json")["history"]) == 4, "two members"


def test_scores_are_those_of_the_predictions(refit):
    told = read_json(refit / "refit.json")
    files = {
        "registered": f"evaluation/{BACKBONE}/predictions.tsv",
        "baseline": f"{told['best_baseline']}.tsv",
    }
    found = {}
    for name, path in files.items():
        _, probabilities, truth, _ = read_predictions(refit / path, "test")
        found[name] = score(probabilities, truth)
        assert told[name] == pytest.approx(found[name])
    assert told["tested"][told["best_baseline"]] == pytest.approx(found["baseline"])
    assert told["lead"] == pytest.approx(found["registered"]["f1_macro"] - found["baseline"]["f1_macro"])
    scores = [f"{told[model]['f1_macro']:.3f}" for model in ("registered", "baseline")]
    assert re.findall(r"0\.\d{3}|1\.000", told["said"])[:2] == scores


def test_linear_models_are_fitted_on_the_same_patients(tiny, refit):
    before, after = (read_arrays(path / "linear.npz") for path in (tiny / "data/baselines", refit))
    assert before.keys() == after.keys()
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_without_members_the_winner_stays_as_it_was_trained(tiny, tmp_path):
    copy_data(tiny, tmp_path, *(name.removeprefix("data/") for name in ("comparison", "baselines")))
    copy_data(tiny, tmp_path, MODEL.removeprefix("data/"), EVALUATION.removeprefix("data/"))
    write_params(tmp_path, **{"training.members": 0})
    run_stages(tmp_path, "refit")
    for own, kept in ((MODEL, f"models/{BACKBONE}"), (EVALUATION, f"evaluation/{BACKBONE}")):
        assert read_tree(tmp_path / "data/refit" / kept) == read_tree(tiny / own)
    assert read_json(tmp_path / "data/refit/refit.json") == {}
