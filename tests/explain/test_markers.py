from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from expressionist.errors import Refusal
from expressionist.explain.markers import (
    Recovery,
    benjamini_hochberg,
    known_markers,
    match_markers,
    matched_by,
    recovery,
    recovery_matrix,
)


def test_the_known_markers_are_complete():
    markers = known_markers()
    assert markers["type"].nunique() == 33
    assert {"type", "symbol", "entrez", "note", "verified", "source"} <= set(markers)
    assert markers["entrez"].str.fullmatch(r"\d+").all()
    assert not markers.duplicated(["type", "entrez"]).any()
    assert (markers["verified"].isin(["yes", "no"])).all()


def table_of(ids, symbols):
    return pd.DataFrame({"symbol": list(symbols)}, index=pd.Index(list(ids), name="gene"))


@pytest.fixture
def known():
    return known_markers().drop_duplicates("entrez")


@pytest.fixture
def genes(known):
    return table_of(known["entrez"], known["symbol"]).assign(marker_of=None)


def test_planted_markers_go_before_known_ones(genes):
    genes.iloc[3, 1] = "UVM"
    genes.iloc[5, 1] = "ACC, UVM"
    assert matched_by(genes) == "planted"
    assert {name: at.tolist() for name, at in match_markers(genes).items()} == {"ACC": [5], "UVM": [3, 5]}


def test_an_empty_column_of_planted_markers_is_none(genes):
    assert matched_by(genes.assign(marker_of="")) == "entrez"


@pytest.mark.parametrize("how", ["entrez", "symbol"])
def test_known_markers_are_found(known, how):
    shuffled = known.sample(frac=1, random_state=0)
    ids = shuffled["entrez"] if how == "entrez" else [f"ENSG{number}" for number in range(len(shuffled))]
    # Outdated symbols do not matter to Entrez ids.
    outdated = (how == "entrez") & (np.arange(len(shuffled)) % 3 == 0)
    genes = table_of(ids, shuffled["symbol"].mask(outdated, "?"))
    assert matched_by(genes) == how
    found = match_markers(genes)
    every = known_markers()
    assert list(found) == sorted(every["type"].unique())
    for name, positions in found.items():
        assert set(shuffled["symbol"].iloc[positions]) == set(every.loc[every["type"] == name, "symbol"])


def test_row_numbers_are_not_taken_for_entrez_ids():
    n_genes = 12_000
    symbols = ["NKX2-1", *(f"G{number}" for number in range(1, n_genes))]
    genes = table_of(ids=[str(number) for number in range(n_genes)], symbols=symbols)
    assert set(genes.index) & set(known_markers()["entrez"])
    assert matched_by(genes) == "symbol"
    assert match_markers(genes)["THCA"].tolist() == [0]
    assert match_markers(genes)["ACC"].tolist() == []
    merged = match_markers(genes, {"endocrine": ["ACC", "THCA"]})
    assert merged["endocrine"].tolist() == [0]
    assert {"ACC", "THCA"}.isdisjoint(merged)


def test_no_marker_is_known_among_mirnas():
    genes = table_of(*[["hsa-let-7a-1", "hsa-mir-21"]] * 2)
    assert matched_by(genes) == "nothing"
    assert {len(positions) for positions in match_markers(genes).values()} == {0}


def test_recovery_by_hand():
    # Of 10 genes 4 are markers; 2 of them stand among the top 3. Drawn at random, P(2 or 3 of 3).
    p_value = (comb(4, 2) * comb(6, 1) + comb(4, 3)) / comb(10, 3)
    found = recovery(np.arange(10.0)[::-1], np.array([0, 2, 5, 9]), n_top=3)
    assert found == Recovery(3, 4, 2, pytest.approx(1.2), pytest.approx(p_value))


@pytest.mark.parametrize(
    ("scores", "markers", "n_top", "expected"),
    [
        (range(5), [], 2, Recovery(2, 0, 0, 0.0, 1.0)),
        (range(5), [3], 20, Recovery(5, 1, 1, 1.0, 1.0)),
        ([0] * 5, [0, 1], 2, Recovery(2, 2, 0, 0.8, 1.0)),
    ],
    ids=["no markers", "more top genes than genes", "no differences"],
)
def test_recovery_where_there_is_little_to_find(scores, markers, n_top, expected):
    assert recovery(np.array(scores, float), np.array(markers, np.intp), n_top=n_top) == expected


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(Refusal, match="got 1 that"):
        recovery(np.array([1.0, np.nan]), np.array([0]), n_top=1)


