"""Gene names that Excel took for dates and numbers (Ziemann et al. 2016, Genome Biology 17:177)."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from expressionist.errors import CohortError, name_some

# English month names, and the German ones that differ.
_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "mrz": 3,
    "mär": 3,
    "apr": 4,
    "may": 5,
    "mai": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "okt": 10,
    "nov": 11,
    "dec": 12,
    "dez": 12,
}
_MONTH = "|".join(_MONTHS)
_DAY_FIRST = re.compile(rf"(?P<day>\d{{1,2}})[-. ]{{1,2}}(?P<month>{_MONTH})", re.IGNORECASE)
# Two digits: an antibody may be called Oct-4, but Excel writes Oct-04.
_MONTH_FIRST = re.compile(rf"(?P<month>{_MONTH})[-. ](?P<day>\d{{2}})", re.IGNORECASE)
_DATE = re.compile(r"(19|20)\d\d-(?P<month>\d\d)-(?P<day>\d\d)( 00:00:00)?")
_SLASHED = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(\d\d){1,2}")
_FLOAT = re.compile(r"\d(\.\d+)?E\+\d+", re.IGNORECASE)
_GENES = {
    3: "MARCH{0} (now MARCHF{0}) or MARC{0} (MTARC{0})",
    9: "SEPT{0} (now SEPTIN{0})",
    12: "DEC{0} (DELEC{0})",
}
_OTHERS = {2: "FEB{0}", 4: "APR{0}", 10: "OCT{0}", 11: "NOV{0}"}


def name_original(name: str) -> str | None:
    """Say what a mangled gene name probably was; None for a name that Excel has not touched.

    Examples
    --------
    >>> name_original("2-Sep")
    'SEPT2 (now SEPTIN2)'
    >>> name_original("2.31E+19")
    'a RIKEN clone such as 2310009E13'
    >>> name_original("SEPT2"), name_original("Oct-4")
    (None, None)
    """
    if _FLOAT.fullmatch(name):
        return "a RIKEN clone such as 2310009E13"
    for pattern in (_DAY_FIRST, _MONTH_FIRST, _DATE, _SLASHED):
        match = pattern.fullmatch(name)
        if match:
            month = match["month"].lower()
            number = int(month) if month.isdigit() else _MONTHS[month]
            return (_GENES | _OTHERS).get(number, "a name like a month").format(int(match["day"]))
    return None


def refuse_mangled(names: Sequence[str], path: Path, name_place: Callable[[int], str]) -> None:
    """Refuse gene names that went through Excel.

    One is enough: which genes were lost cannot be told from the file, and two genes can become one date.

    Parameters
    ----------
    names : sequence of str
        Gene ids.
    path : pathlib.Path
        The file, for messages.
    name_place : callable
        Says where in the file the n-th gene stands.

    Raises
    ------
    CohortError
        If a name looks like a date or a number in powers of ten.
    """
    mangled = [i for i, name in enumerate(names) if name_original(name)]
    if mangled:
        first = mangled[0]
        raise CohortError(
            f"{path}: gene ids must be names, but got {names[first]!r} in {name_place(first)}, which Excel "
            f"makes of {name_original(names[first])} (such names: {name_some(names[i] for i in mangled)}). "
            "Export the table again without Excel, or with that column as text."
        )
