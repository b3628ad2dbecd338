"""Gene ids and symbols, as the file sources share them."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.errors import CohortError, name_some

UNNAMED = "?"
_SYMBOL_AND_ENTREZ = re.compile(r"(.+)\|(\d+)")


def split_gene_names(names: Sequence[str], path: Path) -> pd.DataFrame:
    """Tell ids and symbols of genes apart.

    ``SYMBOL|ENTREZ``, as TCGA writes it, gives the Entrez id as id, because symbols repeat (SLC35E2) or are
    unknown (``?``); any other name, such as that of a miRNA, is id and symbol at once.

    Parameters
    ----------
    names : sequence of str
        Genes as the file names them.
    path : pathlib.Path
        The file, for messages.

    Returns
    -------
    pandas.DataFrame of length n_genes
        Indexed by gene id, with the column ``symbol``.

    Raises
    ------
    CohortError
        If a name is empty or an id stands twice.

    Examples
    --------
    >>> split_gene_names(["TP53|7157", "?|10357", "hsa-let-7a-1"], Path("x.tsv"))["symbol"].to_dict()
    {'7157': 'TP53', '10357': '?', 'hsa-let-7a-1': 'hsa-let-7a-1'}
    """
    matches = [_SYMBOL_AND_ENTREZ.fullmatch(name) for name in names]
    ids = [match[2] if match else name for match, name in zip(matches, names, strict=True)]
    symbols = [match[1] if match else name for match, name in zip(matches, names, strict=True)]
    genes = pd.DataFrame({"symbol": symbols}, index=pd.Index(ids, name="gene", dtype=object), dtype=object)
    check_ids(genes.index, "gene", path)
    return genes


def check_ids(ids: pd.Index, kind: str, path: Path) -> None:
    """Refuse empty and repeated ids of genes or samples.

    Raises
    ------
    CohortError
        If an id is empty or stands twice.
    """
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise CohortError(
            f"Every {kind} in {path} must have an id, but got none for {len(empty)}: "
            f"number {name_some(empty + 1)}. Name or remove them."
        )
    twice = list(dict.fromkeys(ids[ids.duplicated()]))
    if twice:
        raise CohortError(
            f"Every {kind} in {path} must stand once, but got more often: {name_some(twice)}. "
            "Drop or rename the repeats."
        )
