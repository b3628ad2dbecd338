"""A user's matrix as samples x genes, whatever its format, and whichever of its sides has the genes.

To train, that side is decided by the labels' samples; to predict, by the model's genes; and by nothing else.
How ids look decides nothing: samples may be called like genes (1, 2, 3 beside Entrez ids), and a wrong guess
would train on genes as if they were tumours.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from expressionist.data.names import refuse_names
from expressionist.data.nomenclature import UNKNOWN, Nomenclature, load_nomenclature
from expressionist.data.quality import count_dropped
from expressionist.data.readers.damage import MISSING_WORDS, is_number
from expressionist.data.readers.file_content import suffix_of
from expressionist.data.readers.formats import TABLE_FORMATS, TableFile, open_table
from expressionist.data.readers.gene_ids import (
    UNNAMED,
    GeneIds,
    are_row_numbers,
    check_ids,
    identify_genes,
    kind_of,
    leave_out,
    list_others,
)
from expressionist.data.readers.row_source import RowSource
from expressionist.data.readers.text_tables import need_columns
from expressionist.errors import CohortError, name_some

if TYPE_CHECKING:
    from expressionist.data.readers.hdf5 import NamedMatrix

GENES_IN = ("columns", "rows", "auto")
# Of the ids on a side, the share that must be labelled where ids of the other side are labelled too; and the
# share of those that may be.
_NEARLY_ALL = 0.9
_STATED = "stated"
REPLICATES = ("refuse", "first", "mean")
# What stands beside a gene's id in files of GDC, cBioPortal, GTEx and featureCounts, and is no sample.
SYMBOL_COLUMNS = (
    "gene_name",
    "symbol",
    "hugo_symbol",
    "gene_symbol",
    "genesymbol",
    "gene_symbols",
    "description",
)
_ENTREZ = ("entrez_gene_id", "entrez", "entrezid", "entrez_id")
_BESIDE_GENES = frozenset(
    (*SYMBOL_COLUMNS, *_ENTREZ, "gene_id", "geneid", "gene_type", "gene_biotype")
    + ("chr", "chromosome", "start", "end", "strand", "length")
)
# What salmon, kallisto and RSEM say of one sample.
_QUANTIFIED = frozenset(("tpm", "fpkm", "numreads", "est_counts", "expected_count"))
_N_PEEKED = 20
# Of the names that are genes of the model, the share that may stand on the other side.
_FEW = 0.5
_ABOUT_GENES = {"symbol": object, "chromosome": object, "start": np.float64}
_Side = tuple[str, str]  # `columns` or `rows`: where the genes stand, and why that is believed


@dataclass(frozen=True)
class Sides:
    """What was stated about the two sides of a matrix.

    `sample_column` has the sample ids where genes are in columns. `text_columns` stand beside the expression
    and are no genes, the labels first; all others must be numbers. `labelled` are the samples that have a
    label in a second table; None if the labels stand beside the expression. `replicates` says what becomes of
    samples that stand more than once, one of `REPLICATES`. `knows`, given to predict, marks the names that
    are genes; what else stands beside samples is then left out. `part` is what of an .h5ad is expression.
    `nomenclature` says what genes are called, if the package's own copy of HGNC's table is not to.
    """

    genes_in: str
    ids: str
    sample_column: str
    text_columns: Sequence[str]
    labelled: Collection[str] | None
    replicates: str = "refuse"
    knows: Callable[[Sequence[str]], np.ndarray] | None = None
    part: str = "X"
    nomenclature: Nomenclature | None = None


@dataclass(frozen=True)
class Matrix:
    """What an expression file holds, before labels are looked at.

    `source` gives float32 of shape (n_samples, n_genes), NaN where a value is missing. `columns`, indexed by
    sample id, have the text that stood beside it. The genes stood in `genes_in`, for a `reason`; `form` says
    how else the file was written, `repeats` what became of samples that stood more than once.
    """

    source: RowSource
    columns: pd.DataFrame
    ids: GeneIds
    genes_in: str
    reason: str
    repeats: dict[str, Any]
    form: str = ""

    @property
    def expression(self) -> np.ndarray:
        """All of it, which `read_matrix` has read already."""
        return self.source.load()


def read_matrix(path: Path, stated: Sides) -> Matrix:
    """Read a matrix of expression as `open_matrix` opens it."""
    matrix = open_matrix(path, stated)
    return replace(matrix, source=RowSource.hold(matrix.source.load()))


def open_matrix(path: Path, stated: Sides) -> Matrix:
    """Open a matrix of expression; samples and genes keep the order of the file.

    It may be a text table, plain or packed, .parquet, .feather, .xlsx, .h5ad, or .h5 as 10x Genomics writes
    it. An .h5ad has its genes in columns if they are its ``var``, and without the sample column its
    ``obs_names`` count; an .h5 says itself which side has the genes. Refused is a file whose orientation
    cannot be told or is not as stated, whose ids are missing, or repeated where they must not be, or whose
    genes are no numbers. Of Parquet with genes in columns, and of an .h5ad that can be sliced, expression is
    read when it is asked for; of other files, now.
    """
    suffix = suffix_of(path)
    if suffix == ".h5ad":
        # Here, as in `_read_10x`: who loads this module to check params must not wait for HDF5.
        from expressionist.data.readers.hdf5 import open_h5ad

        return _read_named(path, open_h5ad(path, stated.part), stated)
    if suffix == ".h5":
        return _read_10x(path, stated)
    if suffix not in TABLE_FORMATS:
        raise CohortError(
            f"The expression must be a file {', '.join(TABLE_FORMATS)} (text also packed: .gz, .zst), .h5ad "
            f"or .h5, but got {path.name}. Convert it."
        )
    file = open_table(path)
    side = _orient_table(file, stated)
    return (_read_columns if side[0] == "columns" else _read_rows)(file, stated, side)


def _orient_table(file: TableFile, stated: Sides) -> _Side:
    if stated.knows is None and stated.genes_in == "rows" and stated.labelled is None:
        raise CohortError(
            f"With genes in rows the labels must stand in a second table, but got only {file.path}. "
            "Name the table in cohort.table.labels."
        )
    if stated.genes_in != "auto":
        return stated.genes_in, _STATED
    if stated.knows is not None:
        return _decide_by_genes(file.path, file.header, _read_ids(file, 0), stated.knows)
    if stated.labelled is None:
        return _decide_by_names(file.path, stated.text_columns[0], file.header, ())
    place, above = _place_samples(file.header, stated), file.header[_count_beside(file, stated) :]
    return _decide_by_labels(file.path, above, lambda: _read_ids(file, place or 0), stated.labelled)


def _decide_by_genes(
    path: Path, above: Sequence[str], beside: Sequence[str], knows: Callable[[Sequence[str]], np.ndarray]
) -> _Side:
    n_above, n_beside = (int(knows(names).sum()) for names in (above, beside))
    fewer, more = sorted((n_above, n_beside))
    if fewer > _FEW * more or not more:
        raise CohortError(
            f"{path} must have genes of the model on one side, but got {n_above} of {len(above)} names in "
            f"the header ({name_some(above[1:3])}) and {n_beside} of {len(beside)} beside the rows "
            f"({name_some(beside[:2])}). Name genes by Entrez or Ensembl id or by symbol."
        )
    if n_above > n_beside:
        return "columns", f"{n_above:,} names in the header are genes"
    return "rows", f"{n_beside:,} names beside the rows are genes"


def _decide_by_labels(
    path: Path, above: Sequence[str], read_beside: Callable[[], Sequence[str]], labelled: Collection[str]
) -> _Side:
    """Decide by which side's ids have labels; those beside the rows are not read if the header settles it."""
    n_above = _count_labelled(above, labelled)
    in_rows = "rows", f"{n_above} of {len(above)} ids in the header have labels"
    if n_above >= _NEARLY_ALL * len(above):
        return in_rows
    beside = read_beside()
    n_beside = _count_labelled(beside, labelled)
    share_above, share_beside = n_above / max(1, len(above)), n_beside / max(1, len(beside))
    if n_beside and (not n_above or (share_beside >= _NEARLY_ALL and share_above <= 1 - _NEARLY_ALL)):
        return "columns", f"{n_beside} of {len(beside)} ids beside the rows have labels"
    if n_above and not n_beside:
        return in_rows
    raise CohortError(
        f"The samples of {path} must be told by their labels, but got labels for {n_above} of {len(above)} "
        f"ids in the header ({name_some(above[:2])}) and {n_beside} of {len(beside)} beside the rows "
        f"({name_some(beside[:2])}). Correct the ids, or state genes_in."
    )


