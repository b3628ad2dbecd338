"""The checks that every cohort must pass, one by one."""

import re
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.data.units import AS_IS_UNIT, UNITS
from expressionist.errors import CohortError


@pytest.fixture
def cohort():
    samples = pd.DataFrame(
        {
            "patient": ["p1", "p1", "p2", "p3"],
            "tumour_type": ["UVM", "UVM", "ACC", "UVM"],
            "age": [1, 2, 3, 4],
        },
        index=["s1", "s2", "s3", "s4"],
    )
    genes = pd.DataFrame({"symbol": ["TP53", "?", "?"]}, index=["7157", "10357", "10431"])
    return Cohort("toy", np.arange(12, dtype=np.float32).reshape(4, 3), samples, genes, "TPM")


def refuse(message):
    return pytest.raises(CohortError, match=re.escape(message))


def test_tumour_types_in_alphabetical_order(cohort):
    assert cohort.tumour_types == ["ACC", "UVM"]


def test_the_truth_goes_with_its_genes(cohort):
    effect = pd.DataFrame({"ACC": [0.0, 1.0, 2.0], "UVM": 0.5}, index=cohort.genes.index)
    knowing = replace(cohort, truth={"effect": effect})
    assert knowing.take(genes=np.array([2, 0])).truth["effect"]["ACC"].tolist() == [2.0, 0.0]
    with refuse("The truth must have the cohort's 3 genes as its rows, but 'effect' has 2 or other ones"):
        replace(cohort, truth={"effect": effect[:2]})


def test_symbols_may_stand_twice(cohort):
    assert cohort.genes["symbol"].tolist() == ["TP53", "?", "?"]


@pytest.mark.parametrize("unit", UNITS)
def test_known_units_pass(cohort, unit):
    assert replace(cohort, unit=unit).unit == unit


def test_real_unless_said_to_be_synthetic(cohort):
    assert cohort.synthetic is False


def test_a_cohort_is_not_changed(cohort):
    with pytest.raises(FrozenInstanceError):
        cohort.unit = "RPM"


@pytest.mark.parametrize("rows", [[2, 0], np.array([False, True, True, False]), slice(1, 3)])
@pytest.mark.parametrize("columns", [[2, 1], np.array([True, False, True]), slice(0, 2)])
def test_take_keeps_rows_and_tables_together(cohort, rows, columns):
    part = cohort.take(rows, columns)
    expected = pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index).iloc[rows, columns]
    np.testing.assert_array_equal(part.expression, expected)
    assert part.samples.index.equals(expected.index)
    assert part.genes.index.equals(expected.columns)
    assert (part.name, part.unit, part.synthetic) == (cohort.name, cohort.unit, cohort.synthetic)


def test_take_keeps_the_mark_of_the_synthetic(cohort):
    assert replace(cohort, synthetic=True).take([0]).synthetic


def test_taking_nothing_is_refused(cohort):
    with refuse("must have samples and genes, but got 0 samples and 3 genes"):
        cohort.take([])
    with refuse("must have samples and genes, but got 4 samples and 0 genes"):
        cohort.take(genes=[])


def test_unknown_unit(cohort):
    with refuse("unit must be one of counts, RSEM, RPM, TPM, FPKM, FPKM-UQ, log2(x+1), as is, but got 'CPM'"):
        replace(cohort, unit="CPM")


def test_transposed_expression(cohort):
    with refuse("must be (n_samples, n_genes) = (4, 3), but got (3, 4). Check the orientation"):
        replace(cohort, expression=np.ascontiguousarray(cohort.expression.T))


@pytest.mark.parametrize("column", ["patient", "tumour_type"])
def test_sample_table_without_a_column(cohort, column):
    with refuse(f"sample table must have the columns patient, tumour_type, but lacks {column}."):
        replace(cohort, samples=cohort.samples.drop(columns=column))


def test_gene_table_without_symbols(cohort):
    with refuse("gene table must have the columns symbol, but lacks symbol."):
        replace(cohort, genes=cohort.genes.drop(columns="symbol"))


def test_sample_twice(cohort):
    with refuse("Every sample id must stand once, but 1 stand more often: s1."):
        replace(cohort, samples=cohort.samples.set_axis(["s1", "s1", "s1", "s4"]))


def test_gene_twice(cohort):
    with refuse("Every gene id must stand once, but 1 stand more often: 7157."):
        replace(cohort, genes=cohort.genes.set_axis(["7157", "7157", "10431"]))


@pytest.mark.parametrize("nothing", [None, np.nan])
@pytest.mark.parametrize("column", ["patient", "tumour_type"])
def test_sample_without_label(cohort, column, nothing):
    samples = cohort.samples.astype(object)
    samples.loc["s3", column] = nothing
    with refuse("Every sample must have patient and tumour_type, but 1 have not: s3."):
        replace(cohort, samples=samples)


def test_gene_without_symbol(cohort):
    genes = cohort.genes.astype(object)
    genes.loc["10357", "symbol"] = None
    with refuse("Every gene must have symbol, but 1 have not: 10357."):
        replace(cohort, genes=genes)


def test_other_columns_may_be_empty(cohort):
    samples = cohort.samples.assign(age=np.nan)
    assert replace(cohort, samples=samples).samples["age"].isna().all()


def test_patient_with_two_tumour_types(cohort):
    with refuse("A patient must have one tumour type, but 1 have several: p1."):
        replace(cohort, samples=cohort.samples.assign(tumour_type=["UVM", "ACC", "ACC", "UVM"]))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32])
def test_other_types_of_number(cohort, dtype):
    with refuse(f"must be float32, but got {np.dtype(dtype)}."):
        replace(cohort, expression=cohort.expression.astype(dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(cohort, value):
    expression = cohort.expression.copy()
    expression[2, 1] = value
    with refuse("must be finite, but 1 genes have NaN or infinite values: 10357."):
        replace(cohort, expression=expression)


def test_infinities_that_cancel(cohort):
    expression = cohort.expression.copy()
    expression[:2, 0] = [np.inf, -np.inf]
    with refuse("1 genes have NaN or infinite values: 7157."):
        replace(cohort, expression=expression)


def test_the_largest_numbers_are_finite(cohort):
    expression = np.full((4, 3), np.finfo(np.float32).max)
    np.testing.assert_array_equal(replace(cohort, expression=expression).expression, expression)


def test_negative_values(cohort):
    expression = cohort.expression.copy()
    expression[0, [0, 2]] = [-0.25, -0.5]
    with refuse("Expression in TPM must not be negative, but 2 genes go down to -0.5: 7157, 10431."):
        replace(cohort, expression=expression)
    assert replace(cohort, expression=expression, unit=AS_IS_UNIT).expression.min() == -0.5


def test_messages_name_five_genes_at_most():
    genes = pd.DataFrame({"symbol": "?"}, index=[f"g{number}" for number in range(40)])
    samples = pd.DataFrame({"patient": ["p"], "tumour_type": ["UVM"]}, index=["s"])
    with refuse("40 genes go down to -1: g0, g1, g2, g3, g4 and 35 more."):
        Cohort("toy", np.full((1, 40), -1, np.float32), samples, genes, "RSEM")
