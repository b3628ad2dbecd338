"""Logarithm, gene choice and scale on values worked out by hand."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from expressionist.data.expression import Scale, choose_genes, to_log2
from expressionist.data.units import AS_IS_UNIT, LINEAR_UNITS, LOG2_UNIT
from expressionist.errors import CohortError


@pytest.mark.parametrize("unit", LINEAR_UNITS)
def test_linear_units_become_log2(unit):
    log2 = to_log2(np.array([[0, 1, 3], [7, 1023, 1e6]], np.float32), unit)
    assert log2.dtype == np.float32
    np.testing.assert_allclose(log2, [[0, 1, 2], [3, 10, np.log2(1e6 + 1)]], rtol=1e-6)


@pytest.mark.parametrize("unit", [LOG2_UNIT, AS_IS_UNIT])
def test_units_without_a_logarithm_to_take_are_left_alone(unit):
    expression = np.array([[0.5, 12.25]], np.float32)
    np.testing.assert_array_equal(to_log2(expression, unit), expression)


def test_to_log2_leaves_its_input_alone():
    expression = np.array([[1, 3]], np.float32)
    to_log2(expression, "RSEM")
    np.testing.assert_array_equal(expression, [[1, 3]])


def test_unknown_unit_is_refused():
    with pytest.raises(CohortError, match=r"unit must be one of .*TPM.*, but got 'TMM'"):
        to_log2(np.ones((1, 1), np.float32), "TMM")


def test_most_variable_genes_in_the_order_of_columns():
    log2 = np.array([[0, 0, 0, 0], [1, 4, 2, 3]], np.float32)
    np.testing.assert_array_equal(choose_genes(log2, 2), [1, 3])


def test_equal_variance_is_decided_by_position():
    log2 = np.array([[0, 1, 0, 1], [1, 0, 1, 0]], np.float32)
    np.testing.assert_array_equal(choose_genes(log2, 2), [0, 1])


def test_constant_genes_are_never_chosen():
    # 0.1 in float32 has a rounded mean, which alone would give the gene a variance above 0.
    log2 = np.full((7, 3), 0.1, np.float32)
    log2[0, 1] = 0.2
    np.testing.assert_array_equal(choose_genes(log2, 3), [1])


def test_nothing_but_constant_genes_is_refused():
    with pytest.raises(CohortError, match="all 4 genes are constant over 3 samples"):
        choose_genes(np.ones((3, 4), np.float32), 2)


def test_choice_spans_blocks_of_genes():
    rng = np.random.default_rng(3)
    log2 = rng.normal(size=(9, 700)).astype(np.float32)
    best = np.sort(np.argsort(-log2.astype(np.float64).var(axis=0), kind="stable")[:50])
    np.testing.assert_array_equal(choose_genes(log2, 50), best)


def test_choice_and_scale_do_not_copy_the_matrix_to_float64():
    log2 = np.random.default_rng(1).random((400, 5000), np.float32)
    tracemalloc.start()
    chosen = choose_genes(log2, 100)
    Scale.fit(log2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 100
    assert peak < log2.nbytes


def test_scale_of_a_constant_gene_is_zero_on_training_rows():
    scale = Scale.fit(np.array([[3, 1], [3, 5]], np.float32))
    np.testing.assert_array_equal(scale.span, [1, 4])
    np.testing.assert_array_equal(scale.apply(np.array([[3, 1], [3, 5]], np.float32)), [[0, 0], [0, 1]])


def test_other_rows_are_not_clipped():
    scale = Scale.fit(np.array([[1.0], [3.0]], np.float32))
    np.testing.assert_array_equal(scale.apply(np.array([[0.0], [5.0]], np.float32)), [[-0.5], [2.0]])


def test_other_rows_do_not_move_what_was_fitted():
    rng = np.random.default_rng(4)
    log2 = rng.normal(size=(20, 30)).astype(np.float32)
    train = np.arange(20) < 12
    changed = np.where(train[:, None], log2, log2 * 100 + 7)
    np.testing.assert_array_equal(choose_genes(log2[train], 5), choose_genes(changed[train], 5))
    np.testing.assert_array_equal(Scale.fit(log2[train]).span, Scale.fit(changed[train]).span)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1), (4,)])
def test_scale_refuses_other_genes(shape):
    scale = Scale.fit(np.array([[0, 1, 2, 3], [1, 2, 3, 4]], np.float32))
    with pytest.raises(CohortError, match=r"must be \(n_samples, 4\)"):
        scale.apply(np.zeros(shape, np.float32))


@pytest.mark.parametrize("span", [[1, 0], [1, -2], [1, np.nan]])
def test_scale_refuses_an_empty_span(span):
    with pytest.raises(CohortError, match="above 0, but 1 are not"):
        Scale(low=np.zeros(2, np.float32), span=np.array(span, np.float32))


def test_scale_refuses_unequal_parts():
    with pytest.raises(CohortError, match="one low and one span per gene"):
        Scale(low=np.zeros(2, np.float32), span=np.ones(3, np.float32))


# What must hold for any expression: scaled rows in [0, 1], a line, and gene choice by variance alone.


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
