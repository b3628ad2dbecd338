"""What a user's files seem to be, what would be refused, and the params that read them."""

import codecs
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.readers.damage import is_number
from expressionist.data.readers.file_content import find_packing, open_bytes, refuse_unreadable, suffix_of
from expressionist.data.readers.formats import TableFile, open_table, read_label_table
from expressionist.data.readers.gene_ids import guess_kind
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.data.readers.matrices import Matrix, Sides, read_matrix
from expressionist.data.readers.units import Spread, guess_unit, measure_spread
from expressionist.data.sources.table import Options, read_files
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


@dataclass(frozen=True)
class Inspection:
    """What was found.

    `facts` are headings with what is to be said under them, in reading order; `problems` what would be
    refused, or must be known first; `folder` and `options` what belongs to ``cohort.folder`` and
    ``cohort.table``, with ``?`` where something could not be guessed.
    """

    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    folder: Path
    options: Options


def inspect_files(path: Path, labels: Path | None, nomenclature: Path | None = None) -> Inspection:
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
    """
    for each in (path, labels, nomenclature):
        if each is not None and not each.is_file():
            raise CohortError(f"{each} must be a file, but got none. Name a file that is there.")
    facts = [("File", describe_file(path))]
    options, problems = _begin_options(path, labels, nomenclature), list[str]()
    try:
        table = None if labels is None else read_label_table(labels)
        guessed, problems = _guess_sides(*_view_sides(path), table)
        options = replace(options, **guessed)
        names = read_nomenclature(nomenclature)
        matrix = read_matrix(path, replace(_state_sides(options, table), nomenclature=names))
        spread = measure_spread(_fill(matrix.expression))
        parts, logarithm = _list_parts(path)
        unit, reason = guess_unit(spread, matrix.ids.kind, logarithm)
        options = replace(options, unit=unit)
        facts += [("Parts", f"{name_some(parts)}; X is read")] if parts else []
        problems += _tell_scaled(spread, parts)
        facts += _describe_matrix(matrix, spread, f"{unit} ({reason})")
        facts += _describe_labels(options, matrix.columns if table is None else table)
        problems = problems or _try(options, path, labels, nomenclature, facts)
    except CohortError as refusal:
        problems = [*problems, str(refusal)]
    return Inspection(tuple(facts), tuple(problems), path.parent, options)


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


def _try(
    options: Options,
    path: Path,
    labels: Path | None,
    nomenclature: Path | None,
    facts: list[tuple[str, str]],
) -> list[str]:
    """Read the cohort as `prepare` would; say what would be dropped, or what would be refused."""
    given = {"expression": path, "labels": labels, "nomenclature": nomenclature}
    files = {option: file for option, file in given.items() if file is not None}
    try:
        cohort, quality = read_files(options, files)
    except CohortError as refusal:
        return [str(refusal)]
    n_samples, n_genes = cohort.expression.shape
    kept = f"{n_samples:,} samples × {n_genes:,} genes, {len(cohort.tumour_types)} tumour types"
    facts.append(("Cohort", kept))
    for part in ("samples", "genes", "values"):
        facts += [("", f"{rule['rule']}: {rule['n']:,}") for rule in quality[part]["rules"] if rule["n"]]
    return []


# --- said


def describe_inspection(found: Inspection) -> list[str]:
    """Return an inspection as lines of text, the last of which can be pasted into params.yaml.

    Plain text: a terminal must not wrap or colour what is meant to be pasted.
    """
    told = [*found.facts, *(("Refused", problem) for problem in found.problems)]
    lines = [f"{heading:<{_WIDTH}}{said}" for heading, said in told]
    lines += ["", "cohort:", "  source: table", f"  folder: {_quote(str(found.folder))}", "  table:"]
    return lines + [f"    {name}: {_quote(value)}" for name, value in asdict(found.options).items()]


def _quote(value: object) -> str:
    """Write a value as YAML; JSON is YAML, but plain words read better without quotes."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


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
    return [
        ("Matrix", f"{n_samples:,} samples × {n_genes:,} genes, genes in {matrix.genes_in}"),
        ("Samples", name_some(matrix.columns.index)),
        ("Genes", f"{name_some(matrix.ids.genes.index)}: ids of kind {matrix.ids.kind}"),
        ("Values", f"{spread.lowest:.6g} to {spread.highest:.6g}, middle {spread.middle:.6g}, {whole}"),
        ("", f"{n_missing:,} missing, {n_zero:,} zero, {n_negative:,} negative"),
        ("Unit", unit),
    ]


