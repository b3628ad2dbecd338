"""Gene choice, scale and layout, fitted together on training rows: all that painting needs to know."""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import Scale, choose_genes, name_copy, read_gene_sets
from expressionist.errors import ParamsError
from expressionist.painting.layout import Layout, square_shape
from expressionist.painting.layouts import place_genes
from expressionist.params import ExpressionParams, LayoutParams


def fit_imaging(
    expression: np.ndarray,
    genes: pd.DataFrame,
    *,
    method: str,
    options: Mapping[str, Any],
    n_genes: int | None,
    rng: np.random.Generator,
    shape: tuple[int, int] | None = None,
) -> tuple[Layout, Scale, np.ndarray]:
    """Choose genes, and fit their scale and layout; also returned are their positions among those given.

    Expression (n_samples, n_genes_given) and options are those of `place_genes`, not yet scaled. No `n_genes`
    takes all genes, constant ones too; no `shape` the smallest square with a pixel for each.

    >>> expression, genes = np.array([[0, 7, 1], [0, 9, 3]], "float32"), pd.DataFrame(index=list("abc"))
    >>> keys = {"method": "random", "options": {}, "rng": np.random.default_rng(1)}
    >>> layout, scale, chosen = fit_imaging(expression, genes, n_genes=2, **keys)
    >>> layout.genes.tolist(), layout.shape, scale.low.tolist(), chosen.tolist()
    (['b', 'c'], (2, 2), [7.0, 1.0], [1, 2])
    """
    _check_count("n_genes", n_genes)
    sides = _check_shape(shape)
    chosen = np.arange(len(genes))
    if n_genes is not None:
        chosen = choose_genes(expression, int(n_genes))
        expression, genes = expression[:, chosen], genes.iloc[chosen]
    sides = sides or square_shape(len(genes))
    scale = Scale.fit(expression)
    pixel = place_genes(method, scale.apply(expression), genes, sides, rng, **options)
    return Layout(genes.index.to_numpy(dtype=str), pixel, sides, method), scale, chosen


def lay_out(
    training: np.ndarray,
    genes: pd.DataFrame,
    expression: ExpressionParams,
    layout: LayoutParams,
    options: Mapping[str, Any],
) -> tuple[Layout, Scale, np.ndarray]:
    """Fit to training samples, log2 of shape (n_samples, n_genes), as the sections of params.yaml say.

    The layout method's own `options` come from `read_options`; what is returned is that of `fit_imaging`.
    """
    return fit_imaging(
        training,
        genes,
        method=layout.method,
        options={**options, "overlap": layout.overlap},
        n_genes=expression.n_genes,
        rng=np.random.default_rng(layout.seed),
    )


def read_options(layout: LayoutParams, lists: Path) -> dict[str, Any]:
    """Give a method's own options, with the gene sets of the file in `lists` that they name."""
    options = dict(layout.options)
    if isinstance(options.get("gene_sets"), str):
        options["gene_sets"] = read_gene_sets(lists / name_copy(options["gene_sets"]))
    return options


def _check_count(key: str, value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
        raise ParamsError(
            f"{key} must be a whole number of at least 1, or None, but got {value!r}. Correct it."
        )


def _check_shape(shape: Any) -> tuple[int, int] | None:  # noqa: ANN401  # whatever a user gives
    if shape is None:
        return None
    if not isinstance(shape, tuple | list) or len(shape) != 2 or None in shape:
        raise ParamsError(f"shape must be (height, width), but got {shape!r}. Give two whole numbers.")
    for key, value in zip(("height", "width"), shape, strict=True):
        _check_count(f"shape: {key}", value)
    return int(shape[0]), int(shape[1])
