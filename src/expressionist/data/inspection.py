"""What someone's files seem to be, what would be refused, and the params that read them."""

import codecs
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.nomenclature import Nomenclature
from expressionist.data.readers.damage import is_number
from expressionist.data.readers.file_content import (
    DELIMITERS,
    find_packing,
    open_bytes,
    refuse_unreadable,
    suffix_of,
)
from expressionist.data.readers.formats import TableFile, open_table, read_label_table
from expressionist.data.readers.gene_ids import guess_kind
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.matrices import SYMBOL_COLUMNS, Matrix, Sides, are_genes, read_matrix
from expressionist.data.readers.units import Spread, guess_unit, measure_spread, refuse_negative
from expressionist.data.sources import table as table_source
from expressionist.data.sources import tcga as tcga_source
from expressionist.data.sources.table import Options
from expressionist.data.units import AS_IS_UNIT, parse_unit
from expressionist.errors import CohortError, name_some

_N_SNIFFED = 1 << 20
_LINE_ENDS = {b"\r\n": "Windows line ends", b"\n": "Unix line ends", b"\r": "old Mac line ends"}
_WIDTH = 14
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
# What stands in place of an option that must be stated.
_UNKNOWN = "?"
# Columns of text are told by the first rows, so that a file is not read as text from end to end.
_N_PEEKED = 50
# Names of columns of tumour types, the surer ones first: a `sample_type` tells tumours from normals.
_LABELS = (
    re.compile(r"tumou?r.?type|cancer|disease|diagnos|histolog|^type$|label|class", re.IGNORECASE),
    re.compile(r"tumou?r|type|cohort|study", re.IGNORECASE),
    re.compile(r""),
)
_PATIENT = re.compile(r"patient|donor|participant|individual|subject|^case", re.IGNORECASE)
_ALIQUOT = re.compile(r"TCGA-\w{2}-\w{4}-\d{2}.*")
_NORMAL = r"TCGA-\w{2}-\w{4}-1\d.*"
# Of the names on a side, the share that HGNC must know for the genes to stand there, and of samples that of
# aliquots.
_MANY, _NEARLY_ALL = 0.5, 0.9


@dataclass(frozen=True)
class Inspection:
    """What was found.

    `facts` are headings with what is to be said under them, in reading order; `problems` what would be
    refused as it is, `lacking` what must be stated first; `source` and `options` what belongs to
    ``cohort.source`` and below that name, with ``?`` where something could not be guessed.
    """

    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    lacking: tuple[str, ...]
    source: str
    options: Options | tcga_source.Options


def inspect_files(
    path: Path, labels: Path | None, nomenclature: Path | None = None, *, label_column: str | None = None
) -> Inspection:
    """Look at a matrix of expression and, where there is one, its table of labels.

    The matrix is read twice: to see what its values are, and to try whether it would make a cohort. Only a
    file that is not there is refused; what else is wrong stands in the inspection's `problems`.

    Parameters
    ----------
    path : pathlib.Path
        Any file that the source ``table`` reads.
    labels : pathlib.Path, optional
        The table of labels.
    nomenclature : pathlib.Path, optional
        HGNC's complete set, for the option of that name.
    label_column : str, optional
        Where the tumour types are; guessed if it is not given.
    """
    for each in (path, labels, nomenclature):
        if each is not None and not each.is_file():
            raise CohortError(f"{each} must be a file, but got none. Name a file that is there.")
    facts = [("File", describe_file(path))]
    own, tcga = _begin_options(path, labels, nomenclature), None
    lacking, problems = list[str](), list[str]()
    try:
        table = None if labels is None else read_label_table(labels)
        names = read_nomenclature(nomenclature)
        guessed, lacking, problems = _guess_sides(*_view_sides(path), table, names, label_column)
        own = replace(own, **guessed)
        matrix = read_matrix(path, replace(_state_sides(own, table), nomenclature=names))
        spread = measure_spread(_fill(matrix.expression))
        parts, logarithm = _list_parts(path)
        unit, reason = guess_unit(spread, matrix.ids.kind, logarithm)
        unit, reason = _look_past_correction(unit, reason, matrix, path)
        facts += [("Parts", f"{name_some(parts)}; X is read")] if parts else []
        if told := _tell_scaled(spread, parts):
            lacking, own = [*lacking, *told], replace(own, matrix=_UNKNOWN)
        are_aliquots = _are_aliquots(list(matrix.columns.index))
        if are_aliquots and _fits_tcga(own, matrix, path, table, labels, label_column):
            tcga = _make_tcga(own, unit)
        # Gaps tell types apart as well as zeros in their places would.
        own = replace(own, unit=unit, missing="drop" if np.isnan(matrix.expression).any() else own.missing)
        facts += _describe_matrix(matrix, spread, f"{unit} ({reason})")
        facts += _describe_labels(own, matrix.columns if table is None else table)
        facts += _tell_aliquots(own, fit=tcga is not None) if are_aliquots else []
        problems = problems if tcga else [*problems, *_find_normals(own, matrix, table)]
        if lacking:
            _check_values(own, matrix, path)
        elif not problems:
            facts += _try(tcga or own, path, labels, nomenclature)
    except CohortError as refusal:
        problems = [*problems, str(refusal)]
    source = "table" if tcga is None else "tcga"
    return Inspection(tuple(facts), tuple(problems), tuple(lacking), source, tcga or own)


