"""Which side of a matrix has the genes: decided by the labels' samples, and by nothing else.

How ids look decides nothing: samples may be called like genes (1, 2, 3 beside Entrez ids), and a wrong guess
would train on genes as if they were tumours.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from expressionist.errors import CohortError, name_some

GENES_IN = ("columns", "rows", "auto")
# Of the ids on a side, the share that must be labelled where ids of the other side are labelled too; and the
# share of those that may be.
_NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Orientation:
    """Where the genes stand, and why that is believed.

    Parameters
    ----------
    genes_in : str
        ``columns`` or ``rows``.
    reason : str
        For quality.json.
    """

    genes_in: str
    reason: str


def decide_by_labels(
    path: Path, header: Sequence[str], read_first: Callable[[], Sequence[str]], labelled: Collection[str]
) -> Orientation:
    """Decide by which side's ids have labels.

    Parameters
    ----------
    path : pathlib.Path
        The matrix, for messages.
    header : sequence of str
        Ids above the columns.
    read_first : callable
        Reads the ids beside the rows; not called where the header settles it.
    labelled : collection of str
        Samples that have a label.

    Returns
    -------
    Orientation
        The side that is not the samples'.

    Raises
    ------
    CohortError
        If the ids of both sides, or of none, have labels.
    """
    n_above = _count_labelled(header, labelled)
    if n_above >= _NEARLY_ALL * len(header):
        return Orientation("rows", f"{n_above} of {len(header)} ids in the header have labels")
    beside = read_first()
    n_beside = _count_labelled(beside, labelled)
    above, aside = n_above / max(1, len(header)), n_beside / max(1, len(beside))
    if n_beside and (not n_above or (aside >= _NEARLY_ALL and above <= 1 - _NEARLY_ALL)):
        return Orientation("columns", f"{n_beside} of {len(beside)} ids beside the rows have labels")
    if n_above and not n_beside:
        return Orientation("rows", f"{n_above} of {len(header)} ids in the header have labels")
    raise CohortError(
        f"The samples of {path} must be told by their labels, but got labels for {n_above} of {len(header)} "
        f"ids in the header ({name_some(header[:2])}) and {n_beside} of {len(beside)} beside the rows "
        f"({name_some(beside[:2])}). Correct the ids, or state genes_in."
    )


def decide_by_names(path: Path, label_column: str, above: Sequence[str], below: Sequence[str]) -> Orientation:
    """Decide by where the labels stand, if they are in the file itself.

    Parameters
    ----------
    path : pathlib.Path
        The matrix, for messages.
    label_column : str
        Name of the labels.
    above : sequence of str
        Names of what the file says of its rows: the header of a table, the columns of obs.
    below : sequence of str
        Names of what it says of its columns: the columns of var.

    Returns
    -------
    Orientation
        The labelled side has the samples.

    Raises
    ------
    CohortError
        If the labels stand on both sides or on none.
    """
    if (label_column in above) == (label_column in below):
        many = "on both sides" if label_column in above else "on no side"
        raise CohortError(
            f"{path} must have the labels, {label_column!r}, beside its samples, but got them {many}. State "
            "genes_in and label_column, or name a table of labels (`labels`)."
        )
    side = "columns" if label_column in above else "rows"
    return Orientation(side, f"{label_column} stands beside the other side")


def refuse_transposed(
    path: Path,
    genes_in: str,
    genes: Sequence[str],
    read_samples: Callable[[], Sequence[str]],
    labelled: Collection[str],
) -> None:
    """Refuse a stated orientation that the labels contradict.

    Parameters
    ----------
    path : pathlib.Path
        The matrix, for messages.
    genes_in : str
        What was stated.
    genes : sequence of str
        Ids on the side of the genes, if that is right.
    read_samples : callable
        Reads the ids of the other side; not called where no gene has a label.
    labelled : collection of str
        Samples that have a label.

    Raises
    ------
    CohortError
        If genes have labels and samples have none.
    """
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