def _decide_by_names(path: Path, label_column: str, rows: Sequence[str], columns: Sequence[str]) -> _Side:
    """Decide by where the labels stand: among what the file says of its rows, or of its columns."""
    if (label_column in rows) == (label_column in columns):
        many = "on both sides" if label_column in rows else "on no side"
        raise CohortError(
            f"{path} must have the labels, {label_column!r}, beside its samples, but got them {many}. State "
            "genes_in and label_column, or name a table of labels (`labels`)."
        )
    return "columns" if label_column in rows else "rows", f"{label_column} stands beside the other side"


def _refuse_transposed(
    path: Path,
    genes_in: str,
    genes: Sequence[str],
    read_samples: Callable[[], Sequence[str]],
    labelled: Collection[str] | None,
) -> None:
    """Refuse a stated side whose ids have labels while those of the other side have none."""
    if labelled is None:
        return
    n = _count_labelled(genes, labelled)
    if n and not _count_labelled(read_samples(), labelled):
        other = "rows" if genes_in == "columns" else "columns"
        raise CohortError(
            f"{path} must have its genes in {genes_in}, as stated, but got labelled samples there "
            f"({n} of {len(genes)}: {name_some(name for name in genes if name in labelled)}). The matrix is "
            f"transposed: state genes_in: {other}."
        )


