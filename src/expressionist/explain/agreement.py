"""How far two networks' rankings of the same genes agree, type by type."""

import pandas as pd

from expressionist.errors import Refusal
from expressionist.explain.rankings import count_shared


def compare_rankings(one: pd.DataFrame, other: pd.DataFrame, *, n_top: int) -> pd.DataFrame:
    """Compare two rankings over the genes that both have.

    Parameters
    ----------
    one, other : pandas.DataFrame of shape (n_types, n_genes)
        Scores; rows are tumour types, columns gene ids. A type that is not ranked is NaN.
    n_top : int
        Genes at the front that are compared; there must be more in common.

    Returns
    -------
    pandas.DataFrame
        ``tumour_type``, ``n_shared`` of the first `n_top` genes, and the rank ``correlation`` over all genes,
        for every type that both rank.

    Raises
    ------
    Refusal
        If the rankings have too few genes, or no type, in common.

    Examples
    --------
    >>> one = pd.DataFrame([[3.0, 2.0, 1.0]], ["UVM"], ["a", "b", "c"])
    >>> other = pd.DataFrame([[9.0, 1.0, 5.0, 7.0]], ["UVM"], ["c", "a", "b", "d"])
    >>> compare_rankings(one, other, n_top=2).values.tolist()
    [['UVM', 1, -1.0]]
    """
    genes = one.columns.intersection(other.columns)
    if len(genes) <= n_top:
        raise Refusal(
            f"Two rankings must have more than {n_top} genes in common, but got {len(genes)}. Compare "
            "versions of one kind of genes."
        )
    one, other = (each.loc[each.notna().all(axis=1), genes] for each in (one, other))
    types = one.index.intersection(other.index, sort=False)
    if not len(types):
        raise Refusal("Two rankings must have a tumour type in common, but got none. Compare other versions.")
    one, other = one.loc[types], other.loc[types]
    shared = count_shared(one.to_numpy(), other.to_numpy(), n_top=n_top)
    correlation = one.rank(axis=1).corrwith(other.rank(axis=1), axis=1)
    return pd.DataFrame(
        {"tumour_type": types, "n_shared": shared.astype(int), "correlation": correlation.to_numpy()}
    )
