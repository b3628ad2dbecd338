"""Probabilities that mean something: temperature, reliability, and when to give no answer."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_LOG_RANGE = (-3.0, 3.0)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Find the temperature of least log-loss: probabilities are softmax(logits / temperature).

    It moves no prediction, only the confidence in it, and is to be fitted on samples that the logits were not
    fitted on.

    Parameters
    ----------
    logits : numpy.ndarray of shape (n_samples, n_types)
        Scores before the softmax.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `logits`.

    Returns
    -------
    float
        Between 0.05 and 20; above 1 where the scores were too sure of themselves. 1 without samples.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017.

    Examples
    --------
    >>> logits = np.array([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]])
    >>> temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))
    >>> round(float(1 / (1 + np.exp(-9 / temperature))), 3)
    0.75
    """
    if not len(truth):
        return 1.0
    logits, rows = np.asarray(logits, dtype=np.float64), np.arange(len(truth))

    def log_loss(log_temperature: float) -> float:
        return -float(log_softmax(logits / np.exp(log_temperature), axis=1)[rows, truth].mean())

    return float(np.exp(minimize_scalar(log_loss, bounds=_LOG_RANGE, method="bounded").x))


def bin_reliability(probabilities: np.ndarray, truth: np.ndarray, n_bins: int) -> pd.DataFrame:
    """Compare confidence with the share of right predictions, in bins of equally many samples.

    Bins of equal width put nearly all samples of a good classifier into the last one.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.
    n_bins : int
        Number of bins; no more than samples are used.

    Returns
    -------
    pandas.DataFrame of length n_bins
        ``confidence`` and ``share_right`` (means), ``n_samples``; the least confident bin first.

    References
    ----------
    Nixon, Dusenberry, Zhang, Jerfel, Tran: Measuring Calibration in Deep Learning, CVPR workshops 2019.

    Examples
    --------
    >>> bin_reliability(np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 0, 1]), 2)
       confidence  share_right  n_samples
    0        0.65          0.5          2
    1        0.85          1.0          2
    """
    confidence, right = _rank(probabilities, truth)
    # From the most confident to the least, as `_rank` gives them; shown the other way round.
    bins = [part for part in np.array_split(np.arange(len(confidence))[::-1], n_bins) if len(part)]
    return pd.DataFrame(
        {
            "confidence": [float(confidence[part].mean()) for part in bins],
            "share_right": [float(right[part].mean()) for part in bins],
            "n_samples": [len(part) for part in bins],
        }
    )


def trace_coverage(probabilities: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Return the accuracy among answered samples at every threshold on the confidence.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.

    Returns
    -------
    pandas.DataFrame
        ``threshold`` (samples of at least this confidence are answered), ``coverage`` (share answered) and
        ``accuracy`` among them; the highest threshold first. Equal confidences stand together.

    References
    ----------
    El-Yaniv, Wiener: On the Foundations of Noise-free Selective Classification, JMLR 11, 2010.

    Examples
    --------
    >>> trace_coverage(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
       threshold  coverage  accuracy
    0        0.9       0.5       1.0
    1        0.6       1.0       0.5
    """
    confidence, right = _rank(probabilities, truth)
    answered = np.arange(1, len(confidence) + 1)
    curve = pd.DataFrame(
        {
            "threshold": confidence,
            "coverage": answered / len(confidence),
            "accuracy": np.cumsum(right) / answered,
        }
    )
    return curve.drop_duplicates("threshold", keep="last").reset_index(drop=True)


def choose_threshold(probabilities: np.ndarray, truth: np.ndarray, accuracy: float) -> float:
    """Choose the confidence below which no answer is given.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1; of validation samples.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.
    accuracy : float
        Wanted share of right answers among those given.

    Returns
    -------
    float
        The lowest threshold that reaches it, so that as many as possible are answered: 0 if all may be. 1 if
        none reaches it.

    Examples
    --------
    >>> choose_threshold(np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]), np.array([0, 0, 1]), 0.99)
    0.8
    """
    curve = trace_coverage(probabilities, truth)
    enough = curve[curve["accuracy"] >= accuracy]
    if enough.empty:
        return 1.0
    # Unseen samples may be less sure than any of these, so where all are answered there is no threshold.
    return 0.0 if enough.index[-1] == curve.index[-1] else float(enough["threshold"].iloc[-1])


def _rank(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence, and whether the prediction is right, from the most confident sample to the least."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    order = np.argsort(-confidence, kind="stable")
    return confidence[order], right[order]
