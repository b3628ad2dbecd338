"""The simulated truth: how far each gene is raised or lowered in each tumour type, and by what."""

import numpy as np
import pandas as pd

from expressionist.data.resources import read_resource
from expressionist.data.sources.embedded.counts import RESIDUE
from expressionist.data.sources.embedded.genes import Genes


def tell_truth(genes: Genes, tumour_types: pd.Series) -> dict[str, pd.DataFrame]:
    """Tell what is expected of a type's tumour cells, beside the mean of all other samples' tumour cells.

    Returned are ``effect``, that difference of mean log2 counts at equal depth (float32), and
    ``effect_kind``, which of these makes most of it: planted ``marker``, ``own`` programme, ``tissue``
    programme (shared with relatives), ``module``, or what a ``relative`` has that samples lean to; empty
    where nothing moves a gene. Each has a gene per row and a type per column; `tumour_types` are the
    samples'.
    """
    n_samples = tumour_types.value_counts().reindex(genes.types).to_numpy()[:, None]
    shifts = _expect_shifts(genes)
    differences = np.stack([_subtract_others(shift, n_samples) for shift in shifts.values()])
    effect = differences.sum(axis=0)
    most = np.argmax(np.sign(effect) * differences, axis=0)
    kinds = pd.Index(["", *shifts])
    code = np.where(effect == 0, 0, most + 1)
    index, columns = genes.table.index, list(genes.types)
    named = {name: pd.Categorical.from_codes(row, kinds) for name, row in zip(columns, code, strict=True)}
    return {
        "effect": pd.DataFrame(effect.T.astype(np.float32), index, columns),
        "effect_kind": pd.DataFrame(named, index),
    }


def _expect_shifts(genes: Genes) -> dict[str, np.ndarray]:
    """Split what is expected of a type into what it has of itself, by kind, and of its relatives."""
    lean = _expect_lean(genes.types)
    kept = genes.detection + RESIDUE * (1 - genes.detection)
    parts = {"marker": genes.planted * kept, **genes.parts}
    stay = 1 - lean.sum(axis=1, keepdims=True)
    # Not a matrix product: its sums may depend on the number of threads, as the cohort must not.
    relative = np.einsum("ij,pjk->ik", lean, np.stack([*parts.values()]))
    return {**{kind: part * stay for kind, part in parts.items()}, "relative": relative}


def _expect_lean(types: tuple[str, ...]) -> np.ndarray:
    """Return how far samples of a type (row) lean to each other type on average."""
    relatives = read_resource("relatives.tsv")
    rows, columns = (pd.Index(types).get_indexer(pd.Index(relatives[side])) for side in ("type", "relative"))
    share, least, most = relatives[["share", "least", "most"]].to_numpy(float).T
    lean = np.zeros((len(types), len(types)))
    lean[rows, columns] = share * (least + most) / 2
    return lean


def _subtract_others(shift: np.ndarray, n_samples: np.ndarray) -> np.ndarray:
    """Subtract from each type's mean that over the samples of all others, as a fold change does."""
    total = (n_samples * shift).sum(axis=0)
    return shift - (total - n_samples * shift) / (n_samples.sum() - n_samples)
