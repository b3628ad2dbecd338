"""Choose the genes, their scale and their pixels, on training samples only."""

from pathlib import Path

import numpy as np
from rich.console import Console

from expressionist.expression import Scale, choose_genes, to_log2
from expressionist.layout import Layout, square_shape
from expressionist.layouts import place_genes
from expressionist.params import ExpressionParams, LayoutParams
from expressionist.store import read_cohort, read_split, write_layout


def run(expression: ExpressionParams, layout: LayoutParams, *, cohort: Path, split: Path, out: Path) -> None:
    """Write `genes.tsv` (scale, mean and pixel of every painted gene) and `layout.json`.

    Parameters
    ----------
    expression : ExpressionParams
        How many genes to choose.
    layout : LayoutParams
        Layout method and its seed.
    cohort, split : pathlib.Path
        Folder of the stage `prepare`, table of the stage `split`.
    out : pathlib.Path
        Folder to write.
    """
    found = read_cohort(cohort / "cohort.h5ad")
    sides = read_split(split).loc[found.samples.index, "split"]
    log2 = to_log2(found.expression[(sides == "train").to_numpy()], found.unit)
    chosen = choose_genes(log2, expression.n_genes)
    log2, genes = log2[:, chosen], found.genes.iloc[chosen]
    scale = Scale.fit(log2)
    scaled = scale.apply(log2)
    shape = square_shape(len(chosen))
    rng = np.random.default_rng(layout.seed)
    pixel = place_genes(layout.method, scaled, genes, shape, rng, **layout.options)
    laid = Layout(genes.index.to_numpy(dtype=str), pixel, shape, layout.method)
    n_unplaced = int(genes["start"].isna().sum()) if "start" in genes else len(genes)
    about = {
        "unit": found.unit,
        "cohort": found.name,
        "synthetic": found.synthetic,
        "n_genes": len(genes),
        "n_genes_of_cohort": found.expression.shape[1],
        "n_without_position": n_unplaced,
        "greatest_crowding": int(laid.crowding.max()),
    }
    write_layout(out, laid, scale, genes.assign(mean=scaled.mean(axis=0)), about)
    Console().print(
        f"{len(genes):,} of {found.expression.shape[1]:,} genes on {shape[0]} × {shape[1]} pixels by "
        f"{layout.method}; {n_unplaced:,} without a position"
    )
