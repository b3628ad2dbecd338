"""A table as it was sent: what pandas would read as something else, or be killed by."""

import csv
import io

from expressionist.errors import RegistryError


def refuse_misread(body: bytes, kind: str, most: int) -> None:
    """Refuse a CSV that pandas reads shifted or renamed, and a Parquet file that unpacks to too much.

    pandas takes cells that the header has no name for as the index, so that all others move to another
    gene, and calls the second of two columns `g1` `g1.1`. `most` is how many cells there may be.
    """
    if kind.startswith("text/csv"):
        _refuse_rows(body)
    elif kind.startswith("application/vnd.apache.parquet"):
        _refuse_large(body, most)


def _refuse_rows(body: bytes) -> None:
    rows = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", errors="replace", newline=""))
    try:
        header, first = (next((row for row in rows if row), []) for _ in range(2))
    except csv.Error as error:
        raise RegistryError(
            "A CSV must be readable, but the first rows of this one are not. Check its quotes."
        ) from error
    n_twice = len(header) - len(set(header))
    if n_twice or (first and len(first) != len(header)):
        raise RegistryError(
            "A CSV must have a name of its own for every cell of a row, but got "
            f"{len(first)} cells below {len(header)} names, of which {n_twice} stand again. Correct its "
            "header."
        )


def _refuse_large(body: bytes, most: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        about = parquet.read_metadata(io.BytesIO(body))
    except (pa.ArrowException, OSError):
        return  # Whoever reads it says so.
    if about.num_rows * about.num_columns > most:
        raise RegistryError(
            f"A Parquet file must have at most {most:,} cells, but got {about.num_rows:,} rows of "
            f"{about.num_columns:,}. Send fewer samples at a time."
        )