def _count_labelled(names: Sequence[str], labelled: Collection[str]) -> int:
    return sum(name.strip() in labelled for name in names)


def _read_ids(file: TableFile, position: int) -> list[str]:
    text, _ = file.read(texts=[position], numbers=(), transposed=False)
    return [str(name) for name in text.iloc[:, 0]]


def _place_samples(header: Sequence[str], stated: Sides) -> int | None:
    """Find the column of sample ids: by its name, or as the first one, which labels elsewhere prove."""
    if stated.sample_column in header:
        return list(header).index(stated.sample_column)
    return None if stated.labelled is None else 0


def _read_columns(file: TableFile, stated: Sides, side: _Side) -> Matrix:
    path, header = file.path, file.header
    place = _place_samples(header, stated)
    _refuse_transposed(path, "columns", header[1:], lambda: _read_ids(file, place or 0), stated.labelled)
    mend = "Name them so, state other names, or give a table of labels (`labels`)."
    if place is None and stated.knows is None:
        need_columns(path, header, [stated.sample_column, *stated.text_columns], mend)
    need_columns(path, header, stated.text_columns, mend)
    names = [header[place or 0], *stated.text_columns]
    texts = [header.index(name) for name in dict.fromkeys(names)]
    if stated.knows is None:
        is_gene, reason = ~_find_words(file), "column of words, which is no gene's"
    else:
        is_gene = stated.knows(header) | are_genes(header, stated.nomenclature)
        reason = "column whose name is that of no gene today, nor of the model"
        if is_gene[place or 0]:
            raise CohortError(
                f"{path} must have sample ids in its first column, but got the gene {names[0]}. Add them."
            )
    numbers = [i for i in range(len(header)) if i not in texts and is_gene[i]]
    if not numbers:
        raise CohortError(f"{path} must have columns of genes, but got only {name_some(header)}. Add them.")
    text, source = file.open(texts=texts, numbers=numbers)
    columns = index_samples(text, names[0], path, stated.replicates)
    genes = [header[i] for i in numbers]
    ids = _identify(genes, source, path, stated, lambda n: f"column {numbers[n] + 1}")
    if others := [name for i, name in enumerate(header) if i not in texts and not is_gene[i]]:
        ids = replace(ids, rules=[*ids.rules, count_dropped(reason, others)])
    matrix = Matrix(_take(source, ids), columns, ids, *side, {}, file.describe())
    return join_replicates(matrix, stated, path)


def _find_words(file: TableFile) -> np.ndarray:
    """Mark columns of words, such as a sex, by the first rows; what begins like a number is none."""
    rows = file.peek(_N_PEEKED)
    # Rows and a header that do not fit each other are refused when they are read.
    if any(len(row) != len(file.header) for row in rows):
        return np.zeros(len(file.header), bool)

    def is_words(place: int) -> bool:
        words = [row[place] for row in rows if row[place] not in MISSING_WORDS]
        begin = all(word.strip()[:1].isalpha() for word in words)
        return bool(words) and begin and not any(is_number(word, file.decimal) for word in words)

    return np.array([name != "" and is_words(place) for place, name in enumerate(file.header)], bool)


def _read_rows(file: TableFile, stated: Sides, side: _Side) -> Matrix:
    path, header = file.path, file.header
    n_beside = _count_beside(file, stated)
    if len(header) <= n_beside:
        raise CohortError(f"{path} must have columns of samples, but got only {name_some(header)}. Add them.")
    _refuse_no_samples(path, header, n_beside, stated)
    text, values = file.read(texts=range(n_beside), numbers=range(n_beside, len(header)), transposed=True)
    text.columns = pd.Index([name.lower() for name in header[:n_beside]], dtype=object)
    names = _name_genes(text)
    _refuse_transposed(path, "rows", names, lambda: header[n_beside:], stated.labelled)
    samples = pd.DataFrame({stated.sample_column: header[n_beside:]}, dtype=object)
    columns = index_samples(samples, stated.sample_column, path, stated.replicates)
    source = RowSource.hold(values)
    ids = _identify(names, source, path, stated, lambda n: f"row {n + 2}")
    matrix = Matrix(_take(source, ids), columns, ids, *side, {}, file.describe())
    return join_replicates(matrix, stated, path)


