"""Put a cohort's quality on one page, before anything is learned from it."""

from pathlib import Path

from rich.console import Console

from expressionist.data import read_cohort
from expressionist.files import read_json, write_whole
from expressionist.report import build_quality_page


def run(*, cohort: Path, out: Path) -> None:
    """Write `quality.html`, one page that refers to nothing outside itself."""
    page = build_quality_page(read_cohort(cohort / "cohort.h5ad"), read_json(cohort / "quality.json"))
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "quality.html").write_text(page, encoding="utf-8")
    Console().print(f"Quality: {out / 'quality.html'}")
