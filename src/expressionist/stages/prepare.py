"""Read the raw files into a checked cohort."""

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.progress import Progress

from expressionist.data import Cohort, find_source, write_cohort
from expressionist.files import write_json, write_whole
from expressionist.params import CohortParams, parse


def run(cohort: CohortParams, *, raw: Path, out: Path) -> None:
    """Write `cohort.h5ad`, `quality.json` with what was kept and dropped, and any `normals.h5ad`."""
    source = find_source(cohort.source)
    options = parse(source.Options, cohort.options, f"params.yaml: cohort: {cohort.source}")
    found, quality = _read(source, options, raw, cohort.merge_types or {})
    normals = source.read_normals(options, raw) if hasattr(source, "read_normals") else None
    with write_whole(out) as partial:
        partial.mkdir()
        write_cohort(partial / "cohort.h5ad", found)
        write_json(partial / "quality.json", quality)
        if normals is not None:
            write_cohort(partial / "normals.h5ad", normals)
    n_samples, n_genes = found.expression.shape
    size = f"{n_samples:,} samples × {n_genes:,} genes, {len(found.tumour_types)} tumour types"
    Console(markup=False).print(f"{found.name}: {size}, {found.unit}")


def _read(
    source: ModuleType, options: object, raw: Path, merged: Mapping[str, Sequence[str]]
) -> tuple[Cohort, dict[str, Any]]:
    """Let a source read, and show how far it is if it tells: those that read many files do."""
    found: tuple[Cohort, dict[str, Any]]
    if "on_progress" not in signature(source.read).parameters:
        found = source.read(options, raw, merged)
        return found
    with Progress() as progress:
        task = progress.add_task("samples", total=None)

        def show(n_read: int, n_files: int) -> None:
            progress.update(task, completed=n_read, total=n_files)

        found = source.read(options, raw, merged, on_progress=show)
    return found
