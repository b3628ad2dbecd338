"""The score of a layout, against its slow definition."""

import json

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.errors import CohortError
from expressionist.painting.layout_score import score_layout
from expressionist.params.sections import ExpressionParams, LayoutParams
from expressionist.stages import layout as stage


def make_scaled(n_samples, n_genes, seed=1):
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(n_samples, 3)) @ rng.normal(size=(3, n_genes)) + rng.normal(
        size=(n_samples, n_genes)
    )
    return scaled.astype(np.float32)


def correlate_slowly(scaled, pixel, shape):
    """All pairs of genes, one by one: those one step apart count."""
    row, column = np.divmod(pixel, shape[1])
    found = [
        np.corrcoef(scaled[:, a], scaled[:, b])[0, 1]
        for a in range(len(pixel))
        for b in range(a)
        if abs(row[a] - row[b]) + abs(column[a] - column[b]) == 1
        and np.ptp(scaled[:, a]) > 0
        and np.ptp(scaled[:, b]) > 0
    ]
    return np.mean(found)


@pytest.mark.parametrize("shape", [(5, 6), (3, 10), (1, 30), (7, 7), (2, 4)])
def test_neighbours_are_those_one_step_apart(shape):
    # On 2 × 4 pixels genes are crowded, on 7 × 7 pixels some are empty.
    scaled, held_out = make_scaled(20, 30), make_scaled(300, 30, seed=2)
    scaled[:, 4] = 0.5
    pixel = np.random.default_rng(3).permutation(np.arange(49) % (shape[0] * shape[1]))[:30]
    score = score_layout(scaled, pixel, shape, held_out=held_out)
    assert score["neighbour_correlation"] == pytest.approx(correlate_slowly(scaled, pixel, shape), abs=1e-5)
    assert score["neighbour_correlation_held_out"] == pytest.approx(
        correlate_slowly(held_out, pixel, shape), abs=1e-5
    )


def test_overlap_is_counted():
    score = score_layout(make_scaled(5, 4), np.array([0, 0, 1, 2]), (2, 4))
    assert score["pixels_used"] == 3 / 8
    assert score["genes_alone"] == 2 / 4
    assert score["neighbour_correlation_held_out"] is None


def test_a_line_of_alike_genes_is_trusted_and_a_shuffled_one_is_not():
    rng = np.random.default_rng(4)
    walk = rng.normal(size=(400, 60)).cumsum(axis=1)
    in_order = score_layout(walk, np.arange(60), (1, 60))
    shuffled = score_layout(walk, rng.permutation(60), (1, 60))
    assert in_order["trustworthiness"] > 0.95
    assert shuffled["trustworthiness"] < 0.7
    assert in_order["neighbour_correlation"] > shuffled["neighbour_correlation"]


def test_many_genes_are_sampled_by_the_seed():
    scaled, pixel = make_scaled(8, 2100), np.random.default_rng(5).permutation(2100)
    one, again, other = (score_layout(scaled, pixel, (42, 50), seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["trustworthiness"] != other["trustworthiness"]
    assert one["neighbour_correlation"] == other["neighbour_correlation"]


@pytest.mark.parametrize("n_genes", [1, 2])
def test_what_cannot_be_told_is_none(n_genes):
    score = score_layout(make_scaled(5, n_genes), np.arange(n_genes) * 2, (1, 5))
    assert score["trustworthiness"] is None
    assert score["neighbour_correlation"] is None


def test_constant_genes_have_no_correlation():
    assert score_layout(np.full((4, 6), 0.1), np.arange(6), (2, 3))["neighbour_correlation"] is None


def test_pixels_must_belong_to_the_genes():
    with pytest.raises(CohortError, match="got 3 genes"):
        score_layout(make_scaled(5, 3), np.arange(2), (2, 2))


def run_stage(monkeypatch, tmp_path, changed=None, overlap="single"):
    """Run the stage on 60 samples; `changed` names the side whose expression is drawn anew."""
    expression = np.exp2(np.abs(make_scaled(60, 40)))
    side = np.repeat(["train", "validation", "test"], 20)
    if changed:
        expression[side == changed] = np.exp2(np.abs(make_scaled(20, 40, seed=9)))
    ids = [f"s{number}" for number in range(60)]
    samples = pd.DataFrame({"patient": ids, "tumour_type": "UVM"}, index=pd.Index(ids, name="sample"))
    genes = pd.DataFrame(
        {"symbol": [f"S{number}" for number in range(40)]},
        index=pd.Index([f"g{number}" for number in range(40)], name="gene"),
    )
    cohort = Cohort("toy", expression.astype(np.float32), samples, genes, "TPM")
    monkeypatch.setattr(stage, "read_cohort", lambda _: cohort)
    monkeypatch.setattr(stage, "read_split", lambda _: samples.assign(split=side))
    out = tmp_path / f"layout-{changed}"
    stage.run(
        ExpressionParams(30),
        LayoutParams("pca", 1, {}, overlap),
        cohort=tmp_path,
        split=tmp_path / "split.tsv",
        incoming=tmp_path,
        out=out,
    )
    return json.loads((out / "layout.json").read_text()), (out / "genes.tsv").read_bytes()


def test_stage_scores_training_and_validation_rows_and_never_test_rows(monkeypatch, tmp_path, capsys):
    about, genes = run_stage(monkeypatch, tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert "correlation of neighbours" in said
    assert "s, " in said
    without_test, genes_without_test = run_stage(monkeypatch, tmp_path, "test")
    assert without_test == about
    assert genes_without_test == genes
    other, genes_with_other_validation = run_stage(monkeypatch, tmp_path, "validation")
    assert genes_with_other_validation == genes
    held_out = "neighbour_correlation_held_out"
    assert other["score"][held_out] != about["score"][held_out]
    assert {**other["score"], held_out: 0} == {**about["score"], held_out: 0}


def test_stage_lets_genes_share_pixels(monkeypatch, tmp_path):
    assert run_stage(monkeypatch, tmp_path)[0]["greatest_overlap"] == 1
    assert run_stage(monkeypatch, tmp_path, overlap="average")[0]["greatest_overlap"] > 1
