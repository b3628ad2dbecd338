"""Gene sets, such as pathways: their file, which genes of a table they hold, and which one a gene goes to."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.data.names import refuse_names
from expressionist.errors import CohortError, name_some


def read_gene_sets(path: Path) -> dict[str, list[str]]:
    """Read a GMT file in UTF-8: per line a name, a description and genes, split by tabs.

    Parameters
    ----------
    path : pathlib.Path
        The file; one that is not there, is no GMT file or holds no set is refused.

    Returns
    -------
    dict of str to list of str
        Set → its genes. A name that stands on two lines holds the genes of both.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CohortError(
            f"Gene sets must be a GMT file, but got {path}, which cannot be read: {reason}. Put it there, or "
            "name another."
        ) from error
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, *fields = (field.strip() for field in line.split("\t"))
        members = [member for member in fields[1:] if member]
        if not (name and members):
            raise CohortError(
                f"Every line of {path.name} must hold a set's name, a description and genes, split by tabs, "
                f"but line {number} has {line[:40]!r}. Give a GMT file."
            )
        found.setdefault(name, []).extend(members)
    refuse_names(found, "gene set", path.name)
    if not found:
        raise CohortError(f"{path.name} must hold gene sets, but has none. Give a GMT file.")
    return found


def assign_sets(genes: pd.DataFrame, gene_sets: Mapping[str, Iterable[str]]) -> np.ndarray:
    """Assign every gene to one set: of those that hold it, the one with the fewest genes in the table.

    Of sets of equal size the first in alphabetical order counts; a gene in no set gets None.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id; a set may name a gene by that or by its ``symbol``, where there is this column.
    gene_sets : mapping of str to iterable of str
        Set → its genes.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Name of every gene's set, as objects.

    Raises
    ------
    CohortError
        If no set holds any gene of the table.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["TP53", "MYC", "EGFR"]}, index=["7157", "4609", "1956"])
    >>> assign_sets(genes, {"all": ["TP53", "MYC"], "growth": ["4609"]}).tolist()
    ['all', 'growth', None]
    """
    places: dict[str, set[int]] = {}
    symbols = genes["symbol"] if "symbol" in genes else pd.Series(index=genes.index, dtype=object)
    for place, (gene, symbol) in enumerate(zip(genes.index, symbols, strict=True)):
        for name in [gene] if pd.isna(symbol) else [gene, symbol]:
            places.setdefault(str(name), set()).add(place)
    held = {
        name: {place for member in members for place in places.get(str(member), ())}
        for name, members in gene_sets.items()
    }
    if not any(held.values()):
        members = list(dict.fromkeys(str(member) for group in gene_sets.values() for member in group))
        raise CohortError(
            f"Gene sets must hold painted genes, but got {name_some(members)}, of which none is among the "
            f"{len(genes)}: {name_some(genes.index)}. Name genes by the id or symbol of the gene table."
        )
    chosen = np.full(len(genes), None, dtype=object)
    # The smallest last, so that it stays.
    for name in sorted(held, key=lambda name: (len(held[name]), name), reverse=True):
        chosen[list(held[name])] = name
    return chosen
