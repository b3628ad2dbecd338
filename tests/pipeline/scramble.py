"""Expression that nothing was fitted on, put in place of the test rows."""

from dataclasses import replace

import numpy as np

from expressionist.data.cohort_file import read_cohort, write_cohort
from expressionist.data.split import read_split


def scramble_test_rows(data):
    """Replace the expression of the test samples of a cohort below `data` by counts as they never occur."""
    path = data / "cohort" / "cohort.h5ad"
    cohort, split = read_cohort(path), read_split(data / "split.tsv")
    test = (split.loc[cohort.samples.index, "split"] == "test").to_numpy()
    expression = np.array(cohort.expression)
    rng = np.random.default_rng(0)
    # Higher than anything seen, of another variance per gene: scale, choice and order of genes would move.
    n_genes = expression.shape[1]
    expression[test] = rng.integers(0, 10 ** rng.integers(1, 7, n_genes), (test.sum(), n_genes))
    write_cohort(path, replace(cohort, expression=expression))