def _begin_options(path: Path, labels: Path | None, nomenclature: Path | None) -> Options:
    def name(other: Path | None) -> str | None:
        near = other is not None and other.parent == path.parent
        return None if other is None else (other.name if near else str(other.absolute()))

    return Options(
        expression=path.name,
        genes_in="auto",
        ids="auto",
        labels=name(labels),
        sample_column=_UNKNOWN,
        label_column=_UNKNOWN,
        patient_column=None,
        positions=None,
        unit=_UNKNOWN,
        smallest_type=5,
        nomenclature=name(nomenclature),
    )


def _state_sides(options: Options, table: pd.DataFrame | None) -> Sides:
    columns = [options.label_column, options.patient_column or _UNKNOWN]
    beside = [name for name in columns if name != _UNKNOWN] if table is None else []
    # Without labels nothing is read but the matrix, so that its values can be told.
    labelled = frozenset[str]() if table is None else frozenset(table[options.sample_column])
    return Sides(options.genes_in, options.ids, options.sample_column, beside, None if beside else labelled)


def _list_parts(path: Path) -> tuple[tuple[str, ...], str]:
    """List what of an .h5ad may be expression, and name the logarithm that it says was taken of X."""
    if suffix_of(path) != ".h5ad":
        return (), ""
    from expressionist.data.readers.hdf5 import list_parts

    found = list_parts(path)
    return found.names, found.logarithm


def _tell_scaled(spread: Spread, parts: Sequence[str]) -> list[str]:
    others = [part for part in parts if part != "X"]
    if not (spread.scaled and others):
        return []
    return [
        "X must be expression, but got scaled genes (means of 0, standard deviations of 1). State as matrix "
        f"what was not scaled: {name_some(others)}."
    ]


def _fill(expression: np.ndarray) -> np.ndarray:
    """Put the lowest value where there is none, so that the others can be measured."""
    finite = np.isfinite(expression)
    lowest = expression.min(where=finite, initial=np.inf) if finite.any() else 0
    return np.where(finite, expression, np.float32(lowest))


def _are_aliquots(samples: Sequence[str]) -> bool:
    return sum(bool(_ALIQUOT.fullmatch(name)) for name in samples) >= _NEARLY_ALL * len(samples)


def _fits_tcga(
    own: Options,
    matrix: Matrix,
    path: Path,
    table: pd.DataFrame | None,
    labels: Path | None,
    label_column: str | None,
) -> bool:
    """Say whether the source `tcga` reads these files, with what it asks for."""
    if table is None or labels is None or matrix.genes_in != "rows":
        return False
    # That source has no other column of types: one that is stated must not be left aside.
    if label_column not in (None, "cancer_type"):
        return False
    are_texts = {suffix_of(path), suffix_of(labels)} <= {*DELIMITERS}
    return are_texts and own.sample_column == "barcode" and "cancer_type" in table


def _look_past_correction(unit: str, reason: str, matrix: Matrix, path: Path) -> tuple[str, str]:
    """Guess the unit without the few values below 0 that batch correction leaves, which become 0."""
    if unit != AS_IS_UNIT:
        return unit, reason
    spread = measure_spread(np.maximum(_fill(matrix.expression), 0))
    if spread.highest == 0:
        return unit, reason
    linear, why = guess_unit(spread, matrix.ids.kind)
    try:
        refuse_negative(matrix.expression, parse_unit(linear), path)
    except CohortError:
        return unit, reason
    return linear, f"{why}; the few values below 0, as batch correction leaves them, become 0"


def _check_values(own: Options, matrix: Matrix, path: Path) -> None:
    """Refuse what would be wrong with the values whatever is filled in."""
    nobody = pd.Series("", index=matrix.columns.index)
    table_source.settle_expression(own, table_source.settle_gaps(own, matrix, nobody), path)


