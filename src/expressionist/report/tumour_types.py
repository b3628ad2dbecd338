"""Tumour types one by one: expression beside attribution, and the genes behind it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from expressionist.painting import Layout
from expressionist.report.content import Part, Table, TypePart
from expressionist.report.figures import draw_attribution, draw_top_genes
from expressionist.report.marks import Marks
from expressionist.report.recovery import TESTED, sum_by_pixel
from expressionist.report.words import count

_COLUMNS = [
    "symbol",
    "gene",
    "attribution",
    "marker",
    "share_positive",
    "log2_fold_change",
    "zero_baseline",
    "row",
    "column",
]
_N_NAMED = 3


def describe_types(
    layout: Layout,
    arrays: Mapping[str, np.ndarray],
    top_genes: pd.DataFrame,
    tumour_types: Sequence[str],
    backbone: str,
    marks: Marks,
) -> list[TypePart]:
    """Show the attributions of every tumour type that was explained.

    Parameters
    ----------
    layout : Layout
        Gene → pixel.
    arrays : mapping of str to numpy.ndarray
        ``integrated_gradients`` and ``expression`` of shape (n_types, n_genes), means over the samples
        explained, and ``n_samples`` of shape (n_types,).
    top_genes : pandas.DataFrame
        Columns ``tumour_type``, ``symbol``, ``gene``, ``attribution`` and what else the table shows.
    tumour_types : sequence of str of length n_types
        Names of the rows.
    backbone : str
        The network explained.
    marks : Marks
        What figures must say.

    Returns
    -------
    list of TypePart
        One per type, in the order of `tumour_types`.
    """
    return [
        _describe_type(
            tumour_type,
            int(arrays["n_samples"][place]),
            layout,
            arrays["expression"][place],
            arrays[TESTED][place],
            top_genes.loc[top_genes["tumour_type"] == tumour_type],
            backbone,
            marks,
        )
        for place, tumour_type in enumerate(tumour_types)
        if arrays["n_samples"][place]
    ]


def _describe_type(
    tumour_type: str,
    n_samples: int,
    layout: Layout,
    expression: np.ndarray,
    attribution: np.ndarray,
    genes: pd.DataFrame,
    backbone: str,
    marks: Marks,
) -> TypePart:
    painted = layout.paint(expression[None])[0, :, :, 0]
    summed = sum_by_pixel(attribution, layout.pixel, layout.shape)
    pictures = [
        marks.show(
            draw_attribution(painted, summed, layout.crowding, tumour_type),
            f"{tumour_type}: mean expression image beside mean attribution image",
            f"Mean over {count(n_samples, 'sample')}. Red pixels speak for {tumour_type}, blue ones against "
            "it; the colour scale is this type's own.",
            backbones=[backbone],
        ),
        marks.show(
            draw_top_genes(genes),
            f"{tumour_type}: genes of largest mean attribution",
            backbones=[backbone],
        ),
    ]
    named = genes.head(_N_NAMED)["symbol"].astype(str)
    table = Table(
        genes[_COLUMNS],
        "Top genes",
        f"Genes that speak most for {tumour_type}, then those that speak most against it. Samples positive: "
        f"share of the {count(n_samples, 'sample')} in which the gene speaks for the type. log₂ fold "
        "change: training samples of the type against all others.",
        formats={"share_positive": ".0%", "log2_fold_change": ".2f", "zero_baseline": ".3f"},
    )
    return TypePart(
        tumour_type,
        f"{', '.join(named)} · {count(n_samples, 'sample')}",
        Part(pictures=pictures, tables=[table]),
    )
