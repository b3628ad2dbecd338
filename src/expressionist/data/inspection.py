"""What a user's files seem to be, what would be refused, and the params that read them."""

import codecs
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.readers.files import find_packing, open_bytes, refuse_unreadable, suffix_of
from expressionist.data.readers.formats import read_label_table
from expressionist.data.readers.guesses import UNKNOWN, SidesGuess, guess_sides, view_sides
from expressionist.data.readers.matrices import Matrix, Sides, read_matrix
from expressionist.data.readers.units import Spread, guess_unit, measure_spread
from expressionist.data.sources.table import Options, read_files
from expressionist.errors import CohortError, name_some

_N_SNIFFED = 1 << 20
_LINE_ENDS = {b"\r\n": "Windows line ends", b"\n": "Unix line ends", b"\r": "old Mac line ends"}
_WIDTH = 14
_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_YAML_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Parameters
    ----------
    facts : tuple of (str, str)
        A heading and what is to be said under it, in reading order.
    problems : tuple of str
        What would be refused, or must be known first.
    folder : pathlib.Path
        For ``cohort.folder``.
    options : Options
        For ``cohort.table``; ``?`` where something could not be guessed.
    """

    facts: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    folder: Path
    options: Options


def inspect_files(path: Path, labels: Path | None) -> Inspection:
    """Look at a matrix of expression and, where there is one, its table of labels.

    The matrix is read twice: to see what its values are, and to try whether it would make a cohort.

    Parameters
    ----------
    path : pathlib.Path
        Any file that the source ``table`` reads.
    labels : pathlib.Path, optional
        The table of labels.

    Returns
    -------
    Inspection
        What was found.

    Raises
    ------
    CohortError
        If a file is not there.
    """
    for each in (path, labels):
        if each is not None and not each.is_file():
            raise CohortError(f"{each} must be a file, but got none. Name a file that is there.")
    facts = [("File", describe_file(path))]
    guess = SidesGuess("auto", UNKNOWN, UNKNOWN, None, ())
    options = _make_options(path, labels, guess, UNKNOWN)
    try:
        table = None if labels is None else read_label_table(labels)
        guess = guess_sides(view_sides(path), table)
        options = _make_options(path, labels, guess, UNKNOWN)
        matrix = read_matrix(path, _state_sides(options, table))
        spread = measure_spread(_fill(matrix.expression))
        unit, reason = guess_unit(spread, matrix.ids.kind)
        options = _make_options(path, labels, guess, unit)
        facts += _describe_matrix(matrix, spread, f"{unit} ({reason})")
        facts += _describe_labels(options, matrix, table)
        problems = list(guess.problems) or _try(options, path, labels, facts)
    except CohortError as refusal:
        problems = [*guess.problems, str(refusal)]
    return Inspection(tuple(facts), tuple(problems), path.parent, options)


def _fill(expression: np.ndarray) -> np.ndarray:
    """Put the lowest value where there is none, so that the others can be measured."""
    finite = np.isfinite(expression)
    lowest = expression.min(where=finite, initial=np.inf) if finite.any() else 0
    return np.where(finite, expression, np.float32(lowest))


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
            mark = " with byte order mark" if start.startswith(b"\xef\xbb\xbf") else ""
            said += [f"{_name_encoding(start)}{mark}", ends]
    return ", ".join([*said, packing or "not packed"])


def _name_encoding(start: bytes) -> str:
    try:
        # Not final: the last character may be cut in two.
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "not UTF-8"
    return "ASCII" if start.isascii() else "UTF-8"


def _make_options(path: Path, labels: Path | None, guess: SidesGuess, unit: str) -> Options:
    near = labels is not None and labels.parent == path.parent
    return Options(
        expression=path.name,
        genes_in=guess.genes_in,
        ids="auto",
        labels=None if labels is None else (labels.name if near else str(labels.absolute())),
        sample_column=guess.sample_column,
        label_column=guess.label_column,
        patient_column=guess.patient_column,
        positions=None,
        unit=unit,
        smallest_type=5,
    )


def _state_sides(options: Options, table: pd.DataFrame | None) -> Sides:
    columns = [name for name in (options.label_column, options.patient_column) if name not in (None, UNKNOWN)]
    # Without labels nothing is read but the matrix, so that its values can be told.
    labelled = frozenset[str]() if table is None else frozenset(table[options.sample_column])
    beside = table is None and bool(columns)
    return Sides(
        options.genes_in,
        options.ids,
        options.sample_column,
        [str(name) for name in columns] if beside else [],
        None if beside else labelled,
    )


def _describe_matrix(matrix: Matrix, spread: Spread, unit: str) -> list[tuple[str, str]]:
    n_samples, n_genes = matrix.expression.shape
    n_missing = int(np.count_nonzero(np.isnan(matrix.expression)))
    n_zero = int(np.count_nonzero(matrix.expression == 0))
    n_negative = int(np.count_nonzero(matrix.expression < 0))
    whole = "whole numbers" if spread.whole else "fractions"
    return [
        ("Matrix", f"{n_samples:,} samples × {n_genes:,} genes, genes in {matrix.orientation.genes_in}"),
        ("Samples", name_some(matrix.columns.index)),
        ("Genes", f"{name_some(matrix.ids.genes.index)}: ids of kind {matrix.ids.kind}"),
        ("Values", f"{spread.lowest:.6g} to {spread.highest:.6g}, middle {spread.middle:.6g}, {whole}"),
        ("", f"{n_missing:,} missing, {n_zero:,} zero, {n_negative:,} negative"),
        ("Unit", unit),
    ]


def _describe_labels(options: Options, matrix: Matrix, table: pd.DataFrame | None) -> list[tuple[str, str]]:
    labels = matrix.columns if table is None else table
    facts = [("Columns", name_some(labels.columns))]
    if options.label_column in labels:
        counts = labels[options.label_column].value_counts().sort_index()
        types = ", ".join(f"{name} {n:,}" for name, n in counts.items())
        facts.append(("Tumour types", f"{len(counts)} in {options.label_column!r}: {types}"))
    return facts


def _try(options: Options, path: Path, labels: Path | None, facts: list[tuple[str, str]]) -> list[str]:
    """Read the cohort as `prepare` would; say what would be dropped, or what would be refused."""
    files = {"expression": path} | ({} if labels is None else {"labels": labels})
    try:
        cohort, quality = read_files(options, files)
    except CohortError as refusal:
        return [str(refusal)]
    n_samples, n_genes = cohort.expression.shape
    kept = f"{n_samples:,} samples × {n_genes:,} genes, {len(cohort.tumour_types)} tumour types"
    facts.append(("Cohort", kept))
    facts += [("", f"{rule['rule']}: {rule['n']:,}") for rule in _list_rules(quality) if rule["n"]]
    return []


def _list_rules(quality: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for part in ("samples", "genes", "values") for rule in quality[part]["rules"]]
