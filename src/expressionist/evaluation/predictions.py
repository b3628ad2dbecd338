"""Predictions of one model, as a table that every model writes alike."""

from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.files import read_table, write_table


def write_predictions(path: Path, predictions: pd.DataFrame) -> None:
    """Write predictions, indexed by sample: split, tumour_type, predicted, then a probability per type."""
    write_table(path, predictions.rename_axis("sample"))


def tabulate_predictions(
    rows: pd.DataFrame, probabilities: np.ndarray, tumour_types: list[str]
) -> pd.DataFrame:
    """Put rows of the split table and their probabilities into the form that is written."""
    predicted = np.asarray(tumour_types)[probabilities.argmax(axis=1)]
    table = rows[["patient", "split", "tumour_type"]].assign(predicted=predicted)
    return pd.concat([table, pd.DataFrame(probabilities, index=rows.index, columns=tumour_types)], axis=1)


def read_predictions(path: Path, *splits: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]:
    """Read the predictions of some subsets of the split.

    Returned are patient, split, tumour_type and predicted, indexed by sample; probabilities of shape
    (n_samples, n_types); the true types, as positions in their columns; and what these are called.
    """
    table = read_table(path, index="sample")
    # By position, as a tumour type may be called like one of the first columns.
    facts, probabilities = table.iloc[:, :4], table.iloc[:, 4:]
    asked = facts["split"].isin(splits)
    tumour_types = [str(name) for name in probabilities]
    truth = pd.Index(tumour_types).get_indexer(pd.Index(facts["tumour_type"][asked]))
    return facts[asked], probabilities[asked].to_numpy(np.float64), truth, tumour_types
