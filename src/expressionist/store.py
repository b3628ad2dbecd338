"""The only place that knows file formats: what stages hand to each other, written whole or not at all."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from expressionist.cohort import Cohort
from expressionist.disk import explain_full_disk
from expressionist.errors import CohortError
from expressionist.expression import Scale
from expressionist.layout import Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_N_SAMPLES_AT_ONCE = 256


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there once the block has ended without an error.

    Parameters
    ----------
    path : pathlib.Path
        File or folder to write. A folder is created empty at the temporary path by the caller.

    Yields
    ------
    pathlib.Path
        Where to write. It is removed if the block fails; what stood at `path` before is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The last suffix stays last: some writers choose their format by it.
    partial = path.with_name(f".partial-{path.name}")
    _remove(partial)
    try:
        with explain_full_disk(path):
            yield partial
    except BaseException:
        _remove(partial)
        raise
    # A folder cannot replace another in one step: the old one steps aside, so that a kill never leaves
    # neither.
    aside = path.with_name(f".old-{path.name}")
    if path.is_dir():
        _remove(aside)
        path.replace(aside)
    partial.replace(path)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def md5(path: Path) -> str:
    """Return the digest that DVC records for a file or a folder in ``dvc.lock``.

    Parameters
    ----------
    path : pathlib.Path
        File or folder.

    Returns
    -------
    str
        md5 of a file, as 32 hexadecimal digits; of a folder that of a list of its files, and ``.dir``.
    """
    if path.is_dir():
        files = {item.relative_to(path).as_posix(): item for item in path.rglob("*") if item.is_file()}
        listed = json.dumps([{"md5": md5(files[name]), "relpath": name} for name in sorted(files)])
        return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON."""
    with write_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2, default=_to_json) + "\n", encoding="utf-8")


