"""Layout methods, one per file: the file's name is the word for it in params.yaml."""

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.params import list_layouts

OVERLAP = ("single", "average")


def find_layout(name: str) -> ModuleType:
    """Return the layout method that ``layout.method`` names, a module as `place_genes` describes it.

    Examples
    --------
    >>> find_layout("random").__name__
    'expressionist.painting.layouts.random'
    """
    if name not in list_layouts():
        raise ParamsError(
            f"layout: method must be one of {', '.join(list_layouts())}, but got {name!r}. "
            "Choose one, or add a file of that name to expressionist/painting/layouts."
        )
    return import_module(f"{__name__}.{name}")


def place_genes(
    method: str,
    expression: np.ndarray,
    genes: pd.DataFrame,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    overlap: str = "single",
    **options: Any,  # noqa: ANN401
) -> np.ndarray:
    """Place genes by a method, after checking what it is given.

    A method has ``place(expression, genes, shape, rng, *, <options>)``, which takes and gives what this does.
    One whose genes are points has ``embed(expression, genes, rng, *, <options>)`` too, which gives an
    `_embedding.Embedding`. Both leave alone what they are given.

    Parameters
    ----------
    method : str
        What `find_layout` takes.
    expression, genes : numpy.ndarray of shape (n_samples, n_genes), pandas.DataFrame of length n_genes
        float32, scaled, finite, training samples only; the cohort's gene table, in the order of the columns,
        which does not matter, as ids decide between ties.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        The only source of randomness.
    overlap : str
        ``single`` gives every gene a pixel of its own while there are enough; with ``average`` genes share
        pixels as their points fall, as in DeepInsight, which takes an ``embed``.
    **options
        The method's own options.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index (row · width + column) of every gene. With ``single``, all are distinct as long as
        there are pixels enough; otherwise every pixel holds equally many genes, give or take one. With
        ``average``, genes that are constant in `expression` share a pixel, without others if one is free.

    Raises
    ------
    ParamsError, CohortError
        If a word, an option or the shape cannot be used; if expression and genes do not fit together.
    """
    layout = find_layout(method)
    if min(shape) < 1:
        raise ParamsError(
            f"An image must have at least one pixel, but got the shape {tuple(shape)}. Enlarge it."
        )
    _check_options(layout, method, options)
    _check_overlap(layout, method, overlap)
    if expression.ndim != 2 or expression.shape[1] != len(genes):
        raise CohortError(
            f"Expression to lay out must be (n_samples, {len(genes)}), but got {expression.shape}. "
            "Give the columns of the gene table, in its order."
        )
    bad = genes.index[~np.isfinite(expression.sum(axis=0, dtype=np.float64))]
    if len(bad):
        raise CohortError(
            f"Expression to lay out must be finite, but {len(bad)} genes have NaN or infinite values: "
            f"{name_some(bad)}. Drop these genes."
        )
    pixel: np.ndarray
    if overlap == "average":
        pixel = layout.embed(expression, genes, rng, **options).share(shape)
    else:
        pixel = layout.place(expression, genes, shape, rng, **options)
    return pixel


def _check_overlap(layout: ModuleType, method: str, overlap: str) -> None:
    if overlap not in OVERLAP:
        raise ParamsError(
            f"layout: overlap must be one of {', '.join(OVERLAP)}, but got {overlap!r}. Choose one."
        )
    if overlap == "average" and not hasattr(layout, "embed"):
        able = [name for name in list_layouts() if hasattr(find_layout(name), "embed")]
        raise ParamsError(
            f"layout: overlap must be single for a method without points, but got {overlap} with "
            f"{method}. Choose single, or one of {', '.join(able)}."
        )


def _check_options(layout: ModuleType, method: str, options: dict[str, Any]) -> None:
    parameters = inspect.signature(layout.place).parameters.values()
    known = [item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise ParamsError(
                f"layout: {method} has no key {option!r}. Its keys are {', '.join(known) or 'none at all'}."
            )
