"""STAR counts as the GDC publishes them: one file for each sample, all with the same genes in rows."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from expressionist.data.nomenclature import Nomenclature
from expressionist.data.readers.file_content import open_bytes, refuse_unreadable
from expressionist.data.readers.gene_ids import identify_genes
from expressionist.data.readers.text_tables import need_columns
from expressionist.errors import CohortError

SUFFIX = ".rna_seq.augmented_star_gene_counts.tsv"
# What stands in each of the columns.
UNIT_OF = {
    "unstranded": "counts",
    "tpm_unstranded": "TPM",
    "fpkm_unstranded": "FPKM",
    "fpkm_uq_unstranded": "FPKM-UQ",
}
_GENE = ("gene_id", "gene_name", "gene_type")
# Bytes in which comment and header end.
_HEAD = 1 << 12
_BLOCK = 1 << 22
_MEND = f"Give *{SUFFIX} files of the GDC, as they are downloaded."


@dataclass(frozen=True)
class StarRows:
    """What the rows of the files are.

    `names` are the ids of all rows; `places` are the rows of `genes`, which is indexed by Ensembl id without
    version and has ``gene_type`` beside what `identify_genes` says. `rules` are entries for quality.json.
    """

    names: pa.ChunkedArray
    places: np.ndarray
    genes: pd.DataFrame
    rules: list[dict[str, Any]]

    def take(self, chosen: np.ndarray, rule: dict[str, Any]) -> "StarRows":
        """Return the rows of some genes only, by a mask, with the entry of that."""
        return StarRows(self.names, self.places[chosen], self.genes[chosen], [*self.rules, rule])


def read_star_counts(paths: Sequence[Path], column: str) -> tuple[list[str], pd.DataFrame, np.ndarray]:
    """Read files of STAR counts, plain or packed, as samples, genes and values.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        At least one; each is a sample, which is called like the file, without its suffixes.
    column : str
        One of those of `UNIT_OF`, which says the unit.

    Returns
    -------
    samples : list of str
        In the order of the files.
    genes : pandas.DataFrame
        Indexed by Ensembl id without version, with ``symbol``.
    values : numpy.ndarray of shape (n_samples, n_genes)
        float32.

    Raises
    ------
    CohortError
        If a file is none of STAR counts, is damaged, or has other genes than the first one.
    """
    rows = read_star_rows(paths[0])
    return [name_sample(path) for path in paths], rows.genes, read_star_values(paths, column, rows)


def name_sample(path: Path) -> str:
    """Name the sample of a file by what stands before its suffixes."""
    return path.name.removesuffix(".gz").removesuffix(SUFFIX)


def read_star_rows(path: Path, nomenclature: Nomenclature | None = None) -> StarRows:
    """Read which genes stand in which rows of a file, and so in those of all others of its kind."""
    table = _read(path, dict.fromkeys(_GENE, pa.string()))
    names, symbols, kinds = (np.array(table[column].to_pylist(), object) for column in _GENE)
    found = identify_genes(list(names), path, "ensembl", lambda n: f"row {n + 1}", nomenclature=nomenclature)
    genes = found.genes.assign(symbol=symbols[found.kept], gene_type=kinds[found.kept])
    return StarRows(table[_GENE[0]], found.kept, genes, found.rules)


def read_star_values(
    paths: Sequence[Path],
    column: str,
    rows: StarRows,
    on_progress: Callable[[int, int], None] = lambda n_read, n_files: None,
) -> np.ndarray:
    """Read float32 of shape (n_files, n_genes), the samples of a gene side by side in memory.

    `on_progress` is told after each file how many of how many have been read.
    """
    values = np.empty((len(rows.places), len(paths)), np.float32)

    def read_one(place: int) -> None:
        values[:, place] = _read_column(paths[place], column, rows)

    with ThreadPoolExecutor(pa.cpu_count()) as threads:
        try:
            for n_read, _ in enumerate(threads.map(read_one, range(len(paths))), start=1):
                on_progress(n_read, len(paths))
        finally:
            # After a refusal, or Ctrl-C, the files that are left are not read.
            threads.shutdown(cancel_futures=True)
    return values.T


def _read_column(path: Path, column: str, rows: StarRows) -> np.ndarray:
    table = _read(path, {"gene_id": pa.string(), column: pa.float32()})
    if not table["gene_id"].equals(rows.names):
        raise _tell_difference(path, table["gene_id"].to_pylist(), rows.names.to_pylist())
    values: np.ndarray = table[column].to_numpy()[rows.places]
    missing = np.isnan(values)
    if missing.any():
        gene = rows.genes.index[int(missing.argmax())]
        raise CohortError(f"{path} must have a number in {column} for {gene}, but got none. {_MEND}")
    return values


def _tell_difference(path: Path, ids: list[str], expected: list[str]) -> CohortError:
    """Make the refusal of a file whose rows are others than those of the first file."""
    pairs = zip([*ids, "the end"], [*expected, "the end"], strict=False)
    row, (came, first) = next((n, pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    return CohortError(
        f"All files of STAR counts must have the same genes in the same rows, but got {came} for {first} in "
        f"row {row} of {path}. Download the file again, or take those of one GENCODE release only."
    )


def _read(path: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Read some columns below the comment, which names the gene model, and the header."""
    with refuse_unreadable(path), open_bytes(path) as stream:
        content = b"".join(iter(lambda: stream.read(_BLOCK), b""))
    lines = content[:_HEAD].splitlines()
    n_above = next((n for n, line in enumerate(lines) if not line.startswith(b"#")), 0)
    header = lines[n_above].decode(errors="replace").split("\t") if lines else []
    need_columns(path, header, list(types), _MEND)
    try:
        return arrow_csv.read_csv(
            pa.py_buffer(content),
            read_options=arrow_csv.ReadOptions(skip_rows=n_above, use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=arrow_csv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())
        raise CohortError(f"{path} must be a file of STAR counts, but got: {reason}. {_MEND}") from error
