"""Genes on the plane of a t-SNE embedding, as in DeepInsight."""

from functools import partial

import numpy as np
import pandas as pd

from expressionist.errors import ParamsError
from expressionist.painting.layouts._embedding import Embedding, embed_genes, find_neighbours, start_embedding
from expressionist.params import key, section

# Half of the engine's own numbers of iterations: twice as many score the same on the grid (docs/layouts.md).
_N_EARLY, _N_LATE = 125, 250
_EXAGGERATION = 12
_START = 1e-4
# From so many genes on, interpolation on a grid is worth its setting up.
_MANY = 2000
# Threads that wait for one another on busy cores can take longer than one alone: 14 to 39 s with two, 9 s
# with one, at 10,404 genes. The points are the same.
_N_JOBS = 1


@section
class Options:
    """What ``layout: tsne:`` holds."""

    perplexity: float = key("How many genes count as a gene's neighbours, about.", default=30, ge=1)


def embed(
    expression: np.ndarray, genes: pd.DataFrame, rng: np.random.Generator, *, perplexity: float = 30
) -> Embedding:
    """Embed genes by t-SNE (van der Maaten and Hinton 2008) of their 50 leading components, by correlation.

    The method of DeepInsight (Sharma et al. 2019, doi:10.1038/s41598-019-47765-6), by interpolation on a grid
    (FIt-SNE, Linderman et al. 2019, doi:10.1038/s41592-018-0308-4) as in openTSNE, started from the two
    leading components (Kobak and Berens 2019, doi:10.1038/s41467-019-13056-x). The perplexity, about how many
    genes count as neighbours, is at least 1, or refused, and never more than a third of the genes.
    """
    if not perplexity >= 1:
        raise ParamsError(
            f"layout: tsne: perplexity must be 1 or more, but got {perplexity!r}. The usual value is 30."
        )
    return embed_genes(expression, genes, rng, partial(_embed, rng=rng, perplexity=perplexity))


def _embed(components: np.ndarray, *, rng: np.random.Generator, perplexity: float) -> np.ndarray:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    perplexity = min(perplexity, (len(components) - 1) / 3)
    neighbours = PrecomputedNeighbors(*find_neighbours(components, int(3 * perplexity)))
    affinities = PerplexityBasedNN(perplexity=perplexity, knn_index=neighbours, n_jobs=_N_JOBS)
    embedding = TSNEEmbedding(
        _START * start_embedding(components, rng),
        affinities,
        negative_gradient_method="fft" if len(components) >= _MANY else "bh",
        n_jobs=_N_JOBS,
    )
    embedding.optimize(_N_EARLY, exaggeration=_EXAGGERATION, inplace=True)
    embedding.optimize(_N_LATE, momentum=0.8, inplace=True)
    return np.asarray(embedding)
