"""Predictions explained: for every sample the genes that speak for the type predicted, and against it."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from expressionist.data import to_log2
from expressionist.errors import RegistryError
from expressionist.files import read_arrays
from expressionist.tracking.catalogue import Version
from expressionist.tracking.serving import (
    Loaded,
    Served,
    index_samples,
    predict,
    prepare_table,
    read_served,
)

if TYPE_CHECKING:
    from expressionist.explain import SampleExplainer

N_TOP = 20
_N_AT_ONCE = 32


def make_explainer(loaded: Loaded) -> "SampleExplainer":
    """Make what explains the samples that a registered model is given; it can be used again.

    Parameters
    ----------
    loaded : tuple of Served, keras.Model, Novelty
        From `load_model`. Paths begin at the training means that fill what is missing.
    """
    # Late, as TensorFlow takes seconds.
    from expressionist.explain import SampleExplainer

    served, network, _ = loaded
    fill = served.genes["fill"].to_numpy(np.float32)
    return SampleExplainer(network, to_log2(fill[None], served.unit)[0])


def explain_predictions(
    served: Served,
    explainer: "SampleExplainer",
    table: pd.DataFrame,
    filled: np.ndarray,
    predictions: pd.DataFrame,
    *,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Iterator[tuple[pd.DataFrame, float]]:
    """Explain the types predicted, sample by sample, with memory for a few samples.

    Parameters
    ----------
    served : Served
        From `load_model`.
    explainer : SampleExplainer
        From `make_explainer`.
    table : pandas.DataFrame of shape (n_samples, n_genes)
        From `prepare_table`.
    filled : numpy.ndarray of shape (n_samples, n_genes)
        From `prepare_table`.
    predictions : pandas.DataFrame of length n_samples
        What `predict` gave for the table.
    on_progress : callable
        Told how many samples are done, some at a time.

    Yields
    ------
    genes : pandas.DataFrame
        A row per gene, at most 20 ``for`` the type and 20 ``against`` it: ``direction``, ``rank``, ``gene``,
        ``symbol``, ``attribution`` (what the gene adds to the logit of the type minus the mean of all logits,
        over the mean training sample), ``share`` (of all that is added and taken away), ``expression`` in the
        model's unit, and ``filled`` (it was missing).
    completeness_gap : float
        What the attributions of all genes lack to adding up, as a share of what they should add up to.
    """
    targets = pd.Index(served.tumour_types).get_indexer(pd.Index(predictions["tumour_type"]))
    for start in range(0, len(table), _N_AT_ONCE):
        block = slice(start, start + _N_AT_ONCE)
        expression = table.iloc[block].to_numpy(np.float32)
        found = explainer.explain(to_log2(expression, served.unit), targets[block])
        for row, values in enumerate(found.values):
            listed = tabulate_genes(served, values, expression[row], filled[block][row])
            yield listed, float(found.gap[row])
        on_progress(len(expression))


def tabulate_genes(
    served: Served, values: np.ndarray, expression: np.ndarray, filled: np.ndarray, *, n_top: int = N_TOP
) -> pd.DataFrame:
    """Tabulate the first genes of one sample's attributions, by ``position``; all are (n_genes,)."""
    from expressionist.explain import list_top_genes

    listed = list_top_genes(values, n_top)
    chosen = listed.pop("position").to_numpy()
    listed.insert(2, "gene", served.genes.index[chosen])
    listed.insert(3, "symbol", served.genes["symbol"].to_numpy()[chosen])
    return listed.assign(expression=expression[chosen], filled=filled[chosen]).set_axis(chosen)


def lengthen(predictions: pd.DataFrame, explanations: Sequence[tuple[pd.DataFrame, float]]) -> pd.DataFrame:
    """Put what `explain_predictions` gave below each other: ``sample`` and type in front, the gap at the end.

    >>> predictions = pd.DataFrame({"sample": ["S1"], "tumour_type": ["UVM"], "probability": [0.9]})
    >>> lengthen(predictions, [(pd.DataFrame({"gene": ["g1", "g2"]}), 0.01)]).values.tolist()
    [['S1', 'UVM', 'g1', 0.01], ['S1', 'UVM', 'g2', 0.01]]
    """
    tables, gaps = zip(*explanations, strict=True)
    rows = np.repeat(np.arange(len(predictions)), [len(each) for each in tables])
    named = predictions[["sample", "tumour_type"]].iloc[rows].reset_index(drop=True)
    found = pd.concat([named, pd.concat(tables, ignore_index=True)], axis="columns")
    return found.assign(completeness_gap=np.array(gaps)[rows])


def predict_explained(loaded: Loaded, explainer: "SampleExplainer", table: pd.DataFrame) -> pd.DataFrame:
    """Predict, and explain every prediction in columns beside it.

    Parameters
    ----------
    loaded, explainer
        From `load_model` and `make_explainer`.
    table : pandas.DataFrame
        As `predict` takes it.

    Returns
    -------
    pandas.DataFrame
        That of `predict`, with ``completeness_gap`` and ``explanation``: a list with a dict per gene, whose
        keys are the columns that `explain_predictions` has for genes.
    """
    served = loaded[0]
    prepared, counts, filled = prepare_table(served, index_samples(table))
    predictions = predict(*loaded, prepared).assign(**counts)
    found = list(explain_predictions(served, explainer, prepared, filled, predictions))
    genes = pd.Series([listed.to_dict("records") for listed, _ in found], predictions.index, dtype=object)
    return predictions.assign(completeness_gap=[gap for _, gap in found], explanation=genes)


def read_ranking(version: Version) -> pd.DataFrame:
    """Read by which genes a version tells its tumour types, as the stage explain ranked them.

    Parameters
    ----------
    version : Version
        From `find_version`.

    Returns
    -------
    pandas.DataFrame of shape (n_types, n_genes)
        Scores, types in the index; NaN for a type that was not ranked.

    Raises
    ------
    RegistryError
        If no ranking hangs on the version.
    """
    from expressionist.explain import TESTED

    path = version.attributions / "attributions.npz"
    scores = read_arrays(path).get(TESTED) if path.is_file() else None
    served = read_served(version.folder)
    shape = len(served.tumour_types), len(served.genes)
    if scores is None or scores.shape != shape:
        raise RegistryError(
            f"A ranking of {shape[1]} genes for {shape[0]} types must hang on version {version.number} of "
            f"{version.name}, but does not. Use a version that was registered later."
        )
    return pd.DataFrame(scores, list(served.tumour_types), served.genes.index)
