"""Genes by pathway, or whatever sets of genes are given: every set one region of the image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from expressionist.data import assign_sets
from expressionist.errors import ParamsError
from expressionist.painting.layouts._components import project_genes
from expressionist.painting.layouts._curve import trace_curve
from expressionist.painting.layouts._spread import spread_along
from expressionist.painting.layouts._tree import order_by_similarity
from expressionist.params import key


@dataclass(frozen=True)
class Options:
    """What ``layout: pathway:`` holds."""

    gene_sets: str | None = field(
        default=None, metadata=key("A GMT file in `cohort.folder`; genes are matched by id or symbol.")
    )

    def __post_init__(self) -> None:
        if not self.gene_sets:
            raise ParamsError(
                f"gene_sets must name a GMT file in cohort.folder, but got {self.gene_sets!r}. Give gene "
                "sets or choose another layout method."
            )


def place(
    expression: np.ndarray,
    genes: pd.DataFrame,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    gene_sets: Mapping[str, Iterable[str]] | None = None,
) -> np.ndarray:
    """Place genes so that every set of genes is one compact region, with sets that are alike side by side.

    A treemap along a space-filling curve (Wattenberg 2005, doi:10.1109/INFVIS.2005.1532145): sets follow one
    another on `trace_curve`, each on as many pixels as it has genes. Their order is that of the similarity of
    their mean profiles, as for genes in ``coexpression``, and so is the order of the genes of a set, which
    begins and ends with those that are most like the sets before and behind. A gene of several sets goes to
    that with the fewest genes (`gene_sets.assign_sets`). Genes of no set form a region of their
    own, the last.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, scaled; training samples only.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with ``symbol`` if sets name genes by it. Ids decide between ties, so that the
        order of the columns does not matter.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        Starts the search for the components.
    gene_sets : mapping of str to iterable of str
        Set → ids or symbols of its genes. In params.yaml, the name of a GMT file in ``cohort.folder``.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene; genes that are constant in `expression` come last in their set.

    Raises
    ------
    ParamsError
        If there are no gene sets.
    CohortError
        If no set holds any of the genes.

    Examples
    --------
    >>> expression = np.array([[0, 1, 0.1, 0.9], [1, 0, 1, 0], [0.5, 0.4, 0.6, 0.5]], "float32")
    >>> genes, gene_sets = pd.DataFrame(index=list("abcd")), {"one": ["a", "b"], "other": ["c", "d"]}
    >>> pixel = place(expression, genes, (1, 4), np.random.default_rng(1), gene_sets=gene_sets)
    >>> abs(pixel[0] - pixel[1]), abs(pixel[2] - pixel[3])
    (np.int64(1), np.int64(1))
    """
    if not isinstance(gene_sets, Mapping):
        raise ParamsError(
            "layout: pathway: gene_sets must name a GMT file in cohort.folder, or map sets to genes, but got "
            f"{gene_sets!r}. Give gene sets or choose another layout method."
        )
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    varying = (expression.min(axis=0) < expression.max(axis=0))[by_id]
    projected = project_genes(expression, by_id[varying], rng)
    components = np.zeros((len(genes), projected.shape[1]))
    components[varying] = projected
    groups, rest = _group(assign_sets(genes.iloc[by_id], gene_sets))
    return spread_along(trace_curve(shape), by_id[_join(groups, rest, components, varying)])


def _group(chosen: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """List the positions of the genes of every set, in the order of the sets' names; and of those in none."""
    names = sorted({name for name in chosen if name is not None})
    return [np.flatnonzero(chosen == name) for name in names], np.flatnonzero(pd.isna(chosen))


def _join(
    groups: list[np.ndarray], rest: np.ndarray, components: np.ndarray, varying: np.ndarray
) -> np.ndarray:
    """Join groups to one order of genes, like groups side by side and the rest behind them."""
    means = np.array([components[group].mean(axis=0) for group in groups])
    order = order_by_similarity(means)
    groups = [*(groups[number] for number in order), rest]
    nothing = np.zeros((1, components.shape[1]))
    beside = np.concatenate([nothing, means[order], nothing, nothing])
    ordered = []
    for number, group in enumerate(groups):
        known = group[varying[group]]
        within = order_by_similarity(components[known], beside[number], beside[number + 2])
        ordered += [known[within], group[~varying[group]]]
    return np.concatenate(ordered)
