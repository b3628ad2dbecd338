"""Tumour types one by one: expression beside attribution, and the genes behind it."""

import numpy as np

from expressionist.report.chapters.recovery import TESTED
from expressionist.report.content import Part, Table, TypePart
from expressionist.report.figures.attributions import draw_attribution, draw_top_genes
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count

_COLUMNS = "symbol gene attribution marker share_positive log2_fold_change zero_reference row column".split()
_N_NAMED = 3


def describe(run: FinishedRun) -> list[TypePart]:
    """Show the attributions of every tumour type that was explained."""
    return [
        _describe_type(run, place, tumour_type)
        for place, tumour_type in enumerate(run.explanation["tumour_types"])
        if run.arrays["n_samples"][place]
    ]


def _describe_type(run: FinishedRun, place: int, tumour_type: str) -> TypePart:
    layout, samples = run.layout, count(int(run.arrays["n_samples"][place]), "sample")
    genes = run.top_genes.loc[run.top_genes["tumour_type"] == tumour_type]
    painted = layout.paint(run.arrays["expression"][[place]])[0, :, :, 0]
    summed = sum_by_pixel(run.arrays[TESTED][place], layout.pixel, layout.shape)
    pictures = [
        run.show_winners(
            draw_attribution(painted, summed, layout.overlap, tumour_type),
            f"{tumour_type}: mean expression image beside mean attribution image",
            f"Mean over {samples}. Red pixels speak for {tumour_type}, blue ones against "
            "it; the colour scale is this type's own.",
        ),
        run.show_winners(draw_top_genes(genes), f"{tumour_type}: genes of largest mean attribution"),
    ]
    table = Table(
        genes[_COLUMNS],
        "Top genes",
        f"Genes that speak most for {tumour_type}, then those that speak most against it. Samples positive: "
        f"share of the {samples} in which the gene speaks for the type. log₂ fold "
        "change: training samples of the type against all others.",
        formats={"share_positive": ".0%", "log2_fold_change": ".2f", "zero_reference": ".3f"},
    )
    named = ", ".join(genes.head(_N_NAMED)["symbol"].astype(str))
    return TypePart(tumour_type, f"{named} · {samples}", Part(pictures=pictures, tables=[table]))


def sum_by_pixel(values: np.ndarray, pixel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Add up the values (n_genes,) of the genes of every pixel: shape (height, width), 0 where none lies."""
    return np.bincount(pixel, values, minlength=shape[0] * shape[1]).reshape(shape)
