"""Known and planted marker genes, and whether a ranking of genes finds them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from expressionist.data import read_resource, rename_labels
from expressionist.errors import Refusal, name_some


class Recovery(NamedTuple):
    """How many markers stand among the genes ranked first, and among as many drawn at random."""

    n_top: int
    n_markers: int
    n_found: int
    expected: float
    # Of finding so many or more at random: hypergeometric, upper tail.
    p_value: float


def known_markers() -> pd.DataFrame:
    """Return the packaged table of established markers, a row per tumour type and gene."""
    return read_resource("markers.tsv").astype(str)


def matched_by(genes: pd.DataFrame) -> str:
    """Say how markers are found among the genes of a cohort's table.

    ``planted``: its column ``marker_of`` says which they are. ``entrez``, ``symbol``: gene ids or symbols are
    those of known markers. ``nothing``: no known marker is there (as for miRNAs).

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
    # Ids that are mere row numbers look like Entrez ids. So where symbols are known, half of those of the
    # genes that match by id must be the symbols of the markers (not all: symbols change, ids do not).
    named = hit & (symbols != "?").to_numpy() & (symbols.to_numpy() != ids)
    agree = symbols.to_numpy()[named] == known.reindex(ids[named]).to_numpy()
    if hit.any() and (not named.any() or agree.mean() >= 0.5):
        return "entrez"
    return "symbol" if symbols.isin(known).any() else "nothing"


def match_markers(
    genes: pd.DataFrame, merged: Mapping[str, Sequence[str]] | None = None
) -> dict[str, np.ndarray]:
    """Find the positions of every tumour type's markers among the genes of a cohort's table, ascending.

    The types are all 33 of the known markers (some perhaps without a gene), or those of planted markers.
    Types that are `merged` have the known markers of all that they stand for.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["A", "B", "C"], "marker_of": ["ACC", "", "ACC,UVM"]})
    >>> {name: positions.tolist() for name, positions in match_markers(genes).items()}
    {'ACC': [0, 2], 'UVM': [2]}
    """
    how = matched_by(genes)
    if how == "planted":
        names = _planted(genes).reset_index(drop=True).str.split(",").explode().str.strip()
        planted = names[names != ""]
        return {str(name): rows.index.to_numpy(np.intp) for name, rows in planted.groupby(planted)}
    column = "entrez" if how == "entrez" else "symbol"  # where nothing matches, no symbol does either
    ids = (genes.index.to_series() if how == "entrez" else genes["symbol"]).astype(str)
    known = known_markers()
    every = known.assign(type=rename_labels(known["type"], merged or {})).groupby("type")
    return {str(name): np.flatnonzero(ids.isin(rows[column])) for name, rows in every}


def _planted(genes: pd.DataFrame) -> pd.Series:
    return genes["marker_of"].astype(object).fillna("").astype(str)


def recovery(scores: np.ndarray, markers: np.ndarray, *, n_top: int) -> Recovery:
    """Test whether markers (positions, all distinct) are over-represented among the ranked genes' first.

    Of equal scores, markers are ranked last: a ranking that tells nothing apart finds nothing.
    """
    is_marker = np.isin(np.arange(len(scores)), markers)
    n_top, n_markers = min(n_top, len(scores)), int(is_marker.sum())
    n_found = int(order_hits(scores, is_marker)[:n_top].sum())
    p_value = float(hypergeom.sf(n_found - 1, len(scores), n_markers, n_top))
    return Recovery(n_top, n_markers, n_found, n_top * n_markers / len(scores), p_value)


def order_hits(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Put what is wanted (a mask of genes) into the order of a ranking; of equal scores it stands last."""
    if scores.shape != wanted.shape or not np.isfinite(scores).all():
        raise Refusal(
            f"Genes must be ranked by one finite score each, but got {np.sum(~np.isfinite(scores))} that "
            f"are not, in an array of shape {scores.shape}. Leave out types that no sample has."
        )
    return wanted[np.lexsort((wanted, -scores))]


def recover_own(
    rankings: Mapping[str, np.ndarray],
    types: Mapping[int, str],
    markers: Mapping[str, np.ndarray],
    *,
    n_top: int,
) -> pd.DataFrame:
    """Test every ranking for the markers, if any, of the types that stand in these of its rows.

    Types whose scores are not finite are left out.
    """
    rows = [
        (name, ranking, *recovery(scores[place], markers[name], n_top=n_top))
        for ranking, scores in rankings.items()
        for place, name in types.items()
        if len(markers[name]) and np.isfinite(scores[place]).all()
    ]
    return pd.DataFrame(rows, columns=["tumour_type", "ranking", *Recovery._fields])


def recovery_matrix(
    scores: np.ndarray, types: Sequence[str], markers: Mapping[str, np.ndarray], *, n_top: int
) -> pd.DataFrame:
    """Test the ranking of every type, in rows, for the markers of every type: the others' are its control.

    Types whose scores are not finite are left out; q-values are over all rows with a marker.
    """
    if len(types) != len(scores):
        raise Refusal(
            f"Every row of scores must have a tumour type, but got {len(types)} types ({name_some(types)}) "
            f"for {len(scores)} rows. Name the rows."
        )
    rows = [
        (name, other, *recovery(row, positions, n_top=n_top))
        for name, row in zip(types, scores, strict=True)
        if np.isfinite(row).all()
        for other, positions in markers.items()
    ]
    table = pd.DataFrame(rows, columns=["type", "markers_of", *Recovery._fields])
    tested = table["n_markers"] > 0
    table["q_value"] = np.nan
    table.loc[tested, "q_value"] = benjamini_hochberg(table.loc[tested, "p_value"].to_numpy(dtype=np.float64))
    return table


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values to false discovery rates (Benjamini, Hochberg, JRSS B 57, 1995)."""
    return np.asarray(false_discovery_control(p_values, method="bh")) if len(p_values) else np.zeros(0)
