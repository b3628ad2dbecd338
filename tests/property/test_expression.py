"""What must hold for any expression: scaled rows in [0, 1], a line, and gene choice by variance alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from expressionist.expression import Scale, choose_genes, to_log2

matrices = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(0, 30, width=32),
)
few = settings(deadline=None)


@few
@given(matrices)
def test_fitted_rows_lie_in_the_unit_interval_and_reach_both_ends(log2):
    scaled = Scale.fit(log2).apply(log2)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled.min(axis=0), 0)
    varying = log2.min(axis=0) < log2.max(axis=0)
    np.testing.assert_array_equal(scaled.max(axis=0), varying.astype(np.float32))


@few
@given(matrices, st.floats(-2, 3))
def test_scaling_is_a_line(log2, weight):
    scale = Scale.fit(log2)
    mixed = weight * log2[:1].astype(np.float64) + (1 - weight) * log2[-1:].astype(np.float64)
    expected = (mixed - scale.low) / scale.span
    np.testing.assert_allclose(scale.apply(mixed), expected, rtol=1e-3, atol=1e-3)
    ends = scale.apply(log2)
    assert np.all(np.isfinite(ends))


@few
@given(matrices)
def test_log2_keeps_order_and_inverts(expression):
    log2 = to_log2(expression, "RPM")
    np.testing.assert_allclose(np.exp2(log2.astype(np.float64)) - 1, expression, rtol=1e-5, atol=1e-5)
    row = np.sort(expression.ravel())
    assert np.all(np.diff(to_log2(row[None], "RPM")[0]) >= 0)


@few
@given(matrices, st.integers(1, 12))
def test_no_gene_left_out_varies_more_than_a_chosen_one(log2, n_genes):
    log2 = np.concatenate([log2, np.arange(len(log2), dtype=np.float32)[:, None]], axis=1)
    if len(log2) == 1:
        log2 = np.concatenate([log2, log2 + 1])
    chosen = choose_genes(log2, n_genes)
    varying = log2.min(axis=0) < log2.max(axis=0)
    assert len(chosen) == min(n_genes, varying.sum())
    assert np.all(np.diff(chosen) > 0)
    assert varying[chosen].all()
    variance = log2.astype(np.float64).var(axis=0)
    left_out = np.setdiff1d(np.flatnonzero(varying), chosen)
    assert left_out.size == 0 or variance[left_out].max() <= variance[chosen].min()
