"""The page of one sample says what is read from it, how sure that is, by which genes, and what it lacks."""

import re

import numpy as np
import pandas as pd
import pytest

import toy
from expressionist.evaluation.footprint import Footprint
from expressionist.evaluation.novelty import Novelty
from expressionist.report.sample_page import ExplainedSample, build_sample_page

TYPES = ("COAD", "READ", "UVM")
N_GENES = 12


def list_genes(values, n_top):
    order = [*np.argsort(-values)[:n_top], *np.argsort(values)[:n_top]]
    signs = ["for"] * n_top + ["against"] * n_top
    facts = {"direction": signs, "gene": [f"g{k}" for k in order], "symbol": [f"SYM{k}" for k in order]}
    facts |= {"attribution": values[order], "share": values[order] / np.abs(values).sum()}
    return pd.DataFrame({**facts, "expression": 3.0, "filled": [True, *[False] * (2 * n_top - 1)]}, order)


def explain(**changes):
    rng = np.random.default_rng(0)
    types = np.arange(60) % 3
    log2 = (rng.normal(5, 1, (60, N_GENES)) + 3 * np.eye(3, N_GENES)[types]).astype(np.float32)
    footprint = Footprint.leave(log2, types, 3, ["P"], Novelty.fit(log2, types, None, rng=rng))
    values = rng.normal(size=N_GENES)
    prediction = {"sample": "S1", "tumour_type": "COAD", "probability": 0.9, "abstain": False}
    prediction |= {"organ_system": "gut", "organ_system_probability": 0.97, "answer": "COAD"}
    prediction |= {"novelty": 0.25, "unlike_training": False, "n_missing_genes": 1, "n_genes_by_symbol": 4}
    prediction |= {"n_ambiguous_columns": 2, "p_COAD": 0.9, "p_READ": 0.08, "p_UVM": 0.02}
    answers = pd.DataFrame(
        {"predicted": ["COAD"] * 5 + ["READ"], "probability": [0.85, 0.9, 0.82, 0.99, 0.6, 0.9]}
    ).assign(right=[True, True, False, True, False, True])
    about = {"sample": "S1 <x>", "table": "hospital.tsv", "said": "hospital.tsv: 3 samples.", "align": "none"}
    about |= {"made": "2026-01-02", "model": "tumour-type version 3", "backbone": "mobilenet"}
    about |= {"cohort": "toy", "unit": "TPM", "abstain_below": 0.7, "merged": {}}
    about |= {"scope": "Among the 3 types.", "own": "This patient is a test patient."}
    known = {
        "about": about,
        "tumour_types": TYPES,
        "gene_table": pd.DataFrame({"symbol": "?"}, index=[f"g{k}" for k in range(N_GENES)]),
        "layout": toy.make_layout(N_GENES, (4, 5)),
        "footprint": footprint,
        "answers": answers,
        "prediction": pd.Series(prediction | changes.pop("prediction", {})),
        "log2": footprint.means[0],
        "scaled": rng.random((2, N_GENES)).astype(np.float32),
        "values": values,
        "genes": list_genes(values, 3),
        "gap": 0.0042,
        "rival": "READ",
        "rival_genes": list_genes(values, 2),
        "rival_gap": 0.001,
        "rise": 4.5,
        "synthetic": False,
        "random_weights": False,
    }
    return ExplainedSample(**known | changes)


def read(page):
    """What a reader sees, without tags."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", "", re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S))
    )


def test_the_answer_comes_with_how_often_such_answers_were_right():
    text = read(build_sample_page(explain()))
    assert "COAD, with a calibrated probability of 90.0% among the 3 types that the model knows." in text
    assert "Sample S1 &lt;x&gt;: COAD (90.0%)" in text
    assert "were right. This patient is a test patient." in text
    assert "Among the 3 types." in text
    assert "Of the test samples that were called COAD, 3 of 5 were;" in text
    assert "with a probability of 80% to 95%, 2 of 3." in text
    assert "Over all types, 3 of 4 with such a probability were right." in text
    assert "nothing marks it as unlike the training samples" in text
    assert "Research use only." in text


def test_genes_types_and_input_are_told():
    text = read(build_sample_page(explain()))
    for told in (
        "Why not READ",
        "READ has a probability of 8.0%.",
        "from the mean training sample of READ (\u22122.08) to this sample (+2.42), a rise of 4.50",
        "Expression in log₂(TPM + 1); medians",
        "but for 0.42%",
        "Colon adenocarcinoma",
        "never called",
        "Expression (TPM)",
        "1 of 12",
        "hospital.tsv: 3 samples.",
    ):
        assert told in text, told
    assert "nearest to it are those of COAD (1.000), " in text
    assert "without a backbone" not in text, "an introduction of the report"


@pytest.mark.parametrize(
    ("prediction", "told"),
    [
        (
            {"abstain": True, "probability": 0.45, "answer": "abstain"},
            "No answer: too uncertain. Most probable is COAD",
        ),
        (
            {"abstain": True, "probability": 0.45, "answer": "gut"},
            "Gut, unsure which type: those of this organ system have 97.0% together. Most probable is COAD",
        ),
        (
            {"unlike_training": True, "novelty": 3.2},
            "No answer: unlike the samples that the model was trained",
        ),
        ({"tumour_type": "UVM"}, "No test sample was called UVM"),
    ],
)
def test_what_cannot_be_relied_on_is_said_first(prediction, told):
    text = read(build_sample_page(explain(prediction=prediction)))
    assert told in text


def test_a_certain_answer_is_held_against_the_surest_ones():
    text = read(build_sample_page(explain(prediction={"probability": 1.0, "p_COAD": 1.0})))
    assert "with a probability of 95% to 100%, 1 of 1." in text


def test_the_page_is_whole_marked_and_escaped():
    page = build_sample_page(explain(synthetic=True, random_weights=True))
    assert "S1 &lt;x&gt;" in page
    assert "S1 <x>" not in page
    assert "SYNTHETIC" in page
    assert "RANDOM WEIGHTS" in page
    assert "https://" not in page
    assert page.count("<img") == 2
    assert page == build_sample_page(explain(synthetic=True, random_weights=True))


def test_a_type_without_training_samples_is_no_neighbour():
    found = explain()
    found.footprint.means[2] = np.nan
    found.footprint.by_type[2] = np.nan
    text = read(build_sample_page(found))
    assert re.search(r"those of COAD \(1\.000\) and READ \(", text)
