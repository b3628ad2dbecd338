"""Layout methods, one per file: the file's name is the word for it in params.yaml."""

import inspect
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from expressionist.errors import CohortError, ParamsError, name_extra, name_some
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
    """Place genes by a method, after checking what it is given: the flat pixel index of each.

    A method has ``place(expression, genes, shape, rng, *, <options>)``, which takes and gives what this does;
    one whose genes are points has ``embed(expression, genes, rng, *, <options>)`` instead, which gives an
    `_embedding.Embedding`. Both leave alone what they are given, and draw from `rng` only.

    Expression (n_samples, n_genes) is float32, scaled, finite, of training samples; the gene table is in the
    order of its columns, which does not matter, as ids decide between ties. With ``single`` overlap, pixels
    are distinct while there are enough; otherwise all hold equally many genes, give or take one. With
    ``average``, which takes an ``embed``, genes share pixels as their points fall, as in DeepInsight, and
    those that are constant share one, without others if one is free.
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
    with name_extra():
        if hasattr(layout, "embed"):
            embedding = layout.embed(expression, genes, rng, **options)
            pixel = embedding.share(shape) if overlap == "average" else embedding.snap(shape)
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
    place = layout.embed if hasattr(layout, "embed") else layout.place
    parameters = inspect.signature(place).parameters.values()
    known = [item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise ParamsError(
                f"layout: {method} has no key {option!r}. Its keys are {', '.join(known) or 'none at all'}."
            )
