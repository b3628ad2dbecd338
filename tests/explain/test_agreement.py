"""Rankings of two networks, compared over what both have."""

import numpy as np
import pandas as pd
import pytest

from expressionist.errors import Refusal
from expressionist.explain.agreement import compare_rankings


def draw(types, genes, seed=0):
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(len(types), len(genes))), types, genes)


def test_a_ranking_agrees_with_itself_in_any_order():
    one = draw(["A", "B"], list("abcdefgh"))
    found = compare_rankings(one, one.iloc[::-1, ::-1], n_top=3)
    assert found["tumour_type"].tolist() == ["A", "B"]
    assert found["n_shared"].tolist() == [3, 3]
    np.testing.assert_allclose(found["correlation"], 1)
    np.testing.assert_allclose(compare_rankings(one, -one, n_top=3)["correlation"], -1)


def test_genes_and_types_of_one_side_do_not_count():
    one, other = draw(["A", "B", "C"], list("abcdefgh")), draw(["C", "A", "D"], list("cdefghij"), seed=1)
    other.loc["C"] = np.nan
    found = compare_rankings(one, other, n_top=2)
    assert found["tumour_type"].tolist() == ["A"]
    genes = list("cdefgh")
    tops = [set(each.loc["A", genes].nlargest(2).index) for each in (one, other)]
    assert found["n_shared"].tolist() == [len(tops[0] & tops[1])]


@pytest.mark.parametrize(
    ("types", "genes", "reason"), [("C", "abcd", "tumour type in common"), ("A", "cdxy", "but got 2")]
)
def test_what_has_nothing_in_common_is_refused(types, genes, reason):
    with pytest.raises(Refusal, match=reason):
        compare_rankings(draw(["A"], list("abcd")), draw([types], list(genes)), n_top=2)