def test_each_type_finds_its_own_markers_and_not_those_of_others():
    markers = {"ACC": np.arange(5), "LAML": np.arange(5, 10), "UVM": np.array([], dtype=np.intp)}
    scores = np.random.default_rng(0).normal(size=(3, 200))
    scores[0, :5] += 10
    scores[1, 5:10] += 10
    scores[2] = np.nan
    table = recovery_matrix(scores, ["ACC", "LAML", "UVM"], markers, n_top=5)
    assert set(table["type"]) == {"ACC", "LAML"}
    own = table[table["type"] == table["markers_of"]]
    others = table[table["type"] != table["markers_of"]]
    assert own["n_found"].tolist() == [5, 5]
    assert (own["q_value"] < 1e-6).all()
    assert others["n_found"].tolist() == [0, 0, 0, 0]
    assert table.loc[table["n_markers"] == 0, "q_value"].isna().all()
    assert table.loc[table["n_markers"] > 0, "q_value"].notna().all()


def test_a_matrix_of_nothing_is_an_empty_table():
    table = recovery_matrix(np.full((1, 4), np.nan), ["ACC"], {"ACC": np.array([0])}, n_top=1)
    assert table.empty
    assert "q_value" in table


def test_rows_without_names_are_refused():
    with pytest.raises(Refusal, match=r"1 types \(ACC\) for 2 rows"):
        recovery_matrix(np.eye(2), ["ACC"], {}, n_top=1)


def test_benjamini_hochberg_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.5 times 4/rank: 0.04, 0.04, 0.04, 0.5.
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.03, 0.5, 0.01, 0.02])), [0.04, 0.5, 0.04, 0.04])


# Invariants on awkward input.
awkward = settings(deadline=None)


@st.composite
def rankings(draw):
    n_genes = draw(st.integers(1, 60))
    # Few values, so that many scores are equal.
    scores = np.array(draw(st.lists(st.integers(-3, 3), min_size=n_genes, max_size=n_genes)), dtype=float)
    markers = np.array(sorted(draw(st.sets(st.integers(0, n_genes - 1)))), dtype=np.intp)
    return scores, markers, draw(st.integers(1, 70))


@awkward
@given(rankings(), st.integers(0, 99))
def test_only_the_order_of_scores_matters_and_not_that_of_genes(made, seed):
    scores, markers, n_top = made
    found = recovery(scores, markers, n_top=n_top)
    order = np.random.default_rng(seed).permutation(len(scores))
    assert recovery(scores[order], np.flatnonzero(np.isin(order, markers)), n_top=n_top) == found
    assert recovery(np.exp(scores), markers, n_top=n_top) == found


@awkward
@given(rankings())
def test_recovery_is_possible_and_its_p_value_a_probability(made):
    scores, markers, n_top = made
    found = recovery(scores, markers, n_top=n_top)
    least = found.n_top + found.n_markers - len(scores)
    assert max(0, least) <= found.n_found <= min(found.n_top, found.n_markers)
    assert 0 < found.p_value <= 1 + 1e-12


@awkward
@given(st.lists(st.floats(1e-6, 1), max_size=40))
def test_false_discovery_rates_keep_the_order_and_never_fall_below_p(p_values):
    p = np.array(p_values)
    q = benjamini_hochberg(p)
    assert q.shape == p.shape
    assert (q >= p - 1e-12).all()
    assert (q <= 1).all()
    assert (np.diff(q[np.argsort(p)]) >= -1e-12).all()


@awkward
@given(st.lists(st.sets(st.sampled_from(["ACC", "LUAD", "UVM"])), min_size=1, max_size=20))
def test_planted_markers_are_read_back(planted):
    genes = pd.DataFrame({"symbol": "?", "marker_of": [",".join(sorted(names)) for names in planted]})
    assume(any(planted))  # else known markers are looked for
    found = match_markers(genes)
    for position, names in enumerate(planted):
        assert {name for name, positions in found.items() if position in positions} == names
