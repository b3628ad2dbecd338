"""Every layout method on one cohort: seconds, and how good the layout is, one gene a pixel and binned.

Run ``python benchmarks/layouts.py [--cohort real|embedded] [--genes 10404] [--methods random pca ...]``. The
real cohort is ../shared/data/tcga-mrna-5. A fifth of the samples is held out, and scored apart. A method that
embeds genes is scored a second time with the same points binned as the peers do it: the range of the points
cut into as many equal strips as the image has rows and columns, genes sharing pixels as they fall. Prints a
table in Markdown; the first method that compiles something pays for it.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from expressionist.expression import Scale, choose_genes, to_log2
from expressionist.layout import square_shape
from expressionist.layout_score import score_layout
from expressionist.layouts import _embedding, layout_names, place_genes
from expressionist.sources import embedded

REAL = Path("../shared/data/tcga-mrna-5/expression.tsv.gz")
HEADINGS = ("method", "seconds", "neighbours", "held out", "trustworthiness", "pixels used", "genes alone")


def read_log2(cohort: str) -> tuple[np.ndarray, pd.DataFrame]:
    if cohort == "embedded":
        found, _ = embedded.read(embedded.Options(n_samples=990, n_genes=10_404, seed=33), Path())
        return to_log2(found.expression, found.unit), found.genes
    table = pd.read_csv(REAL, sep="\t", index_col=0)
    return to_log2(table.to_numpy(np.float32).T, "RSEM"), pd.DataFrame(index=table.index)


def divide(log2: np.ndarray, n_genes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scaled training and held-out rows, and the positions of the genes."""
    order = np.random.default_rng(1).permutation(len(log2))
    training, held_out = np.split(log2[order], [int(0.8 * len(log2))])
    chosen = choose_genes(training, n_genes)
    scale = Scale.fit(training[:, chosen])
    return scale.apply(training[:, chosen]), scale.apply(held_out[:, chosen]), chosen


def put_in_bins(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    share = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    column, row = np.minimum((share * shape[::-1]).astype(np.intp), np.subtract(shape[::-1], 1)).T
    return row * shape[1] + column


def lay_out(
    method: str, training: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int]
) -> Iterator[tuple[str, float | None, np.ndarray, np.ndarray]]:
    """Yield a name, the seconds, the positions of genes and their pixels."""
    with patch.object(_embedding, "snap", wraps=_embedding.snap) as snapped:
        begun = time.perf_counter()
        pixel = place_genes(method, training, genes, shape, np.random.default_rng(1))
        yield method, time.perf_counter() - begun, np.arange(len(genes)), pixel
    if snapped.called:
        by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
        yield f"{method}, binned", None, by_id, put_in_bins(snapped.call_args.args[0], shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", choices=("real", "embedded"), default="real")
    parser.add_argument("--genes", type=int, default=10_404)
    parser.add_argument("--methods", nargs="+", choices=layout_names(), default=layout_names())
    arguments = parser.parse_args()
    log2, table = read_log2(arguments.cohort)
    training, held_out, chosen = divide(log2, arguments.genes)
    genes, shape = table.iloc[chosen], square_shape(len(chosen))
    print(f"{arguments.cohort}, {len(training)} training samples, {len(genes):,} genes, {shape}\n")
    print(f"| {' | '.join(HEADINGS)} |\n{'|---' * len(HEADINGS)}|", flush=True)
    for method in arguments.methods:
        if method == "chromosome" and not {"chromosome", "start"} <= set(genes):
            continue
        for name, seconds, order, pixel in lay_out(method, training, genes, shape):
            score = score_layout(training[:, order], pixel, shape, held_out=held_out[:, order])
            told = "" if seconds is None else f"{seconds:.1f}"
            print(f"| {name} | {told} | {' | '.join(f'{v:.3f}' for v in score.values())} |", flush=True)


if __name__ == "__main__":
    main()
