"""Genes by pathway, or whatever sets of genes are given: every set one region of the image."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from expressionist.data import assign_sets
from expressionist.errors import ParamsError
from expressionist.painting.layouts._curve import spread_along, trace_curve
from expressionist.painting.layouts._embedding import part_genes, project_genes
from expressionist.painting.layouts._tree import order_by_similarity
from expressionist.params import key, section


@section
class Options:
    """What ``layout: pathway:`` holds."""

    gene_sets: str | None = key(
        "A GMT file in `cohort.folder`; genes are matched by id or symbol.", default=None
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
    """Place genes so that every set of genes is one compact region, with like sets side by side.

    A treemap along a space-filling curve (Wattenberg 2005, doi:10.1109/INFVIS.2005.1532145). Sets, and genes
    in a set, are ordered by similarity, as in ``coexpression``; a set begins and ends with what is most like
    those beside it. A gene of several sets goes to that with the fewest genes, genes of no set form the last
    region, and constant ones come last in their set. `gene_sets` has ids or symbols by set; without any gene
    among them, they are refused.
    """
    if not isinstance(gene_sets, Mapping):
        raise ParamsError(
            "layout: pathway: gene_sets must name a GMT file in cohort.folder, or map sets to genes, but got "
            f"{gene_sets!r}. Give gene sets or choose another layout method."
        )
    varying, constant = part_genes(expression, genes)
    projected = project_genes(expression, varying, rng)
    components = np.zeros((len(genes), projected.shape[1]))
    components[varying] = projected
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    chosen = assign_sets(genes.iloc[by_id], gene_sets)
    groups = [group.to_numpy() for _, group in pd.Series(by_id).groupby(chosen)]
    return spread_along(trace_curve(shape), _join(groups, by_id[pd.isna(chosen)], components, constant))


def _join(
    groups: list[np.ndarray], rest: np.ndarray, components: np.ndarray, constant: np.ndarray
) -> np.ndarray:
    """Join groups to one order of genes, like groups side by side and the rest behind them."""
    means = np.array([components[group].mean(axis=0) for group in groups])
    order = order_by_similarity(means)
    groups = [*(groups[number] for number in order), rest]
    nothing = np.zeros((1, components.shape[1]))
    beside = np.concatenate([nothing, means[order], nothing, nothing])
    ordered = []
    for number, group in enumerate(groups):
        is_constant = np.isin(group, constant)
        known = group[~is_constant]
        within = order_by_similarity(components[known], beside[number], beside[number + 2])
        ordered += [known[within], group[is_constant]]
    return np.concatenate(ordered)
