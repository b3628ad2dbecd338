"""Pathways: which gene sets stand at the ends of a ranking, and whether they lie together on the image."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform
from scipy.stats import t as students_t

from expressionist.data import match_genes
from expressionist.errors import CohortError, name_some
from expressionist.explain.markers import benjamini_hochberg
from expressionist.painting import Layout

# Painted genes of a set: fewer say little more than a gene does, more are no pathway.
_FEWEST, _MOST = 5, 500
# Standard deviations within which a gene's score counts in full, lest one gene makes a small set. With 3, of
# a hundred rankings by random groups of samples five have a set at q < 0.05; without bounds, fifteen.
_REACH = 3.0
_N_LEADING = 10
_N_DRAWS = 199


def match_sets(gene_sets: Mapping[str, Iterable[str]], genes: pd.DataFrame) -> dict[str, np.ndarray]:
    """Find the painted genes of every gene set that can be tested.

    Parameters
    ----------
    gene_sets : mapping of str to iterable of str
        Set → its genes, by any name that `match_genes` knows.
    genes : pandas.DataFrame of length n_genes
        The painted genes, indexed by id, with ``symbol``.

    Returns
    -------
    dict of str to numpy.ndarray
        Set → positions of its genes, ascending, for sets with 5 to 500 painted genes that are at most half of
        all.

    Raises
    ------
    CohortError
        If there is no such set.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": [f"G{place}" for place in range(12)]}, index=range(100, 112))
    >>> match_sets({"A": ["G3", "G1", "102", "G0", "G4", "G5"], "B": ["G1", "none"]}, genes)
    {'A': array([0, 1, 2, 3, 4, 5])}
    """
    names = list(dict.fromkeys(member for members in gene_sets.values() for member in members))
    row_of = dict(zip(names, match_genes(names, genes).rows.tolist(), strict=True))
    found = {
        name: np.unique([row_of[member] for member in members if row_of[member] >= 0])
        for name, members in gene_sets.items()
    }
    most = min(_MOST, len(genes) // 2)
    kept = {name: places for name, places in found.items() if _FEWEST <= len(places) <= most}
    if not kept:
        raise CohortError(
            f"Some gene set must have {_FEWEST} to {most} of the {len(genes)} painted genes, but got "
            f"{len(found)} sets of which none has; they name {name_some(names)}, and painted are "
            f"{name_some(genes.index)}. Give sets of these genes, or none."
        )
    return kept


def enrich(
    rankings: Mapping[str, np.ndarray],
    tumour_types: Sequence[str],
    genes: pd.DataFrame,
    members: Mapping[str, np.ndarray],
    log2: np.ndarray,
    types: np.ndarray,
) -> pd.DataFrame:
    """Test every gene set for standing at an end of the ranking of every tumour type.

    Competitive and two-sided: the set's mean score is held against that of all other painted genes. Genes
    that go up and down together count for fewer than they are: as in CAMERA (Wu, Smyth 2012,
    doi:10.1093/nar/gks461), the variance of that difference is what it is among samples of one type, and not
    that of independent genes, by which random groups of samples have dozens of significant pathways.

    Parameters
    ----------
    rankings : mapping of str to numpy.ndarray of shape (n_types, n_genes)
        A score per gene by tumour type; types whose scores are not finite are left out.
    tumour_types : sequence of str of length n_types
        Their names.
    genes : pandas.DataFrame of length n_genes
        Its column ``symbol`` names the leading genes.
    members : mapping of str to numpy.ndarray
        Set → positions of its genes, as of `match_sets`.
    log2, types : numpy.ndarray of shape (n_samples, n_genes) and (n_samples,)
        Training samples, and the number of each one's type.

    Returns
    -------
    pandas.DataFrame
        Columns ``tumour_type``, ``ranking``, ``gene_set``, ``n_genes``, ``score`` (standard errors above the
        other genes, negative below), ``p_value``, ``q_value`` (Benjamini and Hochberg over all types and sets
        of a ranking) and ``leading_genes`` (symbols of at most ten that stand furthest on the set's side).
    """
    membership = _tabulate_membership(members, len(genes))
    error, n_free = _measure_error(log2, types, membership)
    symbols, sizes = genes["symbol"].astype(str).to_numpy(), [len(places) for places in members.values()]
    tables = []
    for ranking, values in rankings.items():
        shown = np.flatnonzero(np.isfinite(values).all(axis=1))
        scores = _differ(membership, _bound(values[shown].astype(np.float64))) / error[:, None]
        p_values = 2 * students_t.sf(np.abs(scores), n_free)
        q_values = benjamini_hochberg(p_values.ravel()).reshape(p_values.shape)
        for column, place in enumerate(shown.tolist()):
            facts = {"score": scores, "p_value": p_values, "q_value": q_values}
            about = {"tumour_type": tumour_types[place], "ranking": ranking}
            table = pd.DataFrame({**about, "gene_set": list(members), "n_genes": sizes})
            leading = _name_leading(values[place], scores[:, column], members, symbols)
            tables.append(
                table.assign(**{name: each[:, column] for name, each in facts.items()}, leading_genes=leading)
            )
    return pd.concat(tables, ignore_index=True)


def _tabulate_membership(members: Mapping[str, np.ndarray], n_genes: int) -> csr_array:
    """Give every set a row of zeros and ones, of shape (n_sets, n_genes)."""
    sizes = [len(places) for places in members.values()]
    places = np.concatenate(list(members.values()))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    return csr_array((np.ones(len(places)), places, ends), shape=(len(sizes), n_genes))


def _differ(membership: csr_array, scores: np.ndarray) -> np.ndarray:
    """Return the mean of each set's scores minus that of all others': (n_sets, n) of (n, n_genes)."""
    sizes, sums = membership.sum(axis=1)[:, None], membership @ scores.T
    return sums / sizes - (scores.sum(axis=1) - sums) / (scores.shape[1] - sizes)


def _bound(scores: np.ndarray) -> np.ndarray:
    """Standardise every row, and draw what lies far out in to the bounds."""
    centred = scores - np.median(scores, axis=1, keepdims=True)
    bounded = np.clip(centred, *(sign * _REACH * centred.std(axis=1, keepdims=True) for sign in (-1, 1)))
    spread = bounded.std(axis=1, keepdims=True)
    return bounded / np.where(spread > 0, spread, 1)


def _measure_error(log2: np.ndarray, types: np.ndarray, membership: csr_array) -> tuple[np.ndarray, int]:
    """Measure the standard error of `_differ`, and its degrees of freedom, on samples of one type.

    Scores are thought of as standardised: it is never below that of independent genes.
    """
    groups = [np.flatnonzero(types == number) for number in np.unique(types)]
    spread = np.sqrt(sum(((log2[rows] - log2[rows].mean(axis=0)) ** 2).sum(axis=0) for rows in groups))
    spread = np.where(spread > 0, spread, np.inf)
    # A type at a time, as all residuals would take as much memory as the cohort.
    found = sum(
        (_differ(membership, (log2[rows] - log2[rows].mean(axis=0)) / spread) ** 2).sum(axis=1)
        for rows in groups
    )
    sizes = membership.sum(axis=1)
    independent = 1 / sizes + 1 / (membership.shape[1] - sizes)
    return np.sqrt(np.maximum(found, independent)), max(len(log2) - len(groups), 1)


def _name_leading(
    values: np.ndarray, scores: np.ndarray, members: Mapping[str, np.ndarray], symbols: np.ndarray
) -> list[str]:
    """Name the genes of every set that stand furthest on its side of the ranking's median."""
    centred, named = values - np.median(values), []
    for places, score in zip(members.values(), scores, strict=True):
        ahead = np.sign(score) * centred[places]
        order = np.argsort(-ahead, kind="stable")[:_N_LEADING]
        named.append(", ".join(symbols[places[order[ahead[order] > 0]]]))
    return named


def locate_sets(members: Mapping[str, np.ndarray], layout: Layout, rng: np.random.Generator) -> pd.DataFrame:
    """Tell whether the genes of a set have each other as neighbours on the image more than random genes do.

    Parameters
    ----------
    members : mapping of str to numpy.ndarray
        Set → positions of its genes in the `layout`.
    layout : Layout
        Where they lie.
    rng : numpy.random.Generator
        Draws the sets of random genes, 199 of every size.

    Returns
    -------
    pandas.DataFrame
        Columns ``gene_set``, ``n_genes``; ``nearest``, the distance in pixels from a gene to the nearest
        other one of its set, and ``distance`` to any other one, means over the set, each with that of random
        genes (``random_nearest``, ``random_distance``); ``p_value`` (share of random sets whose genes have
        others as near), ``q_value``, and ``positions`` of the genes, joined by commas.
    """
    points = np.column_stack([layout.row, layout.column]).astype(np.float64)
    drawn = {
        size: np.array([_measure_spread(rng.choice(points, size, replace=False)) for _ in range(_N_DRAWS)])
        for size in sorted({len(places) for places in members.values()})
    }
    found = np.array([_measure_spread(points[places]) for places in members.values()])
    random = np.array([drawn[len(places)].mean(axis=0) for places in members.values()])
    n_near = [
        (drawn[len(places)][:, 0] <= own[0]).sum()
        for places, own in zip(members.values(), found, strict=True)
    ]
    p_values = (1 + np.array(n_near)) / (1 + _N_DRAWS)
    return pd.DataFrame(
        {
            "gene_set": list(members),
            "n_genes": [len(places) for places in members.values()],
            "nearest": found[:, 0],
            "random_nearest": random[:, 0],
            "distance": found[:, 1],
            "random_distance": random[:, 1],
            "p_value": p_values,
            "q_value": benjamini_hochberg(p_values),
            "positions": [",".join(places.astype(str)) for places in members.values()],
        }
    )


def _measure_spread(points: np.ndarray) -> tuple[float, float]:
    """Average the distances from every point to the nearest other one, and to any."""
    distances = squareform(pdist(points))
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1).mean()
    return float(nearest), float(distances[np.isfinite(distances)].mean())
