"""Errors of the chosen network: what it confuses, type by type."""

import numpy as np
import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.figures import draw_confusion, draw_recalls
from expressionist.report.marks import Marks
from expressionist.report.tables import rank_confusions
from expressionist.report.words import count


def describe_errors(
    counts: pd.DataFrame,
    per_type: pd.DataFrame,
    backbone: str,
    marks: Marks,
) -> Part:
    """Show what a network gets wrong on test samples.

    Parameters
    ----------
    counts : pandas.DataFrame of shape (n_types, n_types)
        Samples by true type (index) and predicted type (column).
    per_type : pandas.DataFrame of length n_types
        Columns ``type``, ``n_samples``, ``precision``, ``recall``, ``f1``.
    backbone : str
        The network.
    marks : Marks
        What figures must say.

    Returns
    -------
    Part
        The section.
    """
    tumour_types = [str(tumour_type) for tumour_type in counts.columns]
    matrix = counts.to_numpy(int)
    confusions = rank_confusions(matrix, tumour_types)
    n_wrong = int(matrix.sum() - np.trace(matrix))
    sentence = f"{backbone} classifies {n_wrong:,} of {count(int(matrix.sum()), 'test sample')} wrongly."
    pictures = [
        marks.show(
            draw_confusion(matrix, tumour_types),
            "Confusion matrix: true type by predicted type",
            "Numbers are samples; a hatched row has no test sample.",
            backbones=[backbone],
        ),
        marks.show(
            draw_recalls(per_type),
            "Share of every type's test samples that is recognised",
            "Recall by type, lowest first, with its Wilson 95% interval; in brackets the number of test "
            "samples.",
            backbones=[backbone],
        ),
    ]
    tables = [
        Table(
            confusions, "Most frequent confusions", headings={"type": "True type", "predicted": "Taken for"}
        ),
        Table(per_type, "Scores by tumour type", folded=True),
    ]
    return Part([sentence], pictures=pictures, tables=tables if len(confusions) else tables[1:])
