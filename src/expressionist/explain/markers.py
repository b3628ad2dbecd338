"""Known and planted marker genes, and whether a ranking of genes finds them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from expressionist.data import read_resource
from expressionist.errors import CohortError, Refusal, name_some


@dataclass(frozen=True)
class Recovery:
    """How many markers stand among the genes ranked first.

    Parameters
    ----------
    n_top : int
        Genes looked at, from the top of the ranking.
    n_markers : int
        Markers among all genes ranked.
    n_found : int
        Markers among the top.
    expected : float
        Markers among as many genes drawn at random.
    p_value : float
        Probability of finding so many or more at random (hypergeometric, upper tail).
    """

    n_top: int
    n_markers: int
    n_found: int
    expected: float
    p_value: float


def known_markers() -> pd.DataFrame:
    """Return the packaged table of established marker genes.

    Returns
    -------
    pandas.DataFrame
        Columns type, symbol, entrez (str), note, verified (yes or no), source, and where they are,
        chromosome and start; a row per tumour type and gene, so a gene that marks several types stands
        several times.

    Examples
    --------
    >>> markers = known_markers()
    >>> markers["type"].nunique()
    33
    >>> markers.loc[markers["symbol"] == "NKX2-1", ["type", "entrez"]].to_dict("records")
    [{'type': 'LUAD', 'entrez': '7080'}, {'type': 'THCA', 'entrez': '7080'}]
    """
    return read_resource("markers.tsv").astype(str)


def matched_by(genes: pd.DataFrame) -> str:
    """Say how the markers of a cohort are found, so that every table of them can say it too.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Gene table of a cohort: gene ids, symbol, and ``marker_of`` where markers were planted.

    Returns
    -------
    str
        ``planted``: the cohort says which genes are markers. ``entrez``: gene ids are Entrez ids of known
        markers. ``symbol``: symbols are those of known markers. ``nothing``: no known marker is among the
        genes (as for miRNAs).

    Notes
    -----
    Ids that are mere row numbers look like Entrez ids. So where symbols are known, half of those of the
    genes that match by id must be the symbols of the markers (not all: symbols change, ids do not).

    Examples
    --------
    >>> matched_by(pd.DataFrame({"symbol": ["NKX2-1", "?"]}, index=["7080", "10357"]))
    'entrez'
    """
    if "marker_of" in genes and _planted(genes).ne("").any():
        return "planted"
    known = known_markers().drop_duplicates("entrez").set_index("entrez")["symbol"]
    ids = genes.index.astype(str)
    symbols = genes["symbol"].astype(str)
    hit = ids.isin(known.index)
    named = hit & (symbols != "?").to_numpy() & (symbols.to_numpy() != ids)
    agree = symbols.to_numpy()[named] == known.reindex(ids[named]).to_numpy()
    if hit.any() and (not named.any() or agree.mean() >= 0.5):
        return "entrez"
    return "symbol" if symbols.isin(known).any() else "nothing"


def match_markers(genes: pd.DataFrame) -> dict[str, np.ndarray]:
    """Find the markers of every tumour type among the genes of a cohort.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Gene table of a cohort: gene ids, symbol, and ``marker_of`` where markers were planted.

    Returns
    -------
    dict of str to numpy.ndarray
        Positions of the markers, ascending, by tumour type in alphabetical order; of all 33 types of the
        known markers (some perhaps without a gene), or of the types for which markers were planted.
        `matched_by` says which way they were found.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["A", "B", "C"], "marker_of": ["ACC", "", "ACC,UVM"]})
    >>> {name: positions.tolist() for name, positions in match_markers(genes).items()}
    {'ACC': [0, 2], 'UVM': [2]}
    """
    how = matched_by(genes)
    if how == "planted":
        return _match_planted(genes)
    column = "entrez" if how == "entrez" else "symbol"  # where nothing matches, no symbol does either
    names = (genes.index.to_series() if how == "entrez" else genes["symbol"]).astype(str)
    every = known_markers().groupby("type")
    return {str(name): np.flatnonzero(names.isin(rows[column])) for name, rows in every}


def fold_change(log2: np.ndarray, types: np.ndarray, *, n_types: int) -> np.ndarray:
    """Return how much higher each type expresses each gene than all other samples together.

    Parameters
    ----------
    log2 : numpy.ndarray of shape (n_samples, n_genes)
        Expression in log2(x+1).
    types : numpy.ndarray of shape (n_samples,)
        Tumour types, numbered from 0.
    n_types : int
        Number of tumour types.

    Returns
    -------
    numpy.ndarray of shape (n_types, n_genes)
        float64 difference of means, in log2; NaN for a type that no sample has, or every sample.

    Examples
    --------
    >>> fold_change(np.array([[3.0, 1.0], [5.0, 1.0], [1.0, 1.0]]), np.array([0, 0, 1]), n_types=2).tolist()
    [[3.0, 0.0], [-3.0, 0.0]]
    """
    if log2.ndim != 2 or len(log2) != len(types):
        raise CohortError(
            f"Expression must be (n_samples, n_genes) with a type per sample, but got {log2.shape} and "
            f"{types.shape}. Give the types of these samples."
        )
    sums = np.stack([log2[types == number].sum(axis=0, dtype=np.float64) for number in range(n_types)])
    n_samples = np.bincount(types, minlength=n_types)[:, None]
    defined = (n_samples > 0) & (n_samples < len(types))
    inside = sums / np.maximum(n_samples, 1)
    outside = (sums.sum(axis=0) - sums) / np.maximum(len(types) - n_samples, 1)
    return np.where(defined, inside - outside, np.nan)


def recovery(scores: np.ndarray, markers: np.ndarray, *, n_top: int) -> Recovery:
    """Test whether markers are over-represented among the genes of highest score.

    The background is the genes that were ranked, not the genome. Of equal scores, markers are ranked last,
    so that a ranking that tells nothing apart finds nothing, whatever the order of the genes.

    Parameters
    ----------
    scores : numpy.ndarray of shape (n_genes,)
        What the genes are ranked by, highest first.
    markers : numpy.ndarray of shape (n_markers,)
        Positions of the markers, all distinct.
    n_top : int
        Genes to look at; all, if there are fewer.

    Returns
    -------
    Recovery
        Counts and hypergeometric p-value.

    Raises
    ------
    Refusal
        If a score is not finite.

    Examples
    --------
    >>> recovery(np.array([0.9, 0.8, 0.1, 0.0]), np.array([0, 1]), n_top=2)
    Recovery(n_top=2, n_markers=2, n_found=2, expected=1.0, p_value=0.16666666666666666)
    """
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise Refusal(
            f"Genes must be ranked by one finite score each, but got {np.sum(~np.isfinite(scores))} that "
            f"are not, in an array of shape {scores.shape}. Leave out types that no sample has."
        )
    is_marker = np.zeros(len(scores), dtype=bool)
    is_marker[markers] = True
    n_top, n_markers = min(n_top, len(scores)), int(is_marker.sum())
    n_found = int(is_marker[np.lexsort((is_marker, -scores))[:n_top]].sum())
    return Recovery(
        n_top=n_top,
        n_markers=n_markers,
        n_found=n_found,
        expected=n_top * n_markers / len(scores),
        p_value=float(hypergeom.sf(n_found - 1, len(scores), n_markers, n_top)),
    )


def recovery_matrix(
    scores: np.ndarray, types: Sequence[str], markers: Mapping[str, np.ndarray], *, n_top: int
) -> pd.DataFrame:
    """Test the ranking of every type for the markers of every type.

    A type's own markers must stand out against those of the others, its negative control; related types share
    some.

    Parameters
    ----------
    scores : numpy.ndarray of shape (n_types, n_genes)
        Scores by which each type ranks the genes; a type whose scores are not finite is left out.
    types : sequence of str
        Tumour type of every row.
    markers : mapping of str to numpy.ndarray
        Positions of the markers of each type, as `match_markers` gives them.
    n_top : int
        Genes to look at.

    Returns
    -------
    pandas.DataFrame
        A row per type and type of markers: columns type, markers_of, n_top, n_markers, n_found, expected,
        p_value, and q_value (Benjamini-Hochberg over all rows with a marker; NaN elsewhere).

    Examples
    --------
    >>> markers = {"ACC": np.array([0]), "UVM": np.array([1])}
    >>> table = recovery_matrix(np.eye(2, 9), ["ACC", "UVM"], markers, n_top=1)
    >>> table.pivot(index="type", columns="markers_of", values="n_found").to_numpy().tolist()
    [[1, 0], [0, 1]]
    """
    if len(types) != len(scores):
        raise Refusal(
            f"Every row of scores must have a tumour type, but got {len(types)} types ({name_some(types)}) "
            f"for {len(scores)} rows. Name the rows."
        )
    rows = [
        {"type": name, "markers_of": other, **asdict(recovery(row, positions, n_top=n_top))}
        for name, row in zip(types, scores, strict=True)
        if np.isfinite(row).all()
        for other, positions in markers.items()
    ]
    columns = ["type", "markers_of", "n_top", "n_markers", "n_found", "expected", "p_value"]
    table = pd.DataFrame(rows, columns=columns)
    tested = table["n_markers"] > 0
    table["q_value"] = np.nan
    table.loc[tested, "q_value"] = benjamini_hochberg(table.loc[tested, "p_value"].to_numpy(dtype=np.float64))
    return table


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values to false discovery rates.

    Parameters
    ----------
    p_values : numpy.ndarray of shape (n_tests,)
        p-values in [0, 1].

    Returns
    -------
    numpy.ndarray of shape (n_tests,)
        The smallest false discovery rate at which each test is called.

    References
    ----------
    Benjamini, Hochberg: Controlling the false discovery rate, Journal of the Royal Statistical Society B 57,
    1995.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    return np.asarray(false_discovery_control(p_values, method="bh")) if len(p_values) else np.zeros(0)


def _match_planted(genes: pd.DataFrame) -> dict[str, np.ndarray]:
    found: dict[str, list[int]] = {}
    for position, names in enumerate(_planted(genes)):
        for name in filter(None, (word.strip() for word in names.split(","))):
            found.setdefault(name, []).append(position)
    return {name: np.array(found[name], dtype=np.intp) for name in sorted(found)}


def _planted(genes: pd.DataFrame) -> pd.Series:
    return genes["marker_of"].astype(object).fillna("").astype(str)
