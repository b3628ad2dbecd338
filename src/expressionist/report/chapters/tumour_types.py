"""Tumour types one by one: expression beside attribution, and the genes behind it."""

import numpy as np
import pandas as pd

from expressionist.data import AS_IS_UNIT
from expressionist.report.content import Part, Table, TypePart
from expressionist.report.figures.attributions import draw_attribution, draw_top_genes
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count

_COLUMNS = (
    "symbol gene speaks_by_being score attribution marker share_positive log2_fold_change row column".split()
)
_N_NAMED = 3


def describe(run: FinishedRun) -> list[TypePart]:
    """Show the attributions of every tumour type that was ranked."""
    return [
        _describe_type(run, place, tumour_type)
        for place, tumour_type in enumerate(run.explanation["tumour_types"])
        if run.arrays["n_samples"][place]
    ]


def _describe_type(run: FinishedRun, place: int, tumour_type: str) -> TypePart:
    layout, samples = run.layout, count(int(run.arrays["n_samples"][place]), "sample")
    genes = run.top_genes.loc[run.top_genes["tumour_type"] == tumour_type]
    painted = layout.paint(run.arrays["expression"][[place]])[0, :, :, 0]
    summed = sum_by_pixel(run.arrays["attribution"][place], layout.pixel, layout.shape)
    pictures = [
        run.show_winners(
            draw_attribution(painted, summed, layout.overlap, tumour_type),
            f"{tumour_type}: mean expression image beside mean attribution image",
            f"Mean over {count(int(run.arrays['n_samples'][place]), 'training sample')}. Red pixels speak "
            f"for {tumour_type}, blue ones against it; the colour scale is this type's own.",
        ),
        run.show_winners(
            draw_top_genes(genes),
            f"{tumour_type}: genes that mark it by being high, and by being low",
            f"Genes that mark {tumour_type} most. Filled: by being high; hollow: by being low.",
        ),
    ]
    # Values that no logarithm is known of have differences only.
    change = "difference of means" if run.about["unit"] == AS_IS_UNIT else "log₂ fold change"
    table = Table(
        genes[_COLUMNS if len(run.recovery) else [name for name in _COLUMNS if name != "marker"]],
        "Top genes",
        f"Genes that mark {tumour_type} by being high, then those that do by being low. Score: how far "
        "the mean attribution lies above its mean over all types, in logits. Samples "
        f"positive: share of the {samples} in which the gene speaks for the type. {change}: training "
        "samples of the type against all others.",
        headings={"speaks_by_being": "Speaks by being", "log2_fold_change": change},
        formats={"score": ".3g", "share_positive": ".0%", "log2_fold_change": ".2f"},
    )
    named = ", ".join(genes.head(_N_NAMED)["symbol"].astype(str))
    summary = " · ".join([named, samples, *tell_stability(run.types, tumour_type)])
    return TypePart(tumour_type, summary, Part(pictures=pictures, tables=[table]))


def tell_stability(types: pd.DataFrame, tumour_type: str) -> list[str]:
    """Say how many of the top genes stay with other samples, where that is known."""
    rows = types[(types["tumour_type"] == tumour_type) & types["shared_halves"].notna()]
    return [
        f"{row.shared_halves:.0f} of {row.n_top} genes stay with other samples" for row in rows.itertuples()
    ]


def sum_by_pixel(values: np.ndarray, pixel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Add up the values (n_genes,) of the genes of every pixel: shape (height, width), 0 where none lies."""
    return np.bincount(pixel, values, minlength=shape[0] * shape[1]).reshape(shape)
