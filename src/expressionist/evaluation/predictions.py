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
    """Put rows of the split table and their probabilities into the form that is written.

    Parameters
    ----------
    rows : pandas.DataFrame of length n_samples
        Rows of the split table, indexed by sample.
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1.
    tumour_types : list of str
        Names of the columns.
    """
    predicted = np.asarray(tumour_types)[probabilities.argmax(axis=1)]
    table = rows[["patient", "split", "tumour_type"]].assign(predicted=predicted)
    return pd.concat([table, pd.DataFrame(probabilities, index=rows.index, columns=tumour_types)], axis=1)


def read_predictions(path: Path, split: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]:
    """Read the predictions of one side of the split.

    Returns
    -------
    rows : pandas.DataFrame of length n_samples
        Indexed by sample: patient, split, tumour_type, predicted.
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1.
    truth : numpy.ndarray of shape (n_samples,)
        Position of the true type among the columns.
    tumour_types : list of str
        Names of the columns.
    """
    table = read_table(path, index="sample")
    rows = table.loc[table["split"] == split]
    tumour_types = [str(name) for name in rows.columns[4:]]
    truth = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    return rows.iloc[:, :4], rows[tumour_types].to_numpy(np.float64), truth, tumour_types
