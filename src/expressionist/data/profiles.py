"""Samples to predict: any file of expression, read for the genes of a model and brought into its unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.data.gene_lengths import find_lengths
from expressionist.data.nomenclature import Nomenclature
from expressionist.data.readers.file_content import DELIMITERS, refuse_changed, suffix_of, watch
from expressionist.data.readers.gene_ids import GeneIds
from expressionist.data.readers.matrices import (
    REPLICATES,
    Matrix,
    Sides,
    index_samples,
    join_replicates,
    open_matrix,
)
from expressionist.data.readers.row_source import RowSource
from expressionist.data.readers.star_counts import SUFFIX, UNIT_OF, read_star_counts
from expressionist.data.readers.text_form import find_form
from expressionist.data.readers.units import (
    check_values,
    measure_spread,
    refuse_contradiction,
    refuse_negative,
    refuse_silent,
)
from expressionist.data.sources.gdc import label_files
from expressionist.data.units import BY_LENGTH, convert, parse_unit
from expressionist.errors import CohortError, name_some

# The column of a file of STAR counts from which a unit is made.
_COLUMN_FOR = {unit: column for column, unit in UNIT_OF.items()} | dict.fromkeys(
    ("RPM", "RSEM"), "unstranded"
)
# What the GDC's cart calls it, with a date behind.
_SHEET = "gdc_sample_sheet*.tsv"


@dataclass(frozen=True)
class Profiles:
    """What there is to predict on, judged as a whole, and read some samples at a time.

    Parameters
    ----------
    samples, genes : pandas.Index
        Sample ids, and the names of genes as the file has them.
    said : str
        What was decided about the file, in one line.
    has_gaps : bool
        Whether values are missing.
    source : RowSource
        Of shape (n_samples, n_genes), in the unit that was wanted, NaN where a value is missing.
    """

    samples: pd.Index
    genes: pd.Index
    said: str
    has_gaps: bool
    source: RowSource

    def read(self, first: int, last: int) -> pd.DataFrame:
        """Read samples from the `first` to before the `last`, float32, genes in columns."""
        values = self.source.read(np.arange(first, min(last, len(self.samples))))
        return pd.DataFrame(values, self.samples[first:last], self.genes)

    @property
    def table(self) -> pd.DataFrame:
        """All samples."""
        return self.read(0, len(self.samples))


def read_profiles(
    path: Path,
    knows: Callable[[Sequence[str]], np.ndarray],
    wanted: str,
    *,
    unit: str | None = None,
    genes_in: str = "auto",
    replicates: str = "first",
    gene_lengths: Path | None = None,
    nomenclature: Nomenclature | None = None,
) -> Profiles:
    """Open samples to predict on: any file that a cohort can be read from, or GDC's STAR counts.

    What is judged is judged of all samples, some at a time, before any are given: sides, names, repeats, and
    values against their unit. Parquet with genes in columns, and an .h5ad that can be sliced, are not in
    memory as a whole.

    Parameters
    ----------
    path : pathlib.Path
        A table either way round, plain or packed, .gct, .parquet, .feather, .xlsx, .h5ad, .h5 of 10x
        Genomics, a file of STAR counts, or a folder of such. Samples of a folder are called as the GDC's
        sample sheet says, ``gdc_sample_sheet*.tsv`` in it or beside it, if there is one; else like the files.
    knows : callable
        Marks which of some names are genes of the model. They tell the side that has the genes.
    wanted : str
        Unit that the model takes.
    unit : str, optional
        Unit of the file; without it what the file says of itself, else the one that is wanted.
    genes_in : str, optional
        ``auto``, ``columns`` or ``rows``.
    replicates : str, optional
        What becomes of samples that stand more than once: ``first``, ``mean`` or ``refuse``.
    gene_lengths : pathlib.Path, optional
        A table of the genes' lengths, by which counts become TPM. Genes without one are left out.
    nomenclature : Nomenclature, optional
        What genes are called; the package's own copy of HGNC's table if not given.

    Raises
    ------
    CohortError
        If the file cannot be read, or has no genes that are known, or its values contradict its unit, or
        cannot be converted into the unit wanted.
    """
    for option, choice, choices in (
        ("genes_in", genes_in, ("auto", "columns", "rows")),
        ("replicates", replicates, REPLICATES),
    ):
        if choice not in choices:
            raise CohortError(
                f"{option} must be one of {', '.join(choices)}, but got {choice!r}. Choose one."
            )
    sides = Sides(genes_in, "other", "sample", (), None, replicates, knows=knows, nomenclature=nomenclature)
    refuse = watch(path)
    if star := _find_star(path):
        matrix, unit = _read_star(path, star, wanted, unit, sides)
    else:
        with refuse_changed(path):
            matrix = open_matrix(path, sides)
    names, source = matrix.ids.genes.index, matrix.source
    unit, why = (unit, "") if unit else _find_unit(path, wanted)
    made = "" if parse_unit(unit) == parse_unit(wanted) else f" converted to {wanted}"
    lengths = None
    if gene_lengths is not None and (parse_unit(unit).of, parse_unit(wanted).of) in BY_LENGTH:
        lengths = find_lengths([str(name) for name in names], gene_lengths, nomenclature)
        has = ~np.isnan(lengths)
        made += f" by the lengths of {has.sum():,} of {has.size:,} genes"
        names, source, lengths = names[has], source.take(np.flatnonzero(has)), lengths[has]
    samples = matrix.columns.index
    floor, has_gaps = _judge(source, unit, wanted, list(samples), list(names), path)

    def settle(values: np.ndarray) -> np.ndarray:
        refuse()
        missing = np.isnan(values) if has_gaps else None
        converted = convert(_fill(values, floor, unit), unit, wanted, lengths=lengths)
        return converted if missing is None else np.where(missing, np.float32("nan"), converted)

    settled = source.change(settle)
    # What cannot become the unit wanted is refused now.
    settled.read(np.arange(1))
    n_samples, n_genes = source.shape
    said = f"{path.name}: {n_samples:,} samples × {n_genes:,} genes, {_tell(matrix)}; in {unit}{why}{made}."
    return Profiles(samples, names, said, has_gaps, settled)


def _tell(matrix: Matrix) -> str:
    said = [f"genes in {matrix.genes_in} ({matrix.reason})", *([matrix.form] if matrix.form else [])]
    if matrix.repeats["n"]:
        said.append(f"{matrix.repeats['rule']}: {matrix.repeats['n']:,}")
    said += [f"{rule['rule']} (left out): {rule['n']:,}" for rule in matrix.ids.rules if rule["n"]]
    return ", ".join(said)


def _find_star(path: Path) -> list[Path]:
    """Find the files of STAR counts in a folder, or whether a file is one; none if it is another table."""
    if path.is_dir():
        found = sorted({*path.rglob(f"*{SUFFIX}"), *path.rglob(f"*{SUFFIX}.gz")})
        if not found:
            raise CohortError(
                f"A folder to predict on must hold files *{SUFFIX}, but {path} has none. Name a file."
            )
        return found
    is_text = path.is_file() and suffix_of(path) in DELIMITERS
    return [path] if is_text and {*UNIT_OF} <= {*find_form(path).header} else []


def _read_star(
    path: Path, files: Sequence[Path], wanted: str, unit: str | None, sides: Sides
) -> tuple[Matrix, str]:
    of = parse_unit(unit or wanted).of
    if of not in _COLUMN_FOR:
        raise CohortError(
            f"Of STAR counts the unit must be stated where the model takes {wanted}, but got {unit}. State "
            f"one of {', '.join(UNIT_OF.values())}."
        )
    column = _COLUMN_FOR[of]
    samples, genes, values = read_star_counts(files, column)
    form = f"column {column}"
    if sheet := _find_sheet(path):
        rows, _ = label_files(files, sheet)
        for place, sample in zip(rows["column"], rows.index, strict=True):
            samples[place] = sample
        form += f", {len(rows):,} of {len(files):,} files named by {sheet.name}"
    ids = GeneIds(genes, "ensembl", [])
    columns = index_samples(pd.DataFrame({"sample": samples}, dtype=object), "sample", path, sides.replicates)
    matrix = Matrix(RowSource.hold(values), columns, ids, "rows", "STAR counts", {}, form)
    return join_replicates(matrix, sides, path), UNIT_OF[column]


def _find_sheet(path: Path) -> Path | None:
    """Find the GDC's sample sheet in a folder or, if there is none, beside it."""
    if not path.is_dir():
        return None
    for folder in (path, path.resolve().parent):
        sheets = sorted(folder.glob(_SHEET))
        if len(sheets) > 1:
            raise CohortError(
                f"One sample sheet must name the files of {path}, but got "
                f"{name_some(sheet.name for sheet in sheets)} in {folder}. Leave the right one only."
            )
        if sheets:
            return sheets[0]
    return None


