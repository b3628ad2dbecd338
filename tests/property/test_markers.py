import numpy as np
import pandas as pd
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from expressionist.markers import benjamini_hochberg, fold_change, match_markers, recovery

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
def test_the_order_of_genes_does_not_matter(made, seed):
    scores, markers, n_top = made
    order = np.random.default_rng(seed).permutation(len(scores))
    moved = np.flatnonzero(np.isin(order, markers))
    assert recovery(scores[order], moved, n_top=n_top) == recovery(scores, markers, n_top=n_top)


@awkward
@given(rankings())
def test_recovery_is_possible_and_its_p_value_a_probability(made):
    scores, markers, n_top = made
    found = recovery(scores, markers, n_top=n_top)
    least = found.n_top + found.n_markers - len(scores)
    assert max(0, least) <= found.n_found <= min(found.n_top, found.n_markers)
    assert 0 < found.p_value <= 1 + 1e-12


@awkward
@given(rankings())
def test_only_the_order_of_scores_matters(made):
    scores, markers, n_top = made
    assert recovery(np.exp(scores), markers, n_top=n_top) == recovery(scores, markers, n_top=n_top)


@awkward
@given(st.integers(2, 30), st.integers(2, 5), st.integers(0, 10**6))
def test_fold_change_is_its_slow_definition(n_samples, n_types, seed):
    rng = np.random.default_rng(seed)
    log2, types = rng.normal(size=(n_samples, 4)).astype(np.float32), rng.integers(n_types, size=n_samples)
    change = fold_change(log2, types, n_types=n_types)
    for number in range(n_types):
        inside, outside = log2[types == number], log2[types != number]
        if len(inside) and len(outside):
            expected = inside.astype(float).mean(axis=0) - outside.astype(float).mean(axis=0)
            np.testing.assert_allclose(change[number], expected, atol=1e-9)
        else:
            assert np.isnan(change[number]).all()


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
