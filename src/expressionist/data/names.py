"""Names: what genes, samples, patients, tumour types and gene sets may be called."""

import re
from collections.abc import Iterable
from pathlib import Path

from expressionist.errors import CohortError

# What a spreadsheet computes on opening a table: with an equals sign anything, with another sign a call or a
# link. Signs count in full width, too. `-`, `-1`, `+/+` and `HLA-A*02:01` are names.
_FORMULA = re.compile(r"[=＝].*|[+＋@＠-].*[(|!].*")


def refuse_names(names: Iterable[object], kind: str, where: Path | str) -> None:
    """Refuse names that steer whoever shows them: a terminal, a page of text or a spreadsheet.

    Those have NUL, tabs, line ends, escape sequences or marks that turn the direction of writing, as damaged
    files have too, or are formulas to a spreadsheet. No other name is refused, and none is altered.

    >>> refuse_names(["-", "-1", "+/+", "HLA-A*02:01", "IGH@", "<b>", "../x", "日本"], "gene", "x.tsv")
    """
    for name in map(str, names):
        if not name.isprintable():
            raise CohortError(
                f"Every {kind} in {where} must be printable text, but got {name!r}. Check how the file was "
                "written."
            )
        if _FORMULA.fullmatch(name):
            raise CohortError(
                f"Every {kind} in {where} must be a name, but got {name!r}, which spreadsheets take for a "
                "formula. Rename it."
            )
