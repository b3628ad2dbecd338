"""The page: tables and figures of one run → one self-contained HTML page that escapes every name."""

import base64
import hashlib
from importlib import resources

import jinja2

from expressionist.report.content import ReportContent
from expressionist.report.pictures import embed_png
from expressionist.report.tables import lay_out_table


def build_report(content: ReportContent) -> str:
    """Build the report.

    Parameters
    ----------
    content : ReportContent
        What to show. All text in it is escaped.

    Returns
    -------
    str
        An HTML page that refers to nothing outside itself. The same content gives the same page.

    Examples
    --------
    >>> page = build_report(ReportContent("Run of <b>", Part(facts={"unit": "RPM"}), synthetic=True))
    >>> "<b>" in page, "SYNTHETIC" in page
    (False, True)
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals |= {"embed": embed_png, "lay_out": lay_out_table, "digest": _digest_script}
    source = (resources.files(__package__) / "report.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(content=content).strip() + "\n"


def _digest_script(script: str) -> str:
    return base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()
