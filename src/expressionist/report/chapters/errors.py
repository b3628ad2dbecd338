"""Errors of the chosen network: what it confuses, type by type."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.figures.scores import draw_confusion, draw_recalls
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count

_N_CONFUSIONS = 15


def describe(run: FinishedRun) -> Part:
    """Show what the chosen network gets wrong on test samples."""
    tumour_types = [str(tumour_type) for tumour_type in run.confusion]
    counts = run.confusion.to_numpy(int)
    n_wrong = int(counts.sum() - np.trace(counts))
    judged = f"{run.winner}, as registered," if run.refit else run.winner
    sentence = f"{judged} classifies {n_wrong:,} of {count(int(counts.sum()), 'test sample')} wrongly."
    pictures = [
        run.show_winners(
            draw_confusion(counts, tumour_types),
            "Confusion matrix: true type by predicted type",
            "Numbers are samples; where a row is hatched, its type has no test sample.",
        ),
        run.show_winners(
            draw_recalls(run.per_type),
            "Share of every type's test samples that is recognised",
            "Recall by type, lowest first, with its Wilson 95% interval; in brackets the number of test "
            "samples.",
        ),
    ]
    tables = [Table(run.per_type, "Scores by tumour type", folded=True)]
    if n_wrong:
        headings = {"type": "True type", "predicted": "Taken for"}
        ranked = rank_confusions(counts, tumour_types)
        tables.insert(0, Table(ranked, "Most frequent confusions", headings=headings))
    return Part([sentence], pictures=pictures, tables=tables)


def rank_confusions(counts: np.ndarray, tumour_types: Sequence[str]) -> pd.DataFrame:
    """List which types are most often taken for which; counts (n_types, n_types) are by true type (row)."""
    names, wrong = np.array(tumour_types, object), counts - np.diag(np.diag(counts))
    row, column = np.nonzero(wrong)
    first = np.argsort(-wrong[row, column], kind="stable")[:_N_CONFUSIONS]
    row, column = row[first], column[first]
    ranked = {"type": names[row], "predicted": names[column], "n_samples": counts[row, column]}
    return pd.DataFrame(ranked).assign(share_of_type=counts[row, column] / counts.sum(axis=1)[row])
