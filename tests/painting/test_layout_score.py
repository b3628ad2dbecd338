"""The score of a layout, against its slow definition."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.painting.layouts.made_up import draw_programmes

from expressionist.errors import CohortError
from expressionist.painting.layout_score import score_layout
from expressionist.params.sections import ExpressionParams, LayoutParams
from expressionist.stages import layout as stage
from toy import make_cohort


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
    scaled, held_out = draw_programmes(20, 30), draw_programmes(300, 30, seed=2)
    scaled[:, 4] = 0.5
    pixel = np.random.default_rng(3).permutation(np.arange(49) % (shape[0] * shape[1]))[:30]
    score = score_layout(scaled, pixel, shape, held_out=held_out)
    for key, table in (("neighbour_correlation", scaled), ("neighbour_correlation_held_out", held_out)):
        assert score[key] == pytest.approx(correlate_slowly(table, pixel, shape), abs=1e-5)


def test_overlap_is_counted():
    score = score_layout(draw_programmes(5, 4), np.array([0, 0, 1, 2]), (2, 4))
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
    scaled, pixel = draw_programmes(8, 2100), np.random.default_rng(5).permutation(2100)
    one, again, other = (score_layout(scaled, pixel, (42, 50), seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["trustworthiness"] != other["trustworthiness"]
    assert one["neighbour_correlation"] == other["neighbour_correlation"]


@pytest.mark.parametrize(
    ("scaled", "pixel"),
    [(draw_programmes(5, 1), [0]), (draw_programmes(5, 2), [0, 2]), (np.full((5, 5), 0.1), range(5))],
    ids=["one gene", "two apart", "constant genes"],
)
def test_what_cannot_be_told_is_none(scaled, pixel):
    score = score_layout(scaled, np.array(pixel), (1, 5))
    assert score["trustworthiness"] is None
    assert score["neighbour_correlation"] is None


def test_pixels_must_belong_to_the_genes():
    with pytest.raises(CohortError, match="got 3 genes"):
        score_layout(draw_programmes(5, 3), np.arange(2), (2, 2))


def run_stage(monkeypatch, tmp_path, changed=None, overlap="single"):
    """Run the stage on 60 samples; `changed` names the side whose expression is drawn anew."""
    cohort, side = make_cohort(), np.tile(["train", "validation", "test"], 20)
    drawn = np.where((side == changed)[:, None], make_cohort(seed=9).expression, cohort.expression)
    monkeypatch.setattr(stage, "read_cohort", lambda _: replace(cohort, expression=drawn))
    monkeypatch.setattr(stage, "read_split", lambda _: cohort.samples.assign(split=side))
    paths, out = dict.fromkeys(("cohort", "split", "lists"), tmp_path), tmp_path / f"layout-{changed}"
    stage.run(ExpressionParams(30), LayoutParams("pca", 1, {}, overlap), **paths, out=out)
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