def _find_normals(own: Options, matrix: Matrix, table: pd.DataFrame | None) -> list[str]:
    """Say which samples are of normal tissue, by their barcodes, and yet have a type that tumours have."""
    labels = matrix.columns if table is None else table.set_index(own.sample_column)
    if own.label_column not in labels:
        return []
    types = labels.loc[labels.index.isin(matrix.columns.index), own.label_column]
    is_normal = types.index.astype(str).str.fullmatch(_NORMAL)
    mixed = types[is_normal & types.isin(types[~is_normal])]
    if mixed.empty:
        return []
    return [
        f"Samples of a tumour type must be tumours, but got {len(mixed)} of normal tissue by their TCGA "
        f"barcodes among {name_some(sorted(set(mixed)))} ({name_some(mixed.index)}): they would be learned "
        "as tumours. Take them out, or give them a type of their own. Or have genes in rows, and call the "
        "labels' columns barcode and cancer_type: source: tcga sets normal tissue apart."
    ]


def _make_tcga(own: Options, unit: str) -> tcga_source.Options:
    """Make the options of the source `tcga`, its rules as shipped."""
    return tcga_source.Options(
        expression=own.expression,
        samples=str(own.labels),
        positions=None,
        unit=unit,
        sample_types=("01", "03"),
        more_sample_types={"SKCM": ["06"]},
        aliquots="first",
        missing="drop",
        unnamed="keep",
        smallest_type=5,
        normal_types=("11",),
        nomenclature=own.nomenclature,
    )


def _tell_aliquots(own: Options, *, fit: bool) -> list[tuple[str, str]]:
    if fit:
        return [("TCGA", "One aliquot of each sample is kept, and normal tissue is set apart.")]
    said = (
        "The samples are TCGA aliquots. Text files with genes in rows, and a samples table with the columns "
        "barcode and cancer_type, are read by source: tcga, which sets normal tissue apart and keeps "
        "one aliquot of a sample."
    )
    alone = " Here patient_column is empty: samples of one patient may get into several subsets."
    return [("TCGA", said + ("" if own.patient_column else alone))]


def _try(
    options: Options | tcga_source.Options, path: Path, labels: Path | None, nomenclature: Path | None
) -> list[tuple[str, str]]:
    """Read the cohort as `prepare` would, and say what would be dropped."""
    given = {"expression": path, "labels": labels, "samples": labels, "nomenclature": nomenclature}
    files = {option: file for option, file in given.items() if file is not None}
    if isinstance(options, Options):
        cohort, quality = table_source.read_files(options, files)
    else:
        cohort, quality = tcga_source.read_files(options, files)
    n_samples, n_genes = cohort.expression.shape
    kept = f"{n_samples:,} samples × {n_genes:,} genes, {len(cohort.tumour_types)} tumour types"
    rules = [rule for part in ("samples", "genes", "values") for rule in quality[part]["rules"] if rule["n"]]
    return [("Cohort", kept), *(("", f"{rule['rule']}: {rule['n']:,}") for rule in rules)]


# --- said


def describe_inspection(found: Inspection) -> list[str]:
    """Return an inspection as lines of text, the last of which can be pasted into params.yaml.

    Plain text: a terminal must not wrap or colour what is meant to be pasted.
    """
    told = [*found.facts, *(("Refused", each) for each in found.problems)]
    told += [("Fill in", each) for each in found.lacking]
    options = asdict(found.options)
    files = [options.get(name) for name in ("expression", "labels", "samples", "nomenclature")]
    near = [file for file in files if file not in (None, _UNKNOWN) and not Path(file).is_absolute()]
    folder = f"  folder: data/incoming  # put {' and '.join(near)} there"
    lines = [f"{heading:<{_WIDTH}}{said}" for heading, said in told]
    lines += ["", "cohort:", f"  source: {found.source}", folder, f"  {found.source}:"]
    return lines + [f"    {_write_option(name, value)}" for name, value in options.items()]


