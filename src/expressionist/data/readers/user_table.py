"""The table that a user wants predicted, read as it comes: the model aligns its genes."""

from pathlib import Path

import pandas as pd

from expressionist.errors import CohortError, name_some


def read_user_table(path: Path, genes_in: str) -> pd.DataFrame:
    """Read a table to predict on: samples in rows, genes in columns, text ids in the index.

    Parameters
    ----------
    path : pathlib.Path
        Comma or tab separated, told by its suffix; packed ones too. One that cannot be read is refused.
    genes_in : str
        ``columns`` or ``rows``.
    """
    if genes_in not in ("columns", "rows"):
        raise CohortError(f"--genes-in must be columns or rows, but got {genes_in!r}. Choose one.")
    separator = "," if ".csv" in path.suffixes else "\t"
    try:
        # As a plain column first: an index would turn 01 into 1, and what is called NA into a missing name.
        table = pd.read_csv(path, sep=separator, converters={0: str}, low_memory=False)
        header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise CohortError(
            f"{path} must be a readable table, but got: {reason}. Correct the path or the file."
        ) from error
    twice = header.iloc[0, -len(table.columns) :].loc[lambda names: names.duplicated()]
    if len(twice):
        raise CohortError(
            f"Every column of {path} must have a name of its own, but {name_some(twice)} stand more often. "
            "Drop or rename the repeats."
        )
    # A header that leaves out the first column, as R writes it, has made an index of it already.
    if isinstance(table.index, pd.RangeIndex) and len(table.columns):
        table = table.set_index(table.columns[0])
    table.index = table.index.astype(str)
    return table.T if genes_in == "rows" else table
