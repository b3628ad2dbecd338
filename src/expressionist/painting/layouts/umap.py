"""Genes on the plane of a UMAP embedding, as in DeepInsight."""

import warnings
from functools import partial

import numpy as np
import pandas as pd

from expressionist.errors import ParamsError
from expressionist.painting.layouts._embedding import Embedding, embed_genes, find_neighbours, start_embedding
from expressionist.params import key, section

# What UMAP scales the start of an embedding to.
_START = 10


@section
class Options:
    """What ``layout: umap:`` holds."""

    n_neighbours: int = key(
        "How many genes count as a gene's neighbourhood, itself among them.", default=15, ge=2
    )


def embed(
    expression: np.ndarray, genes: pd.DataFrame, rng: np.random.Generator, *, n_neighbours: int = 15
) -> Embedding:
    """Embed genes by UMAP (McInnes, Healy, Melville 2018, arXiv:1802.03426) of their 50 leading components.

    The method of DeepInsight (Sharma et al. 2019, doi:10.1038/s41598-019-47765-6), by correlation and started
    from the two leading components. `n_neighbours` counts the gene itself; it is at least 2, or refused, and
    never more than there are.
    """
    if not n_neighbours >= 2:
        raise ParamsError(
            f"layout: umap: n_neighbours must be 2 or more, but got {n_neighbours!r}. The usual value is 15."
        )
    return embed_genes(expression, genes, rng, partial(_embed, rng=rng, n_neighbours=n_neighbours))


def _embed(components: np.ndarray, *, rng: np.random.Generator, n_neighbours: int) -> np.ndarray:
    # Here, since it loads TensorFlow for a variant of its own that is not used.
    from umap import UMAP

    n_neighbours = min(n_neighbours, len(components) - 1)
    positions, distances = find_neighbours(components, n_neighbours - 1)
    # UMAP counts the gene itself as its first neighbour.
    itself = np.arange(len(components))[:, None]
    known = (np.hstack([itself, positions]), np.pad(distances, ((0, 0), (1, 0))).astype(np.float32))
    start = start_embedding(components, rng)
    with warnings.catch_warnings():
        # It warns that new genes cannot be added to such an embedding, and that a seed means one thread.
        warnings.simplefilter("ignore", UserWarning)
        model = UMAP(
            n_neighbors=n_neighbours,
            init=(start * _START / np.abs(start).max()).astype(np.float32),
            precomputed_knn=(*known, None),
            random_state=int(rng.integers(2**31)),
            n_jobs=1,
        )
        embedded: np.ndarray = model.fit_transform(components.astype(np.float32))
    return embedded.astype(np.float64)
