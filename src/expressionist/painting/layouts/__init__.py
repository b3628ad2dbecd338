"""Layout methods, one per file: the file's name is the word for it in params.yaml."""

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.params import list_layouts

CROWDING = ("single", "average")


def layout_names() -> list[str]:
    """Return the names of all layout methods, in alphabetical order.

    Returns
    -------
    list of str
        The modules here whose name does not begin with an underscore.

    Examples
    --------
    >>> {"chromosome", "coexpression", "random"} <= set(layout_names())
    True
    """
    return list_layouts()


def find_layout(name: str) -> ModuleType:
    """Return the layout method of a name.

    Parameters
    ----------
    name : str
        What ``layout.method`` holds.

    Returns
    -------
    module
        It has ``place(expression, genes, shape, rng)``, as `place_genes` describes it; a method's own options
        follow as keyword-only parameters.

    Raises
    ------
    ParamsError
        If there is no such method.

    Examples
    --------
    >>> find_layout("random").__name__
    'expressionist.painting.layouts.random'
    """
    if name not in layout_names():
        raise ParamsError(
            f"layout: method must be one of {', '.join(layout_names())}, but got {name!r}. "
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
    crowding: str = "single",
    **options: Any,  # noqa: ANN401
) -> np.ndarray:
    """Place genes by a method, after checking what it is given.

    Parameters
    ----------
    method : str
        One of `layout_names`.
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, scaled; training samples only.
    genes : pandas.DataFrame of length n_genes
        The cohort's gene table, in the order of the expression columns.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        The only source of randomness.
    crowding : str
        One of `CROWDING`: ``single`` gives every gene a pixel of its own while there are enough; with
        ``average`` genes share pixels as their points fall, as in DeepInsight, which only methods with
        points (those that have an ``embed``) can do.
    **options
        The method's own options.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene. With ``single``, all are distinct as long as there are pixels enough;
        otherwise every pixel holds equally many genes, give or take one. With ``average``, genes that are
        constant in `expression` share one pixel, on which no other falls where there is such a pixel.

    Raises
    ------
    ParamsError
        If the method or one of its options is unknown, the shape has no pixels, or the method has no points
        to average.
    CohortError
        If expression and genes do not fit together or expression is not finite.
    """
    layout = find_layout(method)
    if min(shape) < 1:
        raise ParamsError(
            f"An image must have at least one pixel, but got the shape {tuple(shape)}. Enlarge it."
        )
    _check_options(layout, options)
    _check_crowding(layout, crowding)
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
    if crowding == "average":
        pixel = layout.embed(expression, genes, rng, **options).share(shape)
    else:
        pixel = layout.place(expression, genes, shape, rng, **options)
    return pixel


def _check_crowding(layout: ModuleType, crowding: str) -> None:
    if crowding not in CROWDING:
        raise ParamsError(
            f"layout: crowding must be one of {', '.join(CROWDING)}, but got {crowding!r}. Choose one."
        )
    if crowding == "average" and not hasattr(layout, "embed"):
        able = [name for name in layout_names() if hasattr(find_layout(name), "embed")]
        raise ParamsError(
            f"layout: crowding must be single for a method without points, but got {crowding} with "
            f"{layout.__name__.rpartition('.')[2]}. Choose single, or one of {', '.join(able)}."
        )


def _check_options(layout: ModuleType, options: dict[str, Any]) -> None:
    parameters = inspect.signature(layout.place).parameters.values()
    known = [item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            method = layout.__name__.rpartition(".")[2]
            raise ParamsError(
                f"layout: {method} has no key {option!r}. Its keys are {', '.join(known) or 'none at all'}."
            )