def _write_option(name: str, value: object) -> str:
    """Write an option as YAML, nothing where it is null; JSON is YAML, but plain words read better."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS
    written = value if plain else json.dumps(value, ensure_ascii=False)
    return f"{name}:" if value is None else f"{name}: {written}"


def describe_file(path: Path) -> str:
    """Say what a file is: format, packing, encoding, line ends and size."""
    suffix = suffix_of(path)
    said = [suffix or "no suffix", f"{path.stat().st_size:,} bytes"]
    with refuse_unreadable(path):
        packing = find_packing(path)
        if suffix in (".csv", ".tsv", ".tab", ".txt"):
            with open_bytes(path) as stream:
                start = stream.read(_N_SNIFFED)
            ends = next((name for end, name in _LINE_ENDS.items() if end in start), "no line end")
            mark = " with byte order mark" if start.startswith(codecs.BOM_UTF8) else ""
            said += [f"{_name_encoding(start)}{mark}", ends]
    return ", ".join([*said, packing or "not packed"])


def _name_encoding(start: bytes) -> str:
    try:
        # Not final: the last character may be cut in two.
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "not UTF-8"
    return "ASCII" if start.isascii() else "UTF-8"


def _describe_matrix(matrix: Matrix, spread: Spread, unit: str) -> list[tuple[str, str]]:
    n_samples, n_genes = matrix.expression.shape
    n_missing = int(np.count_nonzero(np.isnan(matrix.expression)))
    n_zero = int(np.count_nonzero(matrix.expression == 0))
    n_negative = int(np.count_nonzero(matrix.expression < 0))
    whole = "whole numbers" if spread.whole else "fractions"
    middle = f"median of what is not 0, in at most 127 samples: {spread.middle:.6g}"
    return [
        ("Matrix", f"{n_samples:,} samples × {n_genes:,} genes, genes in {matrix.genes_in}"),
        ("Samples", name_some(matrix.columns.index)),
        ("Genes", f"{name_some(matrix.ids.genes.index)}: ids of kind {matrix.ids.kind}"),
        ("Values", f"{spread.lowest:.6g} to {spread.highest:.6g}, {whole}; {middle}"),
        ("", f"{n_missing:,} missing, {n_zero:,} zero, {n_negative:,} negative"),
        ("Unit", unit),
    ]


def _describe_labels(options: Options, labels: pd.DataFrame) -> list[tuple[str, str]]:
    columns = [name for name in labels.columns if name]
    facts = [("Columns", name_some(columns))] if columns else []
    if options.label_column in labels:
        counts = labels[options.label_column].value_counts().sort_index()
        types = ", ".join(f"{name} {n:,}" for name, n in counts.items())
        facts.append(("Tumour types", f"{len(counts)} in {options.label_column!r}: {types}"))
    return facts


# --- guessed


def _view_sides(path: Path) -> tuple[list[str], pd.DataFrame]:
    """Look at the ids above a matrix and the text beside its rows, mostly without its values."""
    suffix = suffix_of(path)
    if suffix in (".h5ad", ".h5"):
        from expressionist.data.readers.hdf5 import open_h5ad, read_10x

        matrix = open_h5ad(path, "X") if suffix == ".h5ad" else read_10x(path)
        beside = matrix.rows.astype(str)
        # A name that is no column of obs: the reader takes that for the names of obs themselves.
        beside.insert(0, "obs_names", list(matrix.rows.index), allow_duplicates=True)
        return [str(name) for name in matrix.columns.index], beside
    file = open_table(path)
    rows = [row for row in file.peek(_N_PEEKED) if len(row) == len(file.header)]
    texts = [i for i in range(len(file.header)) if i == 0 or _is_text(file, rows, i)]
    if 1 < len(texts) < len(file.header):
        # Samples may be sorted by type, and the first rows then hold one only.
        return file.header[1:], file.read(texts=texts, numbers=(), transposed=False)[0]
    beside = pd.DataFrame([[row[i] for i in texts] for row in rows], columns=[file.header[i] for i in texts])
    return file.header[1:], beside


def _is_text(file: TableFile, rows: Sequence[Sequence[str]], place: int) -> bool:
    """Say whether a column is none of a gene: by what it holds or, as types may be 0 and 1, by its name."""
    if _LABELS[0].search(file.header[place]) or _PATIENT.search(file.header[place]):
        return True
    return not all(is_number(row[place], file.decimal) for row in rows)


def _guess_sides(
    above: list[str],
    beside: pd.DataFrame,
    table: pd.DataFrame | None,
    names: Nomenclature | None,
    label_column: str | None,
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Guess where genes, samples and labels are, as options; say what they lack, and what is wrong.

    `table` holds labels that are in a file of their own; their column may be stated.
    """
    own = beside.loc[:, ~beside.columns.duplicated()].rename(columns=str)
    first = list(own.iloc[:, 0]) if len(own.columns) else []
    symbols = next((list(own[name]) for name in own if str(name).lower() in SYMBOL_COLUMNS), first)
    # Where all columns are called like one of patients, they are samples.
    is_labelled = 1 < len(own.columns) <= len(above)
    genes_in = _find_genes(above, symbols, names, labelled=is_labelled)
    if table is not None:
        return _guess_from_table(above, beside, table, genes_in, label_column)
    if genes_in == "columns" and len(own.columns) > 1:
        sample_column = str(next((name for name in own if own[name].is_unique), own.columns[0]))
        columns, lacking = choose_columns(own, sample_column, label_column)
        return {"genes_in": "columns", "sample_column": sample_column, **columns}, lacking, []
    where = "in a second table" if genes_in == "rows" else "beside the samples or in a second table"
    lacking = [
        f"A cohort must have labels, {where}, but got none beside {name_some(first[:3])} (genes are in "
        f"{genes_in}). Name the table with --labels. To predict none are needed: `expressionist predict` "
        "reads the file as it is."
    ]
    sample_column = _UNKNOWN if genes_in == "rows" else next(iter(own.columns), _UNKNOWN)
    return {"genes_in": genes_in, "labels": _UNKNOWN, "sample_column": sample_column}, lacking, []


