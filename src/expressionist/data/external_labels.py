"""The labels of another cohort: whose sample has which tumour type, in the words of a model."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from expressionist.data.inspection import choose_columns
from expressionist.data.merged_types import NOTHING_MERGED, Merged, rename_labels
from expressionist.data.names import refuse_names
from expressionist.data.readers.formats import open_table, read_label_table
from expressionist.data.readers.text_tables import NO_TEXT
from expressionist.errors import CohortError, name_some

# Up to the sample type; what follows names vial, portion, analyte and plate, which tables give or leave out.
_BARCODE = re.compile(r"(TCGA-\w{2}-\w{4}-\d{2})\w?(-|$)")

_MOST_RENAMED = 10_000


@dataclass(frozen=True)
class ExternalLabels:
    """What a table of labels says of some samples.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by sample, of those that have a label: ``label``, in the model's words, and ``patient``, empty
        where no column says it.
    columns : mapping of str to str
        Which columns were read: ``sample``, ``label`` and, where there is one, ``patient``.
    n_unlabelled, n_without_expression : int
        Samples without a label, and labels without a sample.
    """

    table: pd.DataFrame
    columns: Mapping[str, str]
    n_unlabelled: int
    n_without_expression: int


def read_external_labels(
    path: Path,
    samples: Sequence[str],
    *,
    sample_column: str | None = None,
    label_column: str | None = None,
    patient_column: str | None = None,
    renamed: Mapping[str, str] | None = None,
    merged: Merged = NOTHING_MERGED,
) -> ExternalLabels:
    """Read the labels of some samples from a table of any format.

    TCGA barcodes of different length are the same sample up to the sample type (15 characters).

    Parameters
    ----------
    path : pathlib.Path
        The table; its other samples are counted.
    samples : sequence of str
        Ids of the samples that have expression.
    sample_column, label_column, patient_column : str, optional
        Names of columns. Without one it is guessed: the samples' by the ids in it, the others' by name.
    renamed : mapping of str to str, optional
        What labels are called by the model, see `read_renaming`.
    merged : mapping of str to sequence of str, optional
        Types that the model knows merged, and the labels that each of them stands for, renamed ones too.

    Raises
    ------
    CohortError
        If a column is not there or cannot be guessed, no sample is in the table, or one has two labels.
    """
    table = read_label_table(path)
    for stated in (sample_column, label_column, patient_column):
        if stated is not None and stated not in table:
            raise CohortError(
                f"{path} must have the column {stated!r}, but got {name_some(table.columns)}. Name "
                "another one."
            )
    ids = pd.Index([_shorten(name) for name in samples])
    n_known = {str(name): _count_known(cells.tolist(), ids) for name, cells in table.items()}
    own = sample_column or max(n_known, key=lambda name: n_known[name])
    guessed, problems = choose_columns(table, own)
    columns: dict[str, str] = {"sample": own, "label": label_column or guessed["label_column"]}
    if problems and label_column is None:
        raise CohortError(
            f"{path} must have a column of tumour types, but none of {name_some(table.columns)} looks so. "
            "Name it by --label-column."
        )
    if patient := patient_column or guessed["patient_column"]:
        columns["patient"] = patient
    found = _read_rows(path, table, columns, renamed or {}, merged)
    known = found.reindex(ids).set_axis(pd.Index(samples, name="sample"))
    labelled = known.dropna()
    if labelled.empty:
        raise CohortError(
            f"Samples must be found in the column {own!r} of {path}, but none of "
            f"{name_some(samples)} is among {name_some(table[own])}. Name "
            "another one by --sample-column."
        )
    n_without = int((~found.index.isin(ids)).sum())
    return ExternalLabels(labelled, columns, len(known) - len(labelled), n_without)


def read_renaming(path: Path, tumour_types: Collection[str]) -> dict[str, str]:
    """Read which labels are called otherwise by a model: two columns, the label and the model's type.

    A first row that is no heading, since it names a type of the model, counts as well.
    """
    file = open_table(path)
    if len(file.header) != 2:
        raise CohortError(
            f"{path} must have two columns, the label and the model's type, but got {len(file.header)}. "
            "Leave out the others."
        )
    # The first row may be all there is, which is no table with a heading.
    rows = [file.header, *file.peek(_MOST_RENAMED)]
    pairs = [(row[0].strip(), row[1].strip()) for row in rows if len(row) == 2]
    if pairs[0][1] not in tumour_types:
        pairs = pairs[1:]
    renamed = dict(pairs)
    twice = [label for label, name in pairs if renamed[label] != name]
    if twice:
        raise CohortError(
            f"Every label in {path} must stand for one type, but {name_some(twice)} stands for several. "
            "Keep one."
        )
    return renamed


def _shorten(name: str) -> str:
    barcode = _BARCODE.match(name)
    return barcode[1] if barcode else name.strip()


def _count_known(cells: Sequence[str], ids: pd.Index) -> int:
    return int(pd.Index([_shorten(cell) for cell in cells]).isin(ids).sum())


def _read_rows(
    path: Path,
    table: pd.DataFrame,
    columns: Mapping[str, str],
    renamed: Mapping[str, str],
    merged: Merged,
) -> pd.DataFrame:
    """Index label and patient by sample; a sample may stand twice with one label, but not with two."""
    ids = [_shorten(cell) for cell in table[columns["sample"]]]
    labels = [cell.strip() for cell in table[columns["label"]]]
    patients = (
        [cell.strip() for cell in table[columns["patient"]]] if "patient" in columns else [""] * len(ids)
    )
    rows = pd.DataFrame({"label": labels, "patient": patients}, index=ids, dtype=object)
    rows = rows[~rows["label"].isin(NO_TEXT) & ~rows.index.isin(NO_TEXT)]
    rows["label"] = rename_labels(rows["label"].map(lambda label: renamed.get(label, label)), merged)
    refuse_names(rows.to_numpy().ravel(), "label and patient", path)
    n_labels = rows.groupby(level=0)["label"].nunique()
    torn = n_labels.index[n_labels > 1]
    if len(torn):
        raise CohortError(
            f"Every sample in {path} must have one label, but {len(torn)} have several: {name_some(torn)}. "
            "Keep one."
        )
    return rows[~rows.index.duplicated()]