def _find_unit(path: Path, wanted: str) -> tuple[str, str]:
    if suffix_of(path) == ".h5ad":
        from expressionist.data.readers.hdf5 import list_parts

        parts = list_parts(path)
        if own := parts.unit or (parts.logarithm and f"{parts.logarithm}(x+1)"):
            return own, ", as the file says"
    return wanted, ", as the model takes it"


def _judge(
    source: RowSource, unit: str, wanted: str, samples: list[str], genes: list[str], path: Path
) -> tuple[np.float32, bool]:
    """Check all values of a file against its unit; return the lowest one, and whether some are missing."""
    stated, lowest, has_gaps = parse_unit(unit), np.float32("inf"), False
    for first, values in source.blocks():
        check_values(values, samples[first:], genes, path, missing=True, negative=True)
        lowest = np.fmin(lowest, np.fmin.reduce(values, axis=None))
        has_gaps = has_gaps or bool(np.isnan(values).any())
    if lowest < 0:
        refuse_negative(source, stated, path)
    filled = source.change(partial(_fill, floor=lowest, unit=unit))
    spread = measure_spread(filled)
    refuse_silent(spread.totals == 0, stated, samples, path)
    refuse_contradiction(filled, spread, stated, samples, genes, path, wanted)
    return lowest, has_gaps


def _fill(values: np.ndarray, floor: np.float32, unit: str) -> np.ndarray:
    """Put a file's lowest value where one is missing, and 0 where batch correction left less."""
    filled = np.where(np.isnan(values), floor, values)
    return filled if parse_unit(unit).may_be_negative or floor >= 0 else np.maximum(filled, 0)