def _find_genes(
    above: Sequence[str], beside: Sequence[str], names: Nomenclature | None, *, labelled: bool
) -> str:
    """Find the side of the genes: by names that HGNC knows, as for a prediction, else by how names look.

    Numbers are Entrez ids only where nothing else tells, since samples may be called 1, 2, 3; and what stands
    beside text is `labelled`.
    """
    sides = above, beside
    known = [float(np.mean(are_genes(side, names))) if side else 0.0 for side in sides]
    words = [
        0.0 if all(map(str.isdecimal, side)) else share for side, share in zip(sides, known, strict=True)
    ]
    if labelled or max(words) >= _MANY:
        return "rows" if words[1] >= max(_MANY, words[0]) else "columns"
    likely = known if max(known) >= _MANY else [_look_like_genes(side) for side in sides]
    return "rows" if likely[1] > likely[0] else "columns"


def _guess_from_table(
    above: list[str], beside: pd.DataFrame, table: pd.DataFrame, genes_in: str, label_column: str | None
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Find the column of the labels, and the side of the matrix, whose ids meet, or else another side."""
    found: list[tuple[float, bool, str, str, str]] = []
    for column in map(str, table.columns):
        known = set(table[column])
        found.append((_share(above, known), genes_in == "rows", "rows", column, column))
        for own in dict.fromkeys(map(str, beside.columns)):
            ids = beside.iloc[:, list(beside.columns).index(own)].astype(str)
            found.append((_share(list(ids), known), genes_in == "columns", "columns", column, own))
    *_, side, sample_column, own = max(found, key=lambda each: each[:2])
    columns, lacking = choose_columns(table, sample_column, label_column)
    problems = [
        f"The first column must have the samples where no column is called {sample_column!r}, as they are in "
        f"the labels, but got them in {own!r}. Rename that column."
    ] * (side == "columns" and own not in (sample_column, *beside.columns[:1]))
    return {"genes_in": side, "sample_column": sample_column, **columns}, lacking, problems


def _share(names: Sequence[str], known: Collection[str]) -> float:
    return sum(name in known for name in names) / max(1, len(names))


def choose_columns(
    table: pd.DataFrame, sample_column: str, label_column: str | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Choose the columns of tumour types, unless it is stated, and patients: by name, then by values."""
    counts = {str(name): table[name].nunique() for name in table if name != sample_column}
    if label_column is not None and label_column not in counts:
        raise CohortError(
            f"The column {label_column!r} must have the tumour types, but got {name_some(counts)}. Name one "
            "of these."
        )
    ranks = {name: next(k for k, names in enumerate(_LABELS) if names.search(name)) for name in counts}
    patients = [name for name in counts if _PATIENT.search(name) and ranks[name]]
    # A sure name counts for more than the values.
    several = [name for name, n in counts.items() if 1 < n <= max(2, len(table) // 2)]
    labels = [name for name in counts if name not in patients and (name in several or not ranks[name])]
    labels.sort(key=lambda name: (ranks[name], name not in several, -counts[name]))
    labels = labels if label_column is None else [label_column]
    problem = (
        "A column must have the tumour types, but got none that looks so "
        f"({name_some(table.columns)}). Name it with --label-column, or state label_column."
    )
    columns = {"label_column": next(iter(labels), _UNKNOWN), "patient_column": next(iter(patients), None)}
    return columns, [] if labels else [problem]


def _look_like_genes(names: Sequence[str]) -> float:
    kind, strays = guess_kind(names) if names else ("other", [])
    return 0.0 if kind == "other" else 1 - len(strays) / len(names)
