"""The file of a cohort: an `.h5ad` whose expression is memory-mapped."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.errors import CohortError
from expressionist.files import write_whole

_N_SAMPLES_AT_ONCE = 256
_TRUTH = ("effect", "effect_kind")


def write_cohort(path: Path, cohort: Cohort) -> None:
    """Write a cohort as `.h5ad`: samples are obs, genes var, its truth varm; what it is stands in uns."""
    import anndata  # late, as it brings Zarr and takes seconds, and most stages read no cohort

    _refuse_nul(cohort.samples)

    data = anndata.AnnData(
        obs=_name_columns(cohort.samples), var=_name_columns(cohort.genes), varm=dict(cohort.truth)
    )
    data.uns["expressionist"] = {"name": cohort.name, "unit": cohort.unit, "synthetic": cohort.synthetic}
    if cohort.merged:
        # As text: a type may be called what HDF5 takes for a path.
        data.uns["expressionist"]["merged"] = json.dumps({name: [*of] for name, of in cohort.merged.items()})
    with write_whole(path) as partial:
        data.write_h5ad(partial)
        with h5py.File(partial, "r+") as file:
            _write_matrix(file, cohort.expression)


def _refuse_nul(table: pd.DataFrame) -> None:
    """Refuse text that HDF5 cannot hold, in columns that are kept as they came."""
    for name, column in table.select_dtypes(object).items():
        if "\0" in f"{name}{''.join(map(str, column))}":
            raise CohortError(
                f"The column {str(name)!r} of the samples must be text, but got a NUL in it. Check how the "
                "file was written."
            )


def _name_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Give every column a name that HDF5 can hold; one without a name, such as an index, is left out."""
    named = table.loc[:, [bool(name) for name in table]]
    # A path of dots and slashes leads elsewhere in the file, and the index has a column of its own.
    reserved = {"_index", table.index.name}
    return named.rename(columns=lambda name: f"{name}_" if name in reserved or not name.strip("./") else name)


def _write_matrix(file: h5py.File, expression: np.ndarray) -> None:
    """Write X some samples at a time: it may lie gene by gene, and turned whole would be in memory twice."""
    if "X" in file:
        del file["X"]
    matrix = file.create_dataset("X", expression.shape, np.float32)
    matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for start in range(0, len(expression), _N_SAMPLES_AT_ONCE):
        matrix[start : start + _N_SAMPLES_AT_ONCE] = expression[start : start + _N_SAMPLES_AT_ONCE]


def read_cohort(path: Path) -> Cohort:
    """Read a cohort that `write_cohort` wrote; its expression stays in the file and is memory-mapped."""
    import anndata

    data = anndata.read_h5ad(path, backed="r")
    data.file.close()
    about = data.uns.get("expressionist")
    if about is None:
        raise CohortError(
            f"{path} must hold a cohort with its unit, but got an .h5ad without uns['expressionist']. "
            "Read it through cohort.source: table."
        )
    # anndata turns repeated text into categories on writing; groupby and comparisons expect plain text.
    samples, genes = (
        table.astype(dict.fromkeys(table.select_dtypes("category").columns, object))
        for table in (data.obs, data.var)
    )
    with h5py.File(path) as file:
        offset = file["X"].id.get_offset()
    # Copy on write: who gets the cohort may change it, the file stays as it is.
    expression = np.asarray(np.memmap(path, np.float32, mode="c", offset=offset, shape=data.shape))
    name, unit, synthetic = str(about["name"]), str(about["unit"]), bool(about["synthetic"])
    truth = {name: data.varm[name] for name in _TRUTH if name in data.varm}
    merged = json.loads(str(about.get("merged", "{}")))
    return Cohort(name, expression, samples, genes, unit, synthetic, truth, merged)