def _to_json(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping from JSON."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_table(path: Path, table: pd.DataFrame, *, index: bool = True) -> None:
    """Write a table as TSV; nine digits give every float32 back exactly."""
    with write_whole(path) as partial:
        table.to_csv(partial, sep="\t", index=index, float_format="%.9g", lineterminator="\n")


def read_table(path: Path, *, index: str | None = None, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read a TSV; only an empty cell is missing, so that a gene or tumour type may be called NA.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    index : str, optional
        Column that becomes the index, read as text.
    text : sequence of str
        Further columns to be read as text, whatever they look like.
    """
    kinds = dict.fromkeys([*text, *([index] if index else [])], str)
    table = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""], dtype=kinds)
    return table.set_index(index) if index else table


def write_cohort(path: Path, cohort: Cohort) -> None:
    """Write a cohort as `.h5ad`: samples are obs, genes are var, and what else it is stands in uns."""
    import anndata  # late, as it brings Zarr and takes seconds, and most stages read no cohort

    data = anndata.AnnData(obs=cohort.samples.copy(), var=cohort.genes.copy())
    data.uns["expressionist"] = {"name": cohort.name, "unit": cohort.unit, "synthetic": cohort.synthetic}
    with write_whole(path) as partial:
        data.write_h5ad(partial)
        with h5py.File(partial, "r+") as file:
            _write_matrix(file, cohort.expression)


def _write_matrix(file: h5py.File, expression: np.ndarray) -> None:
    """Write X some samples at a time: it may lie gene by gene, and turned whole would be in memory twice."""
    if "X" in file:
        del file["X"]
    matrix = file.create_dataset("X", expression.shape, np.float32)
    matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for start in range(0, len(expression), _N_SAMPLES_AT_ONCE):
        matrix[start : start + _N_SAMPLES_AT_ONCE] = expression[start : start + _N_SAMPLES_AT_ONCE]


def read_cohort(path: Path) -> Cohort:
    """Read a cohort that `write_cohort` wrote; its expression stays in the file and is memory-mapped.

    Raises
    ------
    CohortError
        If the file is no cohort of this package.
    """
    import anndata

    data = anndata.read_h5ad(path, backed="r")
    data.file.close()
    about = data.uns.get("expressionist")
    if about is None:
        raise CohortError(
            f"{path} must hold a cohort with its unit, but got an .h5ad without uns['expressionist']. "
            "Read it through cohort.source: table."
        )
    samples, genes = (_plain(table) for table in (data.obs, data.var))
    return Cohort(
        name=str(about["name"]),
        expression=_map_matrix(path, data.shape),
        samples=samples,
        genes=genes,
        unit=str(about["unit"]),
        synthetic=bool(about["synthetic"]),
    )


def _map_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    with h5py.File(path) as file:
        offset = file["X"].id.get_offset()
    # Copy on write: who gets the cohort may change it, the file stays as it is.
    return np.asarray(np.memmap(path, np.float32, mode="c", offset=offset, shape=shape))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    # anndata turns repeated text into categories on writing; groupby and comparisons expect plain text.
    categories = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(categories, object))


def write_split(path: Path, cohort: Cohort, split: pd.Series) -> None:
    """Write which side every sample stands on: columns sample, patient, tumour_type, split."""
    table = cohort.samples[["patient", "tumour_type"]].assign(split=split).rename_axis("sample")
    write_table(path, table)


def read_split(path: Path) -> pd.DataFrame:
    """Read what `write_split` wrote, indexed by sample."""
    return read_table(path, index="sample")


def write_layout(
    folder: Path, layout: Layout, scale: Scale, genes: pd.DataFrame, about: Mapping[str, Any]
) -> None:
    """Write everything that was fitted on training rows before painting: `genes.tsv` and `layout.json`.

    Parameters
    ----------
    folder : pathlib.Path
        Where to write; replaced as a whole.
    layout : Layout
        Gene → pixel.
    scale : Scale
        Per gene, in the order of the layout.
    genes : pandas.DataFrame of length n_genes
        The cohort's gene table for these genes, in the order of the layout.
    about : mapping
        What else to keep, such as the unit of the expression.
    """
    table = genes.assign(
        low=scale.low, span=scale.span, pixel=layout.pixel, row=layout.row, column=layout.column
    )
    with write_whole(folder) as partial:
        partial.mkdir()
        write_table(partial / "genes.tsv", table.rename_axis("gene"))
        write_json(partial / "layout.json", {"method": layout.method, "shape": layout.shape, **about})


def read_layout(folder: Path) -> tuple[Layout, Scale, pd.DataFrame, dict[str, Any]]:
    """Read what `write_layout` wrote: layout, scale, gene table and the rest."""
    # Chromosomes are names, also where only numbered ones occur.
    genes = read_table(folder / "genes.tsv", index="gene", text=("symbol", "chromosome"))
    about = read_json(folder / "layout.json")
    layout = Layout(
        genes=genes.index.to_numpy(dtype=str),
        pixel=genes["pixel"].to_numpy(np.intp),
        shape=(about["shape"][0], about["shape"][1]),
        method=about["method"],
    )
    scale = Scale(low=genes["low"].to_numpy(np.float32), span=genes["span"].to_numpy(np.float32))
    return layout, scale, genes, about


def write_array(path: Path, blocks: Iterator[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write blocks of rows, one after the other, as one float32 `.npy` that can be memory-mapped.

    Memory does not grow with the number of rows. They are written as a stream: a memory map would keep every
    page written in memory, and a full disk would kill the process where a stream raises an error.

    Parameters
    ----------
    path : pathlib.Path
        The `.npy` file.
    blocks : iterator of numpy.ndarray
        Arrays of shape (n_rows, ...), together `shape`.
    shape : tuple of int
        Shape of the whole.

    Raises
    ------
    ValueError
        If the blocks do not add up to `shape`.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with write_whole(path) as partial, partial.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        n_rows = 0
        for block in blocks:
            if block.shape[1:] != shape[1:]:
                raise ValueError(f"A block of {shape[1:]} per row was announced, but got {block.shape[1:]}.")
            np.asarray(block, "<f4").tofile(stream)
            n_rows += len(block)
        if n_rows != shape[0]:
            raise ValueError(f"{shape[0]} rows were announced, but got {n_rows}.")


def read_array(path: Path) -> np.ndarray:
    """Open an `.npy` memory-mapped, read-only."""
    return np.load(path, mmap_mode="r")


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as one compressed `.npz`."""
    with write_whole(path) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]  # names are not options


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote."""
    with np.load(path) as content:
        return {name: content[name] for name in content.files}


def write_figure(path: Path, figure: "Figure") -> None:
    """Write a figure as PNG."""
    with write_whole(path) as partial:
        figure.savefig(partial, format="png", dpi="figure", metadata={"Software": None})


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Write predictions, indexed by sample: split, tumour_type, predicted, then a probability per type."""
    write_table(path, predictions.rename_axis("sample"))


def tabulate_predictions(
    rows: pd.DataFrame, probabilities: np.ndarray, tumour_types: list[str]
) -> pd.DataFrame:
    """Put rows of the split table and their probabilities into the form that is written.

    Parameters
    ----------
    rows : pandas.DataFrame of length n_samples
        Rows of the split table, indexed by sample.
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1.
    tumour_types : list of str
        Names of the columns.
    """
    predicted = np.asarray(tumour_types)[probabilities.argmax(axis=1)]
    table = rows[["patient", "split", "tumour_type"]].assign(predicted=predicted)
    return pd.concat([table, pd.DataFrame(probabilities, index=rows.index, columns=tumour_types)], axis=1)


def read_predictions(path: Path, split: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]:
    """Read the predictions of one side of the split.

    Returns
    -------
    rows : pandas.DataFrame of length n_samples
        Indexed by sample: patient, split, tumour_type, predicted.
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1.
    truth : numpy.ndarray of shape (n_samples,)
        Position of the true type among the columns.
    tumour_types : list of str
        Names of the columns.
    """
    table = read_table(path, index="sample")
    rows = table.loc[table["split"] == split]
    tumour_types = [str(name) for name in rows.columns[4:]]
    truth = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    return rows.iloc[:, :4], rows[tumour_types].to_numpy(np.float64), truth, tumour_types
