"""Deal the patients anew, time and again, and fit, choose and score everything on every deal."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from expressionist.evaluation import METRICS
from expressionist.files import write_table
from expressionist.params import (
    BaselinesParams,
    ExpressionParams,
    LayoutParams,
    NetworkParams,
    SearchParams,
    SplitParams,
    TrainingParams,
    WeightsParams,
)

_COLUMNS = ("repeat", "model", "kind", "depth", "n_train", "n_test", "validation_f1_macro", *METRICS)


def run(
    split: SplitParams,
    expression: ExpressionParams,
    layout: LayoutParams,
    backbones: tuple[str, ...],
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    baselines: BaselinesParams,
    *,
    cohort: Path,
    incoming: Path,
    cache: Path,
    cache_gigabytes: float,
    out: Path,
) -> None:
    """Write the test scores of every model on every deal but the first, which is the split of the others.

    Parameters
    ----------
    split, expression, layout, weights, network, training, search, baselines
        Sections of params.yaml. With `split.repeats` 1 the table has no rows. Studies are always local.
    backbones : tuple of str
        The networks.
    cohort : pathlib.Path
        Folder of the stage `prepare`.
    incoming : pathlib.Path
        Folder in which the file of gene sets lies that the layout method ``pathway`` reads.
    cache : pathlib.Path
        Folder that keeps what is done when this is killed; may be deleted at any time.
    cache_gigabytes : float
        Room that the frozen activations of one network may take.
    out : pathlib.Path
        Table to write.
    """
    rows: list[dict[str, Any]] = []
    if split.repeats > 1:
        # Most runs have one split, and need not wait for TensorFlow.
        from expressionist.pipeline import Recipe
        from expressionist.repeats import score_repeats

        recipe = Recipe(expression, layout, weights, network, training, search, baselines)
        rows.extend(
            score_repeats(
                split,
                recipe,
                backbones,
                cohort=cohort / "cohort.h5ad",
                incoming=incoming,
                cache=cache / "repeats",
                cache_gigabytes=cache_gigabytes,
                tell=Console().print,
            )
        )
    write_table(out, pd.DataFrame(rows, columns=list(_COLUMNS)), index=False)
