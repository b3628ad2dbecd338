"""Answers by organ system: what is still said where types of one organ cannot be told apart."""

import numpy as np
import pytest

from expressionist.data.resources import read_resource
from expressionist.evaluation.calibration import judge_probabilities
from expressionist.evaluation.organ_systems import answer_by_organ, find_organ_systems

TYPES = ["COAD", "READ", "UVM"]
SYSTEMS = ["gut", "gut", "eye"]


def test_every_study_code_has_an_organ_system():
    table = read_resource("organ_systems.tsv")
    assert table["code"].tolist() == read_resource("tumour_types.tsv")["code"].tolist()
    assert not table["organ_system"].isin(["", *table["code"]]).any()


def test_merged_types_have_the_organ_system_of_all_of_theirs_or_their_own():
    merged = {"CRC": ["COAD", "READ"], "odd": ["COAD", "LUAD"], "mine": ["a", "b"], "STAD": ["STAD", "UVM"]}
    found = find_organ_systems(["CRC", "odd", "mine", "STAD", "LUSC"], merged)
    assert found == ["core gastrointestinal", "odd", "mine", "STAD", "lung"]


def test_a_label_renamed_to_a_study_code_has_its_organ_system():
    found = find_organ_systems(["UVM", "mine"], {"UVM": ["uveal melanoma"], "mine": ["a", "b"]})
    assert found == [*find_organ_systems(["UVM"]), "mine"]


@pytest.mark.parametrize(
    ("given", "threshold", "answer"),
    [
        ([0.9, 0.05, 0.05], 0.9, "COAD"),
        ([0.5, 0.45, 0.05], 0.9, "gut"),
        ([0.4, 0.3, 0.3], 0.9, "abstain"),
        # Alone in its organ system, a type is nothing else by another name.
        ([0.1, 0.1, 0.8], 0.9, "abstain"),
        ([0.4, 0.3, 0.3], 0.0, "COAD"),
        # No threshold reaches the wanted accuracy.
        ([0.5, 0.5, 0.0], 1.0, "abstain"),
    ],
)
def test_the_answer_is_as_exact_as_the_probabilities_allow(given, threshold, answer):
    found = answer_by_organ(np.array([given], np.float32), TYPES, SYSTEMS, threshold).iloc[0]
    assert found["answer"] == answer
    sums = {"gut": given[0] + given[1], "eye": given[2]}
    assert found["organ_system"] == max(sums, key=sums.__getitem__)
    assert found["organ_system_probability"] == pytest.approx(max(sums.values()))


def test_the_organ_system_need_not_be_that_of_the_type():
    found = answer_by_organ(np.array([[0.3, 0.3, 0.4]]), TYPES, SYSTEMS, 0.5).iloc[0]
    assert (found["organ_system"], found["answer"]) == ("gut", "gut")


def test_what_an_organ_system_saves_is_counted_among_what_has_no_answer():
    sure, torn, wrong, lost = [0.98, 0.01, 0.01], [0.5, 0.49, 0.01], [0.49, 0.5, 0.01], [0.4, 0.2, 0.4]
    logits = np.log([sure, sure, wrong, sure, torn, torn, wrong, lost])
    truth = np.array([0, 0, 0, 0, 0, 1, 2, 0])
    validation = np.arange(8) < 3
    unlike = np.arange(8) == 7
    facts = judge_probabilities(logits, 1.0, truth, validation, unlike, 1.0, SYSTEMS)
    assert facts["abstain_below"] == pytest.approx(0.98)
    assert facts["validation"]["by_organ_system"] == {"n_uncertain": 1, "n_answered": 1, "n_right": 1}
    assert facts["test"]["by_organ_system"] == {"n_uncertain": 3, "n_answered": 3, "n_right": 2}
    # What is unlike the training samples is counted apart, however sure the network is.
    assert (facts["validation"]["n_unlike"], facts["test"]["n_unlike"]) == (0, 1)
    sure_but_unlike = judge_probabilities(logits, 1.0, truth, validation, np.arange(8) == 3, 1.0, SYSTEMS)
    assert sure_but_unlike["abstain_below"] == facts["abstain_below"]
    assert (facts["test"]["answered"], sure_but_unlike["test"]["answered"]) == (0.2, 0.0)
