"""Read the raw files into a checked cohort."""

from pathlib import Path

from rich.console import Console

from expressionist.data import find_source, write_cohort
from expressionist.files import write_json, write_whole
from expressionist.params import CohortParams, parse


def run(cohort: CohortParams, *, raw: Path, out: Path) -> None:
    """Write `cohort.h5ad`, and `quality.json` with what was kept and dropped; `normals.h5ad` where there are.

    Parameters
    ----------
    cohort : CohortParams
        Source and its options.
    raw : pathlib.Path
        Folder of the stage `fetch`.
    out : pathlib.Path
        Folder to write.
    """
    source = find_source(cohort.source)
    options = parse(source.Options, cohort.options, f"params.yaml: cohort: {cohort.source}")
    found, quality = source.read(options, raw)
    normals = source.read_normals(options, raw) if hasattr(source, "read_normals") else None
    with write_whole(out) as partial:
        partial.mkdir()
        write_cohort(partial / "cohort.h5ad", found)
        write_json(partial / "quality.json", quality)
        if normals is not None:
            write_cohort(partial / "normals.h5ad", normals)
    n_samples, n_genes = found.expression.shape
    Console().print(
        f"{found.name}: {n_samples:,} samples × {n_genes:,} genes, {len(found.tumour_types)} tumour types, "
        f"{found.unit}"
    )