def _refuse_no_samples(path: Path, header: Sequence[str], n_beside: int, stated: Sides) -> None:
    """Refuse a header that is a gene's row, and columns that say several things of one sample."""
    if stated.knows is not None and stated.knows(header[:1])[0]:
        raise CohortError(
            f"{path} must begin with a header that names its samples, but got the row of {header[0]}. "
            "Add one."
        )
    quantified = [name for name in header[n_beside:] if name.lower() in _QUANTIFIED]
    if quantified:
        raise CohortError(
            f"{path} must have a column for each sample, but got what a quantifier says of one sample "
            f"({name_some(quantified)}). Keep one of these columns, and name it like the sample."
        )


def _take(source: RowSource, ids: GeneIds) -> RowSource:
    return source.take(ids.kept) if len(ids.left_out) else source


def _identify(
    names: list[str],
    source: RowSource,
    path: Path,
    stated: Sides,
    name_place: Callable[[int], str],
    symbols: Sequence[str] | None = None,
) -> GeneIds:
    if stated.knows is None:
        known = stated.nomenclature
        return identify_genes(names, path, stated.ids, name_place, symbols, values=source, nomenclature=known)
    # The model finds its own genes among them, and what is none of them may be called anything.
    if symbols is not None and all(name.isdecimal() for name in names):
        nomenclature = stated.nomenclature or load_nomenclature()
        names = list(symbols) if are_row_numbers(names, symbols, nomenclature) else names
    kept, rules = leave_out(names, path, source)
    genes = pd.DataFrame(index=pd.Index([names[place].strip() for place in kept], dtype=object))
    return GeneIds(genes, "any", rules, list_others(kept, names))


def are_genes(names: Sequence[str], nomenclature: Nomenclature | None) -> np.ndarray:
    """Mark names of genes, whether a model knows them or not: a sample's total needs them all."""
    nomenclature = nomenclature or load_nomenclature()
    known = nomenclature.find(names, former=False) != UNKNOWN
    return known | np.array([kind_of(name) in ("ensembl", "mirna", "SYMBOL|ENTREZ") for name in names])


def _count_beside(file: TableFile, stated: Sides) -> int:
    """Count the columns that say something of the genes before the first sample, at least the ids."""
    rows, labelled = file.peek(_N_PEEKED), stated.labelled or ()
    for n, name in enumerate(file.header[1:], start=1):
        if name in labelled or not _is_beside(name, rows, n, file.decimal):
            return n
    return len(file.header)


def _is_beside(name: str, rows: Sequence[Sequence[str]], place: int, decimal: str) -> bool:
    # One number is enough for a sample: the text in it is to be refused, not to be left out.
    cells = [row[place] for row in rows if len(row) > place]
    return name.lower() in _BESIDE_GENES or not any(is_number(cell, decimal) for cell in cells)


def _name_genes(text: pd.DataFrame) -> list[str]:
    """Name the genes of a file by its first column, and by `SYMBOL|ENTREZ` where Entrez ids stand beside."""
    first = text.iloc[:, 0].str.strip()
    for column in SYMBOL_COLUMNS:
        if column in text:
            first = first.mask(first == "", text[column])
    entrez = next((text[column] for column in _ENTREZ if column in text.columns[1:]), None)
    if entrez is not None:
        both = first.mask(first == "", UNNAMED) + "|" + entrez
        first = first.mask(entrez.str.fullmatch(r"\d+") & ~first.str.contains("|", regex=False), both)
    return [str(name) for name in first]


def index_samples(
    text: pd.DataFrame, sample_column: str, path: Path, replicates: str = "refuse"
) -> pd.DataFrame:
    """Make sample ids the index of a table, refusing those that are empty or no names.

    Repeated ones are refused too, unless `replicates` says otherwise. Space around an id is no part of it.
    """
    ids = pd.Index([str(name).strip() for name in text[sample_column]], name="sample_id", dtype=object)
    refuse_names(ids, "sample id", path)
    check_ids(ids if replicates == "refuse" else ids.unique(), "sample", path)
    return text.drop(columns=sample_column).set_axis(ids)


