"""A list of genes to train on: its file, and the part of a cohort that it names."""

from pathlib import Path
from typing import Any

import numpy as np

from expressionist.data.cohort import Cohort
from expressionist.data.gene_match import match_genes
from expressionist.errors import CohortError, name_some

_N_EXAMPLES = 5


def keep_listed(cohort: Cohort, file: str | None, folder: Path) -> tuple[Cohort, dict[str, Any]]:
    """Keep the genes that a list names, if there is one.

    Parameters
    ----------
    cohort : Cohort
        With all its genes.
    file : str or None
        The list, text in UTF-8: a name on each line, of any kind that `match_genes` knows. Several names of
        one gene count as one gene. None keeps all genes.
    folder : pathlib.Path
        Where it lies.

    Returns
    -------
    tuple of Cohort and dict
        The genes in the order of the cohort; and, of a list, ``n_listed``, ``n_listed_missing`` (names of no
        gene of the cohort, or of several) and the first few of these as ``listed_missing``.

    Raises
    ------
    CohortError
        If the list cannot be read, is empty, or names no gene of the cohort.
    """
    if file is None:
        return cohort, {}
    names = _read_list(folder / name_copy(file))
    rows = match_genes(names, cohort.genes).rows
    missing = [name for name, row in zip(names, rows, strict=True) if row < 0]
    if len(missing) == len(names):
        raise CohortError(
            f"{file} must name genes of the cohort, but got {name_some(names)}, of which none is among its "
            f"{len(cohort.genes)}: {name_some(cohort.genes.index)}. Name genes by Entrez or Ensembl id or by "
            "symbol."
        )
    about = {"n_listed": len(names), "n_listed_missing": len(missing)}
    kept = cohort.take(genes=np.unique(rows[rows >= 0]))
    return kept, {**about, "listed_missing": missing[:_N_EXAMPLES]}


def name_copy(file: str) -> str:
    """Name the copy of a list that the stage `lists` makes: copies lie flat, wherever the file lies.

    Parameters
    ----------
    file : str
        What params.yaml names, from `cohort.folder`.

    Examples
    --------
    >>> name_copy("my sets/hallmarks.gmt")
    'my sets_hallmarks.gmt'
    """
    return file.replace("/", "_")


def _read_list(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise CohortError(
            f"expression.genes must name a text file in cohort.folder, but got {path}, which cannot be read: "
            f"{reason}. Put it there, or name another."
        ) from error
    names = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not names:
        raise CohortError(f"{path.name} must name genes, one on each line, but has none. Add them.")
    return names
