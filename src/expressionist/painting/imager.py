"""The imager: the painter alone, as a scikit-learn transformer from expression to images."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from expressionist.data import Scale
from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.files import write_array, write_whole
from expressionist.painting.fitting import fit_imaging
from expressionist.painting.imager_file import pack, refuse_damage, unpack
from expressionist.painting.layout import Layout
from expressionist.painting.sample_table import ImagerError, SampleTable, name_columns


# Images have four dimensions, which no table output can hold: there is no `set_output`.
class ExpressionImager(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Paint expression as images in which a place means a gene.

    Expression is taken as it is: no logarithm is taken (`expressionist.data.expression.to_log2` does it for
    counts, RSEM, TPM and the like). Gene choice, scale and layout are learnt from the rows given to `fit`,
    and from these only. Columns are matched by name where names are known, so their order does not matter;
    otherwise by position.

    Parameters
    ----------
    layout : str
        Layout method, one of `expressionist.painting.layouts.layout_names`.
    n_genes : int, optional
        So many of the most variable genes are painted; genes that are constant in `fit` are then never
        chosen. By default all genes are, constant ones too.
    shape : tuple of int, optional
        (height, width) in pixels; by default the smallest square that holds every gene on a pixel of its
        own. Where there are fewer pixels than genes, a pixel shows the mean of its genes.
    layout_options : dict, optional
        The layout method's own options, and ``crowding`` as in `expressionist.painting.layouts.place_genes`.
    random_state : int, numpy.random.RandomState or None
        Seed of the layout; with the same one, the same rows give the same images byte for byte.

    Attributes
    ----------
    layout_ : expressionist.painting.layout.Layout
        Gene → pixel.
    scale_ : expressionist.data.expression.Scale
        The line that takes each painted gene to [0, 1], in the order of `layout_`.
    shape_ : tuple of int
        (height, width) in pixels.
    columns_ : numpy.ndarray of shape (n_painted,)
        Column of the fitted table that holds each painted gene, in the order of `layout_`.
    crowding_ : numpy.ndarray of shape (height, width)
        Number of genes on every pixel.
    padding_ : numpy.ndarray of shape (height, width)
        True where there is no gene, so that a pixel is 0 whatever the expression.
    n_features_in_ : int
        Number of columns of the fitted table.
    feature_names_in_ : numpy.ndarray of shape (n_features_in_,)
        Names of the columns; only there where they have any.

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
        """Choose genes, and fit their scale and layout.

        Parameters
        ----------
        X : array-like, sparse matrix, pandas.DataFrame or anndata.AnnData of shape (n_samples, n_genes)
            Training rows, on a log scale or any other on which differences mean something. The `var` table
            of an AnnData goes to the layout method (``chromosome`` needs its chromosome and start).
        y : object
            Not looked at.

        Returns
        -------
        ExpressionImager
            Itself.

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
        self.n_features_in_ = table.n_columns
        if table.names is not None:
            self.feature_names_in_ = table.names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def _fit(self, table: SampleTable) -> None:
        names = name_columns(table.names, table.n_columns)
        # Names decide the order, so that the order of the columns decides nothing.
        order = np.arange(len(names)) if table.names is None else np.argsort(names.astype(str), kind="stable")
        expression = np.empty((table.n_samples, len(order)), np.float32)
        for rows in table.blocks(len(order)):
            expression[rows] = table.read(rows, order, names[order])
        genes = pd.DataFrame(index=range(table.n_columns)) if table.genes is None else table.genes
        genes = genes.iloc[order].set_axis(pd.Index(names[order].astype(str)), axis=0)
        layout, scale, chosen = fit_imaging(
            expression,
            genes if "symbol" in genes else genes.assign(symbol=genes.index),
            method=self.layout,
            options=self.layout_options or {},
            n_genes=self.n_genes,
            shape=self.shape,
            rng=self._seed(),
        )
        self._keep(layout, scale, order[chosen])

    def _seed(self) -> np.random.Generator:
        if isinstance(self.random_state, np.random.RandomState):
            return np.random.default_rng(self.random_state.randint(2**31 - 1))
        return np.random.default_rng(self.random_state)

    def _keep(self, layout: Layout, scale: Scale, columns: np.ndarray) -> None:
        self.layout_, self.scale_, self.columns_ = layout, scale, columns
        self.shape_ = layout.shape
        self.crowding_ = layout.crowding
        self.padding_ = layout.crowding == 0

    def transform(self, X: Any) -> np.ndarray:  # noqa: ANN401
        """Paint samples.

        Parameters
        ----------
        X : array-like, sparse matrix, pandas.DataFrame or anndata.AnnData of shape (n_samples, n_genes)
            On the scale of the fitted rows. Where names are known, columns may stand in any order, and those
            that are not painted may be missing; without, all fitted columns in their order.

        Returns
        -------
        numpy.ndarray of shape (n_samples, height, width, 1)
            float32; in [0, 1] on the fitted rows, not clipped on others. Read and painted in blocks, so that
            memory beside input and output does not grow with the number of samples.

        Raises
        ------
        ImagerError
            A ValueError: if painted genes are missing, or their values are not finite.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        table, columns = self._match(X)
        images = np.empty((table.n_samples, *self.shape_, 1), np.float32)
        for rows in table.blocks(len(columns)):
            self._paint(table, rows, columns, images[rows])
        return images

    def write(self, X: Any, path: str | PathLike[str]) -> None:  # noqa: ANN401
        """Paint samples into a `.npy` file, whole or not at all; memory stays flat.

        Parameters
        ----------
        X : array-like, sparse matrix, pandas.DataFrame or anndata.AnnData of shape (n_samples, n_genes)
            As for `transform`; a memory-mapped array or a backed AnnData is read some rows at a time.
        path : str or path-like
            The file. ``numpy.load(path, mmap_mode="r")`` opens it.
        """
        table, columns = self._match(X)
        blocks = (self._paint(table, rows, columns) for rows in table.blocks(len(columns)))
        write_array(Path(path), blocks, (table.n_samples, *self.shape_, 1))

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
        """Return the names of the genes on a pixel.

        Parameters
        ----------
        row, column : int
            The pixel, counted from the top left corner, from 0.

        Returns
        -------
        list of str
            In the order of `layout_`; empty on padding. Genes without names are called x0, x1, ... by their
            column.
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
        """Return the (row, column) of a gene.

        Parameters
        ----------
        gene : str
            Its name; x0, x1, ... by column where genes have none.
        """
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

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the fitted columns, where they have none of their own.

        Returns
        -------
        numpy.ndarray of shape (height · width,)
            As objects: the pixel's gene, its genes joined by ``+``, or ``padding_<row>_<column>``.
        """
        check_is_fitted(self)
        given = getattr(self, "feature_names_in_", None)
        names = name_columns(given if input_features is None else input_features, self.n_features_in_)
        if len(names) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({self.n_features_in_}), "
                f"got {len(names)}"
            )
        if given is not None and list(names) != list(given):
            raise ValueError("input_features is not equal to feature_names_in_")
        on_pixel: list[list[str]] = [[] for _ in range(self.layout_.n_pixels)]
        for pixel, name in zip(self.layout_.pixel, names[self.columns_], strict=True):
            on_pixel[pixel].append(str(name))
        width = self.shape_[1]
        called = [
            "+".join(genes) or f"padding_{at // width}_{at % width}" for at, genes in enumerate(on_pixel)
        ]
        return np.array(called, dtype=object)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted imager, whole or not at all: arrays and a JSON header in one `.npz`, no pickle.

        Parameters
        ----------
        path : str or path-like
            The file.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        header = {
            "params": self.get_params(),
            "shape": self.shape_,
            "method": self.layout_.method,
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(names),
        }
        arrays = {"columns": self.columns_, "pixel": self.layout_.pixel}
        arrays |= {"low": self.scale_.low, "span": self.scale_.span}
        content = pack(header, arrays)
        with write_whole(Path(path)) as partial:
            partial.write_bytes(content)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read an imager that `save` wrote; nothing in the file is run.

        Parameters
        ----------
        path : str or path-like
            The file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ImagerError
            If it is not one of these files, or damaged.
        """
        with Path(path).open("rb") as stream, refuse_damage(path):
            header, arrays = unpack(stream)
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
