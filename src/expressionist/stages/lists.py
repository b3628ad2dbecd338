"""Bring the lists of genes that params.yaml names into the checkout: those to choose from, and gene sets."""

import shutil
from pathlib import Path

from rich.console import Console

from expressionist.data import name_copy
from expressionist.errors import CohortError
from expressionist.files import find_given, write_whole
from expressionist.params import AttributionParams, CohortParams, ExpressionParams, LayoutParams


def run(
    cohort: CohortParams,
    expression: ExpressionParams,
    layout: LayoutParams,
    attribution: AttributionParams,
    *,
    out: Path,
) -> None:
    """Copy the files from `cohort.folder`, flat, beside a README: DVC warns of empty folders.

    One that is there no more, as in a fresh clone, is taken from `out`, which DVC gives back.
    """
    named = {
        "expression.genes": expression.genes,
        "layout.gene_sets": layout.options.get("gene_sets"),
        "attribution.gene_sets": attribution.gene_sets,
    }
    with write_whole(out) as partial:
        partial.mkdir()
        (partial / "README.md").write_text("The lists of genes and gene sets that params.yaml names.\n")
        for key, file in named.items():
            if isinstance(file, str):
                shutil.copyfile(_find(key, file, Path(cohort.folder), out), partial / name_copy(file))


def _find(key: str, file: str, folder: Path, out: Path) -> Path:
    given, kept = find_given(folder / file), out / name_copy(file)
    if given.is_file():
        return given
    if kept.is_file():
        Console().out(f"{kept} is kept, as {folder} has no {file}.", highlight=False)
        return kept
    raise CohortError(
        f"{key} must name a file in {folder} (cohort.folder), but got {given}, which is not there. Put it "
        "there, or name another."
    )
