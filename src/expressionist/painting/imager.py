"""The imager: the painter alone, as a scikit-learn transformer from expression to images."""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from expressionist.data import Scale
from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.files import write_array, write_whole
from expressionist.painting.fitting import fit_imaging
from expressionist.painting.layout import Layout
from expressionist.painting.sample_table import ImagerError, SampleTable, name_columns

_KIND, _FORMAT = "expressionist.ExpressionImager", 1
# What numpy, zip and JSON raise on bytes that are something else, and the layout and scale made of them.
_DAMAGE = (
    AttributeError, BadZipFile, CohortError, EOFError, LookupError, OSError, OverflowError, RuntimeError,
    TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip


# Images have four dimensions, which no table output can hold: there is no `set_output`.
class ExpressionImager(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Paint expression as images in which a place means a gene.

    Expression is taken as it is: no logarithm is taken (`expressionist.data.expression.to_log2` does it for
    counts, RSEM, TPM and the like). Gene choice, scale and layout are learnt from the rows given to `fit`.
    Columns are matched by name where names are known, so their order does not matter; else by position.

    Parameters
    ----------
    layout : str
        Layout method: a file of `expressionist.painting.layouts`.
    n_genes : int, optional
        So many of the most variable genes are painted; genes that are constant in `fit` are then never
        chosen. By default all genes are, constant ones too.
    shape : tuple of int, optional
        (height, width) in pixels; by default the smallest square that holds every gene on a pixel of its
        own. Where there are fewer pixels than genes, a pixel shows the mean of its genes.
    layout_options : dict, optional
        The layout method's own options, and ``overlap`` as in `expressionist.painting.layouts.place_genes`.
    random_state : int, numpy.random.RandomState or None
        Seed of the layout; with the same one, the same rows give the same images byte for byte.

    Attributes
    ----------
    layout_, scale_ : Layout, expressionist.data.expression.Scale
        Gene → pixel; the line that takes each painted gene to [0, 1].
    shape_ : tuple of int
        (height, width) in pixels.
    columns_ : numpy.ndarray of shape (n_painted,)
        Column of the fitted table that holds each painted gene, in the order of `layout_`.
    overlap_, padding_ : numpy.ndarray of shape (height, width)
        Number of genes on every pixel; True where there is none, so that the pixel is always 0.
    n_features_in_, feature_names_in_ : int, numpy.ndarray of shape (n_features_in_,)
        Number and names of the columns of the fitted table; the latter only where they have any.

    Examples
    --------
    >>> expression = pd.DataFrame({"TP53": [0.0, 4.0], "MYC": [2.0, 6.0], "EGFR": [5.0, 3.0]})
    >>> imager = ExpressionImager("random").fit(expression)
    >>> imager.transform(expression).shape
    (2, 2, 2, 1)
    >>> row, column = imager.pixel_of("MYC")
    >>> imager.genes_at(row, column)
    ['MYC']
    """

    def __init__(
        self,
        layout: str = "coexpression",
        *,
        n_genes: int | None = None,
        shape: tuple[int, int] | None = None,
        layout_options: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = 1,
    ) -> None:
        self.layout = layout
        self.n_genes = n_genes
        self.shape = shape
        self.layout_options = layout_options
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401  # scikit-learn is untyped
        """Tell scikit-learn what this takes and gives."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ANN401  # whatever holds a table
        """Choose genes, and fit their scale and layout; `y` is not looked at.

        Parameters
        ----------
        X : array-like, sparse matrix, pandas.DataFrame or anndata.AnnData of shape (n_samples, n_genes)
            Training rows, on a log scale or any other on which differences mean something. The `var` table
            of an AnnData goes to the layout method (``chromosome`` needs its chromosome and start).

        Raises
        ------
        ImagerError
            A ValueError: if values are not finite, a gene stands twice, or a parameter does not make sense.
        """
        table = SampleTable.open(X, reader=type(self).__name__)
        try:
            self._fit(table)
        except (CohortError, ParamsError) as refusal:
            raise ImagerError(str(refusal)) from refusal
        self.n_features_in_ = table.shape[1]
        if table.names is not None:
            self.feature_names_in_ = table.names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def _fit(self, table: SampleTable) -> None:
        n_samples, n_columns = table.shape
        names = name_columns(table.names, n_columns)
        # Names decide the order, so that the order of the columns decides nothing.
        order = np.arange(n_columns) if table.names is None else np.argsort(names.astype(str), kind="stable")
        expression = np.empty((n_samples, n_columns), np.float32)
        for rows in table.blocks(n_columns):
            expression[rows] = table.read(rows, order, names[order])
        genes = pd.DataFrame(index=range(n_columns)) if table.genes is None else table.genes
        genes = genes.iloc[order].set_axis(pd.Index(names[order].astype(str)), axis=0)
        seed = self.random_state
        if isinstance(seed, np.random.RandomState):
            seed = seed.randint(2**31 - 1)
        layout, scale, chosen = fit_imaging(
            expression,
            genes if "symbol" in genes else genes.assign(symbol=genes.index),
            method=self.layout,
            options=self.layout_options or {},
            n_genes=self.n_genes,
            shape=self.shape,
            rng=np.random.default_rng(seed),
        )
        self._keep(layout, scale, order[chosen])

    def _keep(self, layout: Layout, scale: Scale, columns: np.ndarray) -> None:
        self.layout_, self.scale_, self.columns_ = layout, scale, columns
        self.shape_, self.overlap_, self.padding_ = layout.shape, layout.overlap, layout.overlap == 0

    def transform(self, X: Any) -> np.ndarray:  # noqa: ANN401
        """Paint samples, on the scale of the fitted rows.

        Where names are known, columns may stand in any order, and those that are not painted may be missing;
        without, all fitted columns in their order. Painted genes that are missing or not finite are refused.

        Returns
        -------
        numpy.ndarray of shape (n_samples, height, width, 1)
            float32; in [0, 1] on the fitted rows, not clipped on others. Memory beside input and output does
            not grow with the number of samples.
        """
        table, columns = self._match(X)
        images = np.empty((table.shape[0], *self.shape_, 1), np.float32)
        for rows in table.blocks(len(columns)):
            self._paint(table, rows, columns, images[rows])
        return images

    def write(self, X: Any, path: str | PathLike[str]) -> None:  # noqa: ANN401
        """Paint what `transform` takes into a `.npy` file, whole or not at all; memory stays flat.

        A memory-mapped array or a backed AnnData is read some rows at a time. The file opens by
        ``numpy.load(path, mmap_mode="r")``.
        """
        table, columns = self._match(X)
        blocks = (self._paint(table, rows, columns) for rows in table.blocks(len(columns)))
        write_array(Path(path), blocks, (table.shape[0], *self.shape_, 1))

    def _match(self, X: Any) -> tuple[SampleTable, np.ndarray]:  # noqa: ANN401
        """Open a table and find the painted genes in it."""
        check_is_fitted(self)
        table = SampleTable.open(X, reader=type(self).__name__)
        if table.names is None or not hasattr(self, "feature_names_in_"):
            shown = table.matrix if table.names is None else pd.DataFrame(columns=table.names)
            validate_data(self, shown, reset=False, skip_check_array=True)
            return table, self.columns_
        columns = pd.Index(table.names.astype(str)).get_indexer(pd.Index(self.layout_.genes))
        missing = self.layout_.genes[columns < 0]
        if len(missing):
            raise ImagerError(
                f"All {len(columns)} painted genes must be there, but {len(missing)} are missing: "
                f"{name_some(missing)}. Add them, or fit on the genes that both tables have."
            )
        return table, columns

    def _paint(
        self, table: SampleTable, rows: slice, columns: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        expression = table.read(rows, columns, self.layout_.genes)
        return self.layout_.paint(self.scale_.apply(expression), out)

    def genes_at(self, row: int, column: int) -> list[str]:
        """Return the names of the genes on a pixel, counted from the top left corner from 0.

        They are in the order of `layout_`; there are none on padding. Genes without names are called x0, x1,
        ... by their column.
        """
        check_is_fitted(self)
        height, width = self.shape_
        if not (0 <= row < height and 0 <= column < width):
            raise ImagerError(
                f"A pixel must lie in an image of {height} × {width}, but got row {row} and column {column}. "
                "Count from 0."
            )
        return [str(name) for name in self.layout_.genes[self.layout_.pixel == row * width + column]]

    def pixel_of(self, gene: str) -> tuple[int, int]:
        """Return the (row, column) of a gene by its name; x0, x1, ... by column where genes have none."""
        check_is_fitted(self)
        found = np.flatnonzero(self.layout_.genes == str(gene))
        if not len(found):
            raise ImagerError(
                f"A gene must be one of the {len(self.layout_.genes)} painted ones, but got {gene!r}. "
                "Look for another name of it, or fit with more genes."
            )
        return int(self.layout_.row[found[0]]), int(self.layout_.column[found[0]])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ANN401
        """Name the pixels by their genes, in the order of ``images.reshape(len(images), -1)``.

        A pixel is called by its gene, its genes joined by ``+``, or ``padding_<row>_<column>``;
        `input_features` names the fitted columns where they have no names of their own.
        """
        # scikit-learn names the columns that come in, or refuses what is given.
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)[self.columns_]
        joined = pd.Series(names).astype(str).groupby(self.layout_.pixel).agg("+".join)
        width = self.shape_[1]
        called = [f"padding_{pixel // width}_{pixel % width}" for pixel in range(self.layout_.n_pixels)]
        return joined.reindex(range(self.layout_.n_pixels)).fillna(pd.Series(called)).to_numpy(object)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted imager, whole or not at all: arrays and a JSON header in one `.npz`, no pickle."""
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        header = {
            "kind": _KIND,
            "format": _FORMAT,
            "params": self.get_params(),
            "shape": self.shape_,
            "method": self.layout_.method,
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(names),
        }
        text = np.frombuffer(json.dumps(header, default=_to_json).encode(), np.uint8)
        pixel, low, span = self.layout_.pixel, self.scale_.low, self.scale_.span
        with write_whole(Path(path)) as partial, partial.open("wb") as stream:
            np.savez_compressed(stream, header=text, columns=self.columns_, pixel=pixel, low=low, span=span)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read an imager that `save` wrote; nothing in the file is run, and another one is refused."""
        with Path(path).open("rb") as stream, _refuse_damage(path):
            with np.load(stream, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            header = json.loads(arrays["header"].tobytes())
            if (header["kind"], header["format"]) != (_KIND, _FORMAT):
                raise ValueError(f"{header['kind']}, format {header['format']}")
            params = header["params"]
            params["shape"] = params["shape"] and tuple(params["shape"])
            imager = cls(**params)
            imager.n_features_in_ = header["n_features_in"]
            names = header["feature_names_in"]
            if names is not None:
                imager.feature_names_in_ = np.array(names, dtype=object)
            genes = name_columns(names, imager.n_features_in_)[arrays["columns"]].astype(str)
            layout = Layout(genes, arrays["pixel"], tuple(header["shape"]), header["method"])
            imager._keep(layout, Scale(arrays["low"], arrays["span"]), arrays["columns"])
        return imager


@contextmanager
def _refuse_damage(path: str | PathLike[str]) -> Iterator[None]:
    """Turn whatever goes wrong over the bytes of a file into one refusal that names it."""
    try:
        yield
    except _DAMAGE as error:
        raise ImagerError(
            f"{path} must be an imager that ExpressionImager.save wrote, whole, but cannot be read as one "
            f"({type(error).__name__}). Save it again, or name another file."
        ) from error


def _to_json(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, PathLike):
        return str(value)
    raise ImagerError(
        "Parameters must be numbers, text, lists and mappings of these to be saved, but got a "
        f"{type(value).__name__}. Set a whole number as random_state, say."
    )
