"""Rankings are judged by all that was raised, by hand and whatever their order."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.errors import Refusal
from expressionist.explain.truth import average_over_types, judge_truth

N_GENES = 30
DESCENDING = -np.arange(float(N_GENES))[None]


def make_effect(**raised: float) -> np.ndarray:
    """Of one type, with what was raised as g0=2.5 and so on."""
    effect = np.full((1, N_GENES), -0.1)
    for gene, size in raised.items():
        effect[0, int(gene[1:])] = size
    return effect


EFFECT = make_effect(g0=2.5, g1=2.0, g5=1.2, g12=0.6, g20=0.4)


def judge(scores: np.ndarray, planted: list[int], effect: np.ndarray = EFFECT) -> pd.DataFrame:
    judged = judge_truth({"ours": scores}, effect, {"ACC": np.array(planted, np.intp)}, {0: "ACC"})
    return judged.set_index(["truth", "n_top"])


def test_precision_and_recall_by_hand() -> None:
    judged = judge(DESCENDING, [1, 25])
    assert {truth: n for (truth, _), n in judged["n_true"].items()} == {
        "planted": 2, "raised_0.5": 4, "raised_1": 3, "raised_2": 2,
    }  # fmt: skip
    assert judged.loc[("raised_0.5", 10), ["n_found", "precision", "recall"]].tolist() == [3, 0.3, 0.75]
    assert judged.loc[("raised_0.5", 20), ["n_found", "precision", "recall"]].tolist() == [4, 0.2, 1.0]
    assert judged.loc["planted", "recall"].tolist() == [0.5, 0.5, 1.0]
    assert judged.loc["raised_1", "chance"].unique().tolist() == [0.1]
    # The planted stand second and twenty-sixth, those raised by 1 first, second and sixth.
    assert judged.loc[("planted", 10), "average_precision"] == pytest.approx((1 / 2 + 2 / 26) / 2)
    assert judged.loc[("raised_1", 30), "average_precision"] == pytest.approx((1 + 1 + 3 / 6) / 3)


def test_equal_scores_find_what_is_raised_last() -> None:
    judged = judge(np.zeros((1, N_GENES)), [1, 25])
    assert judged["n_found"].xs(20, level="n_top").eq(0).all()
    assert judged.loc[("raised_2", 10), "average_precision"] == pytest.approx((1 / 29 + 2 / 30) / 2)


def test_where_nothing_is_true_nothing_is_to_be_found() -> None:
    judged = judge_truth({"ours": DESCENDING}, make_effect(), {}, {0: "ACC"})
    assert judged["n_found"].eq(0).all()
    assert judged[["recall", "average_precision"]].isna().all(axis=None)


def test_only_the_types_asked_for_are_judged() -> None:
    scores, effect = np.vstack([DESCENDING, np.full_like(DESCENDING, np.nan)]), np.vstack([EFFECT, EFFECT])
    judged = judge_truth({"ours": scores, "again": scores}, effect, {}, {0: "ACC"})
    assert set(judged["tumour_type"]) == {"ACC"}
    assert judge_truth({"ours": scores}, effect, {}, {1: "UVM"}).empty, "it has no finite scores"


def test_the_truth_of_other_genes_is_refused() -> None:
    with pytest.raises(Refusal, match=r"\(1, 30\), but got \(1, 29\) for ours"):
        judge_truth({"ours": DESCENDING}, EFFECT[:, :-1], {}, {0: "ACC"})


@settings(deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=N_GENES, max_size=N_GENES), st.integers(0, 99))
def test_only_the_order_of_scores_matters_and_not_that_of_genes(scores: list[int], seed: int) -> None:
    ranked = np.array([scores], float)
    order = np.random.default_rng(seed).permutation(N_GENES)
    moved = judge(np.exp(ranked[:, order]), np.flatnonzero(np.isin(order, [1, 25])), EFFECT[:, order])
    pd.testing.assert_frame_equal(moved, judge(ranked, [1, 25]))


def test_ranking_by_the_truth_is_perfect() -> None:
    judged = judge(EFFECT, [0])
    np.testing.assert_allclose(judged["average_precision"], 1)
    assert judged.loc[("raised_2", 10), "recall"] == 1


def make_judged() -> pd.DataFrame:
    """Two types: one finds half and all of what was raised by 2, in the other nothing was."""
    effect = np.vstack([EFFECT, make_effect(g3=1.0)])
    rankings = {"worse": np.vstack([-DESCENDING, DESCENDING]), "best": np.vstack([EFFECT, DESCENDING])}
    return judge_truth(rankings, effect, {}, {0: "ACC", 1: "UVM"})


def test_averages_are_over_types_and_leave_out_those_without() -> None:
    judged = make_judged()
    means = average_over_types(judged, n_resamples=200, level=0.9, seed=1)
    assert means["ranking"].unique().tolist() == ["worse", "best"]
    rows = means.set_index(["ranking", "truth", "n_top"])
    assert rows.loc[("best", "raised_1", 10), "precision"] == pytest.approx((0.3 + 0.1) / 2)
    assert rows.loc[("best", "raised_1", 10), ["precision_low", "precision_high"]].tolist() == [
        pytest.approx(0.1), pytest.approx(0.3),
    ]  # fmt: skip
    # Nothing was raised by 2 in UVM, and nothing was planted: recall is that of ACC alone, or of none.
    assert rows.loc[("best", "raised_2", 10), ["recall", "recall_low", "recall_high"]].tolist() == [1, 1, 1]
    assert rows.loc[("best", "planted", 10), ["recall", "recall_low"]].isna().all()
    assert rows.loc[("worse", "raised_2", 10), "recall"] == 0
