"""Cross-check: the attributions beside those of the shap package."""

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count


def describe(run: FinishedRun) -> Part:
    """Hold the attributions against those of shap."""
    checked, samples = run.cross_check, run.split.iloc[run.cross_check["sample_position"]]
    n_top, share = int(checked["n_top"].max()), checked["n_shared"] / checked["n_top"]
    rows = pd.DataFrame({"sample": samples.index, "tumour_type": samples["tumour_type"].to_numpy()})
    rows = rows.assign(correlation=checked["correlation"], n_shared=checked["n_shared"], share_shared=share)
    sentences = [
        f"Expected gradients of the shap package (GradientExplainer) on {count(len(rows), 'sample')}, each "
        "of another tumour type, drawn at random: their attributions correlate with "
        f"ours at {checked['correlation'].mean():.2f} on average (lowest "
        f"{checked['correlation'].min():.2f}), and {share.mean():.0%} of the top {n_top} genes are the same."
    ]
    if run.winner in run.marks.random_weights:
        sentences.append(f"{run.winner} started from random weights.")
    table = Table(
        rows,
        caption="shap averages over paths from drawn training samples instead of one path from their mean, "
        "and over random points of each path, so full agreement is not to be expected.",
        headings={"n_shared": f"Shared of the top {n_top}", "share_shared": "Share"},
    )
    return Part(sentences, tables=[table])