def _describe_labels(options: Options, labels: pd.DataFrame) -> list[tuple[str, str]]:
    facts = [("Columns", name_some(name for name in labels.columns if name))]
    if options.label_column in labels:
        counts = labels[options.label_column].value_counts().sort_index()
        types = ", ".join(f"{name} {n:,}" for name, n in counts.items())
        facts.append(("Tumour types", f"{len(counts)} in {options.label_column!r}: {types}"))
    return facts


# --- guessed


def _view_sides(path: Path) -> tuple[list[str], pd.DataFrame]:
    """Look at the ids above a matrix and the text beside its first rows, mostly without its values."""
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
    beside = pd.DataFrame([[row[i] for i in texts] for row in rows], columns=[file.header[i] for i in texts])
    return file.header[1:], beside


def _is_text(file: TableFile, rows: Sequence[Sequence[str]], place: int) -> bool:
    """Say whether a column is none of a gene: by what it holds or, as types may be 0 and 1, by its name."""
    if _LABELS[0].search(file.header[place]) or _PATIENT.search(file.header[place]):
        return True
    return not all(is_number(row[place], file.decimal) for row in rows)


def _guess_sides(
    above: list[str], beside: pd.DataFrame, table: pd.DataFrame | None
) -> tuple[dict[str, Any], list[str]]:
    """Guess where genes, samples and labels are, as options, and say what could not be guessed.

    `table` holds labels that are in a file of their own.
    """
    if table is not None:
        return _guess_from_table(above, beside, table)
    own = beside.loc[:, ~beside.columns.duplicated()].rename(columns=str)
    if len(own.columns) > 1:
        sample_column = str(next((name for name in own if own[name].is_unique), own.columns[0]))
        columns, problems = choose_columns(own, sample_column)
        return {"genes_in": "columns", "sample_column": sample_column, **columns}, problems
    first = list(own.iloc[:, 0]) if len(own.columns) else []
    above_like, beside_like = (_look_like_genes(names) for names in (above, first))
    genes_in = "rows" if beside_like > above_like else "columns"
    problem = (
        "The labels must stand beside the samples or in a second table, but got no text but one column of "
        f"ids ({name_some(first[:3])}). Name the table with --labels; the genes seem to be in {genes_in}."
    )
    return {"genes_in": genes_in, "sample_column": next(iter(own.columns), _UNKNOWN)}, [problem]


def _guess_from_table(
    above: list[str], beside: pd.DataFrame, table: pd.DataFrame
) -> tuple[dict[str, Any], list[str]]:
    """Find the column of the labels, and the side of the matrix, whose ids meet."""
    found: list[tuple[float, str, str, str]] = []
    for column in map(str, table.columns):
        known = set(table[column])
        found.append((_share(above, known), "rows", column, column))
        for own in dict.fromkeys(map(str, beside.columns)):
            ids = beside.iloc[:, list(beside.columns).index(own)].astype(str)
            found.append((_share(list(ids), known), "columns", column, own))
    _, genes_in, sample_column, own = max(found, key=lambda each: each[0])
    columns, problems = choose_columns(table, sample_column)
    if own not in (sample_column, "", "obs_names"):
        problems.append(
            f"The samples must be called the same in both files, but got {own!r} and {sample_column!r}. "
            "Rename one of the columns."
        )
    return {"genes_in": genes_in, "sample_column": sample_column, **columns}, problems


def _share(names: Sequence[str], known: Collection[str]) -> float:
    return sum(name in known for name in names) / max(1, len(names))


def choose_columns(table: pd.DataFrame, sample_column: str) -> tuple[dict[str, Any], list[str]]:
    """Choose the columns of tumour types and patients: by name, then by how many values they have."""
    counts = {str(name): table[name].nunique() for name in table if name != sample_column}
    ranks = {name: next(k for k, names in enumerate(_LABELS) if names.search(name)) for name in counts}
    patients = [name for name in counts if _PATIENT.search(name) and ranks[name]]
    # The first rows of a sorted file hold one type only, so that a sure name counts for more than the values.
    several = [name for name, n in counts.items() if 1 < n <= max(2, len(table) // 2)]
    labels = [name for name in counts if name not in patients and (name in several or not ranks[name])]
    labels.sort(key=lambda name: (ranks[name], name not in several, -counts[name]))
    problem = (
        "A column must have the tumour types, but got none that looks so "
        f"({name_some(table.columns)}). State label_column."
    )
    columns = {"label_column": next(iter(labels), _UNKNOWN), "patient_column": next(iter(patients), None)}
    return columns, [] if labels else [problem]


def _look_like_genes(names: Sequence[str]) -> float:
    kind, strays = guess_kind(names) if names else ("other", [])
    return 0.0 if kind == "other" else 1 - len(strays) / len(names)
