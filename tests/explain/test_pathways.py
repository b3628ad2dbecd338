"""Gene sets at the ends of rankings: by hand, when genes move together, by any name; and where they lie."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard
from scipy.stats import false_discovery_control, pearsonr, t, ttest_ind

from expressionist.errors import CohortError
from expressionist.explain.pathways import enrich, locate_sets, match_sets
from expressionist.explain.rankings import fold_change
from expressionist.painting.layout import Layout

# Expression of 63 genes, of which no two go together, in 64 samples of one type.
APART = hadamard(64)[:, 1:].astype(np.float32)
ONE_TYPE = np.zeros(64, int)
SETS = {"A": np.arange(5), "B": np.arange(3, 13), "C": np.arange(40, 60)}


def name_genes(n_genes: int) -> pd.DataFrame:
    return pd.DataFrame({"symbol": [f"G{place}" for place in range(n_genes)]})


def draw_rankings(seed: int, n_types: int = 2, n_genes: int = 63) -> np.ndarray:
    # Uniform, so that no gene lies beyond the bounds.
    return np.random.default_rng(seed).uniform(-1, 1, (n_types, n_genes))


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_scores_of_genes_that_go_each_its_way_are_their_correlation_with_membership(seed):
    values = draw_rankings(seed)
    found = enrich({"r": values}, ["T0", "T1"], name_genes(63), SETS, APART, ONE_TYPE)
    wanted = [
        np.sqrt(63) * pearsonr(row, np.isin(np.arange(63), places)).statistic
        for row in values
        for places in SETS.values()
    ]
    np.testing.assert_allclose(found["score"], wanted, rtol=1e-5)
    np.testing.assert_allclose(found["p_value"], 2 * t.sf(np.abs(wanted), 63), rtol=1e-4)
    np.testing.assert_allclose(found["q_value"], false_discovery_control(found["p_value"]))


def test_genes_that_always_go_together_count_as_one():
    alike = APART.copy()
    alike[:, :5] = APART[:, [0]]
    values = {"r": draw_rankings(1)}
    apart, together = (
        enrich(values, ["T0", "T1"], name_genes(63), SETS, x, ONE_TYPE) for x in (APART, alike)
    )
    first = apart["gene_set"] == "A"
    ratio = np.sqrt((1 / 5 + 1 / 58) / (1 + 1 / 58))
    np.testing.assert_allclose(together["score"][first], apart["score"][first] * ratio, rtol=1e-5)


def test_random_groups_of_samples_have_no_pathways():
    rng = np.random.default_rng(0)
    # Twenty programmes, and as many sets whose genes follow one each.
    log2 = rng.normal(size=(90, 20)) @ np.repeat(np.eye(20), 15, axis=1) + rng.normal(size=(90, 300))
    sets = {f"S{place}": np.arange(15 * place, 15 * place + 15) for place in range(20)}
    fooled = naive = 0
    for _ in range(20):
        types = rng.permutation(np.repeat([0, 1, 2], 30))
        changes = fold_change(log2, types, n_types=3)
        found = enrich({"r": changes}, ["T0", "T1", "T2"], name_genes(300), sets, log2, types)
        fooled += (found["q_value"] < 0.05).any()
        alone = [ttest_ind(changes[0, p], np.delete(changes[0], p)).pvalue for p in sets.values()]
        naive += (false_discovery_control(alone) < 0.05).any()
    assert fooled <= 2
    assert naive == 20


def test_sets_are_found_at_both_ends_and_one_gene_makes_none():
    values = np.tile(np.linspace(-1, 1, 63), (3, 1))[:, np.random.default_rng(3).permutation(63)]
    values[0, SETS["A"]], values[0, SETS["C"]], values[2] = [5, 4, 3, 2, 6], -3, np.nan
    values[1, 2] = 1e6
    found = enrich({"r": values}, ["T0", "T1", "T2"], name_genes(63), SETS, APART, ONE_TYPE)
    assert found["tumour_type"].unique().tolist() == ["T0", "T1"]
    of = found.set_index(["tumour_type", "gene_set"])
    assert of.loc[("T0", "A"), "leading_genes"] == "G4, G0, G1, G2, G3"
    assert of.loc[("T0", "A"), "score"] > 4
    assert of.loc[("T0", "C"), "score"] < -4
    assert of.loc[("T0", "C"), "leading_genes"].count(",") == 9
    assert of.loc[("T0", ["A", "C"]), "q_value"].max() < 0.001
    assert of.loc[("T1", "A"), "p_value"] > 0.001


def test_a_constant_ranking_says_nothing():
    found = enrich({"r": np.ones((1, 63))}, ["T0"], name_genes(63), SETS, APART, ONE_TYPE)
    assert (found["p_value"] == 1).all()
    assert (found["leading_genes"] == "").all()


def test_sets_name_genes_by_any_name():
    names = {"8085": "KMT2D", "7157": "TP53", "1956": "EGFR", "4609": "MYC", "3845": "KRAS", "673": "BRAF"}
    more = {str(place): f"X{place}" for place in range(10)}
    genes = pd.DataFrame({"symbol": {**names, **more}})
    mixed = ["MLL2", "7157", "ENSG00000146648.12", "MYC", "KRAS", "KRAS", "3845", "gag"]
    found = match_sets({"mixed": mixed, "small": ["TP53", "p53", "MYC"], "most": genes.index[:9]}, genes)
    assert {name: places.tolist() for name, places in found.items()} == {"mixed": [0, 1, 2, 3, 4]}


def test_sets_of_other_genes_are_refused():
    with pytest.raises(
        CohortError, match=r"5 to 10 of the 20 painted genes, but got 2 sets .* name X, G1, and"
    ):
        match_sets({"A": ["X", "G1"], "B": ["G1"]}, name_genes(20))


def test_sets_that_lie_together_are_told_from_scattered_ones():
    pixel = np.arange(400)
    layout = Layout(np.array([f"g{place}" for place in pixel]), pixel, (20, 20), "random")
    # Two blocks far apart: near neighbours, though two genes are as far from each other as random ones.
    blocks = np.array([0, 1, 2, 20, 21, 22, 377, 378, 379, 397, 398, 399])
    scattered = np.random.default_rng(5).choice(400, 12, replace=False)
    sets = {"block": blocks[:6], "blocks": blocks, "scattered": np.sort(scattered)}
    found = locate_sets(sets, layout, np.random.default_rng(1)).set_index("gene_set")
    assert found.loc[["block", "blocks"], "p_value"].tolist() == [1 / 200, 1 / 200]
    assert found.loc["scattered", "p_value"] > 0.05
    assert found.loc["blocks", ["nearest", "random_nearest"]].tolist() == pytest.approx([1, 4], abs=1.5)
    assert found.loc["blocks", "distance"] > found.loc["blocks", "random_distance"]
    assert found.loc["block", "positions"] == "0,1,2,20,21,22"
    pd.testing.assert_frame_equal(
        found, locate_sets(sets, layout, np.random.default_rng(1)).set_index("gene_set")
    )
