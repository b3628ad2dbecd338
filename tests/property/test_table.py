"""Any float32 matrix survives text in either orientation bit for bit."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from expressionist.cohort import AS_IS_UNIT
from expressionist.sources import table

LARGEST = float(np.finfo(np.float32).max)
VALUES = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
    elements=st.floats(-LARGEST, LARGEST, width=32),
    # A cohort in which nothing varies is refused.
).filter(lambda values: bool((values.min(axis=0) < values.max(axis=0)).any()))


@settings(deadline=None)
@given(VALUES, st.sampled_from([".csv", ".tsv", ".tsv.gz", ".parquet", ".feather", ".xlsx"]), st.booleans())
def test_values_survive(values, suffix, transposed):
    samples = pd.Index([f"s{i}" for i in range(len(values))], name="sample")
    labels = pd.DataFrame({"tumour_type": ["A", *["B"] * (len(values) - 1)]}, index=samples)
    matrix = pd.DataFrame(values, index=samples, columns=[f"g{i}" for i in range(values.shape[1])])
    matrix = matrix.T.rename_axis("gene") if transposed else matrix
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder)
        if suffix == ".parquet":
            matrix.to_parquet(raw / "expression.parquet")
        elif suffix == ".feather":
            matrix.reset_index().to_feather(raw / "expression.feather")
        elif suffix == ".xlsx":
            matrix.to_excel(raw / "expression.xlsx")
        else:
            matrix.to_csv(raw / f"expression{suffix}", sep="," if suffix == ".csv" else "\t")
        labels.to_csv(raw / "labels.csv")
        options = table.Options(
            expression=f"x{suffix}",
            genes_in="rows" if transposed else "columns",
            ids="auto",
            labels="labels.csv",
            sample_column="sample",
            label_column="tumour_type",
            patient_column=None,
            positions=None,
            unit=AS_IS_UNIT,
            smallest_type=1,
        )
        cohort, _ = table.read(options, raw)
    # -0.0 is 0 all the same.
    np.testing.assert_array_equal(cohort.expression, values)
    assert list(cohort.samples.index) == list(samples)
    assert list(cohort.genes.index) == [f"g{i}" for i in range(values.shape[1])]
