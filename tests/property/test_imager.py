"""The imager on tables and images of any shape: what a gene does, and what nothing but the names decides."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist import ExpressionImager

any_size = st.integers(1, 8)


@settings(deadline=None)
@given(any_size, st.integers(1, 12), any_size, any_size, st.booleans(), st.integers(0, 2**32 - 1))
def test_any_shape(n_samples, n_genes, height, width, coarse, seed):
    """Oblong, 1×n, too large, too small, constant genes, equal genes."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (n_samples, n_genes)) if coarse else rng.normal(size=(n_samples, n_genes))
    table = pd.DataFrame(values, columns=[f"gene {place}" for place in rng.permutation(n_genes)])
    layout = rng.choice(["random", "coexpression"])
    imager = ExpressionImager(layout, shape=(height, width), random_state=seed).fit(table)
    images = imager.transform(table)

    assert images.shape == (n_samples, height, width, 1)
    assert images.min() >= 0
    assert images.max() <= 1
    assert not images[:, imager.padding_].any()
    assert imager.crowding_.sum() == n_genes
    assert imager.crowding_.max() <= -(-n_genes // (height * width))

    shuffled = table[list(rng.permutation(table.columns))]
    other = ExpressionImager(layout, shape=(height, width), random_state=seed).fit(shuffled)
    assert other.transform(table).tobytes() == images.tobytes()

    gene = table.columns[0]
    raised = imager.transform(table.assign(**{gene: table[gene] + 1000})) != images
    row, column = imager.pixel_of(gene)
    assert raised[:, row, column].all()
    assert raised.sum() == n_samples
