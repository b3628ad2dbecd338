"""HGNC's complete set, as genenames.org publishes it, in place of the package's own copy."""

from pathlib import Path

from expressionist.data.nomenclature import Nomenclature
from expressionist.data.readers.text_tables import need_columns, read_texts

# What its columns are called by `Nomenclature`.
_COLUMNS = {
    "symbol": "symbol",
    "prev_symbol": "previous",
    "alias_symbol": "alias",
    "entrez_id": "entrez",
    "ensembl_gene_id": "ensembl",
    "mirbase": "mirbase",
}


def read_nomenclature(path: Path | None) -> Nomenclature | None:
    """Read what genes are called, if a file says it.

    Parameters
    ----------
    path : pathlib.Path or None
        HGNC's complete set, tab-separated, plain or packed; other columns than those needed may be there.

    Returns
    -------
    Nomenclature or None
        None if there is no file: what takes it goes by the package's own copy then.

    Raises
    ------
    CohortError
        If the file cannot be read, or lacks a column.
    """
    if path is None:
        return None
    table = read_texts(path)
    need_columns(path, table.columns, list(_COLUMNS), "Download HGNC's complete set, or leave the file out.")
    return Nomenclature(table[list(_COLUMNS)].rename(columns=_COLUMNS))