def refuse_disagreement(table: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    """Refuse rows of one sample that differ in some columns of text, those that the table has."""
    for column in (name for name in columns if name in table):
        n_told = table.groupby(level=0)[column].nunique()
        torn = n_told.index[n_told > 1]
        if len(torn):
            raise CohortError(
                f"Rows of one sample in {path} must agree on {column!r}, but got differing ones for "
                f"{name_some(torn)}. Correct the table."
            )


def join_replicates(matrix: Matrix, stated: Sides, path: Path) -> Matrix:
    """Keep the first of samples that stand several times, or their mean, missing where one is missing."""
    ids = matrix.columns.index
    spare = ids.duplicated()
    fate = {"refuse": "refused", "first": "the first kept", "mean": "averaged"}[stated.replicates]
    entry = count_dropped(f"further column or row of a sample, {fate}", ids[spare])
    if not spare.any():
        return replace(matrix, repeats=entry)
    refuse_disagreement(matrix.columns, stated.text_columns, path)
    kept = np.flatnonzero(~spare)
    members = list(kept[:, None])
    if stated.replicates == "mean":
        rows = pd.Series(np.arange(len(ids))).groupby(ids, sort=False)
        members = [places.to_numpy() for _, places in rows]
    return replace(matrix, source=matrix.source.join(members), columns=matrix.columns[~spare], repeats=entry)


def _read_10x(path: Path, stated: Sides) -> Matrix:
    if stated.labelled is None and stated.knows is None:
        raise CohortError(
            f"Beside a 10x matrix the labels must stand in a second table, but got only {path}. "
            "Name the table in cohort.table.labels."
        )
    from expressionist.data.readers.hdf5 import read_10x

    side = "columns", "a 10x matrix says which side has the features"
    return _as_matrix(path, read_10x(path), stated, side)


def _read_named(path: Path, matrix: "NamedMatrix", stated: Sides) -> Matrix:
    side = stated.genes_in, _STATED
    if stated.genes_in == "auto" and stated.knows is not None:
        names = list(matrix.columns.index), list(matrix.rows.index)
        side = _decide_by_genes(path, *names, stated.knows)
    elif stated.genes_in == "auto" and stated.labelled is None:
        about = ([str(name) for name in table.columns] for table in (matrix.rows, matrix.columns))
        side = _decide_by_names(path, stated.text_columns[0], *about)
    elif stated.genes_in == "auto":
        beside = _name_samples(matrix, stated)
        side = _decide_by_labels(path, list(matrix.columns.index), lambda: beside, stated.labelled or ())
    if side[0] == "rows":
        matrix = matrix.transpose()
    samples = _name_samples(matrix, stated)
    _refuse_transposed(path, side[0], list(matrix.columns.index), lambda: samples, stated.labelled)
    return _as_matrix(path, matrix, stated, side)


def _name_samples(matrix: "NamedMatrix", stated: Sides) -> list[str]:
    return [str(name) for name in matrix.rows.get(stated.sample_column, matrix.rows.index)]


def _as_matrix(path: Path, matrix: "NamedMatrix", stated: Sides, side: _Side) -> Matrix:
    samples = matrix.rows.astype(object)
    samples = samples.where(samples.notna(), "").astype(str)
    if stated.knows is not None:
        # To predict, samples go by their own names: a column `sample` may name donors.
        samples = samples.drop(columns=stated.sample_column, errors="ignore")
    if stated.sample_column not in samples:
        samples.insert(0, stated.sample_column, list(matrix.rows.index))
    columns = index_samples(samples, stated.sample_column, path, stated.replicates)
    named = next((name for name in matrix.columns if str(name).lower() in SYMBOL_COLUMNS), None)
    told = None if named is None else list(matrix.columns[named].astype(str))
    names = list(matrix.columns.index)
    ids = _identify(names, matrix.values, path, stated, lambda n: f"place {n + 1} of var", told)
    for name, kind in _ABOUT_GENES.items():
        if name in matrix.columns and matrix.columns[name].notna().all():
            ids.genes[name] = _convert(path, name, matrix.columns[name], kind)[ids.kept]
    source = _take(matrix.values, ids)
    return join_replicates(Matrix(source, columns, ids, *side, {}), stated, path)


def _convert(path: Path, name: str, column: pd.Series, kind: type) -> np.ndarray:
    try:
        return column.astype(kind).to_numpy()
    except ValueError as error:
        raise CohortError(
            f"{path}: var[{name!r}] must hold numbers, but got {error}. Correct or drop that column."
        ) from error
