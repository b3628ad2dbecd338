"""What is registered and served: a user's table, aligned to the model's genes, becomes tumour types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from expressionist.data import AS_IS_UNIT, to_log2
from expressionist.errors import RegistryError, name_some
from expressionist.evaluation import Novelty

if TYPE_CHECKING:
    from keras import Model

SAMPLE_COLUMN = "sample"
NOVELTY_FILE = "novelty.npz"
_BATCH_SIZE = 32


@dataclass(frozen=True)
class Served:
    """What a model folder says about its network, besides the network itself.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, in the network's order: ``symbol``, and ``fill``, the training mean in `unit` that
        stands in for a gene that a table lacks.
    tumour_types : tuple of str
        What the network's outputs stand for.
    unit : str
        Unit of the expression that the network takes.
    missing_genes : float
        Share of the genes that a table may lack.
    synthetic : bool
        Whether the network was trained on simulated samples.
    weights : str
        ``imagenet`` or ``RANDOM``.
    cohort : str
        Its name.
    about : mapping
        What else is worth keeping.
    abstain_below : float
        Least probability of an answer; predictions below it are marked.
    temperature : float
        What the logits of ``model.keras``, which is as it was trained, are divided by.
    """

    genes: pd.DataFrame
    tumour_types: tuple[str, ...]
    unit: str
    missing_genes: float
    synthetic: bool
    weights: str
    cohort: str
    about: Mapping[str, Any]
    abstain_below: float = 0.0
    temperature: float = 1.0


@dataclass(frozen=True)
class Aligned:
    """A table in the network's gene order and unit: float32 of shape (n_samples, n_genes).

    `n_missing_genes` were filled, `n_by_symbol` found by their symbol rather than by their id.
    """

    expression: np.ndarray
    n_missing_genes: int
    n_by_symbol: int


def write_served(folder: Path, served: Served) -> None:
    """Write ``genes.tsv`` and ``model.json``; ``model.keras`` and ``novelty.npz`` belong next to them."""
    genes = served.genes[["symbol", "fill"]].rename_axis("gene")
    genes.to_csv(folder / "genes.tsv", sep="\t", float_format="%.9g", lineterminator="\n")
    about = {each.name: getattr(served, each.name) for each in fields(served) if each.name != "genes"}
    (folder / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_served(folder: Path) -> Served:
    """Read what `write_served` wrote."""
    columns = {"gene": str, "symbol": str, "fill": np.float32}
    genes = pd.read_csv(folder / "genes.tsv", sep="\t", dtype=columns, keep_default_na=False).set_index(
        "gene"
    )
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return Served(genes=genes, **{**about, "tumour_types": tuple(about["tumour_types"])})


def load_model(folder: Path) -> tuple[Served, "Model", Novelty]:
    """Load a model folder: what it says, its network, and what scores novelty."""
    # Late, as TensorFlow takes seconds.
    from expressionist.network import load_network

    served = read_served(folder)
    network = load_network(folder / "model.keras", served.temperature)
    with np.load(folder / NOVELTY_FILE) as arrays:
        return served, network, Novelty(**arrays)


def align(table: pd.DataFrame, genes: pd.DataFrame, max_missing: float, *, negative: bool = False) -> Aligned:
    """Bring a user's table into the network's gene order.

    A column is the gene whose id it bears; else, for ``SYMBOL|ENTREZ``, the gene whose id stands after the
    bar (or before it, where ids are symbols); else the gene whose symbol it bears, as long as only one gene
    of the network has that symbol. Other columns are ignored. The table may lack `max_missing` as a share of
    the genes; values below 0 are let through if `negative`.

    Raises
    ------
    RegistryError
        If there are no samples, a gene stands twice, too many are missing, or a value cannot be expression.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["TP53", "KRAS"], "fill": [5.0, 7.0]}, index=["7157", "3845"])
    >>> align(pd.DataFrame({"MYC": [9.0], "KRAS|3845": [2.0]}), genes, 0.5)
    Aligned(expression=array([[5., 2.]], dtype=float32), n_missing_genes=1, n_by_symbol=0)
    """
    if table.empty:
        raise RegistryError(
            f"A table must have samples and genes, but got {len(table)} rows, {len(table.columns)} columns. "
            "Give one row per sample."
        )
    position, n_by_symbol = _match([str(name) for name in table.columns], genes)
    found = position >= 0
    _refuse_missing(genes.index[~found], len(genes), max_missing)
    expression = np.tile(genes["fill"].to_numpy(np.float32), (len(table), 1))
    expression[:, found] = _read_values(table.iloc[:, position[found]], negative=negative)
    return Aligned(expression, int((~found).sum()), n_by_symbol)


def _match(names: list[str], genes: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Give the column of every gene, -1 where it has none, and how many were found by symbol."""
    by_id = {str(gene): row for row, gene in enumerate(genes.index)}
    symbols = genes["symbol"].astype(str)
    alone = ~symbols.duplicated(keep=False).to_numpy() & (symbols != "?").to_numpy()
    by_symbol = {symbol: row for row, symbol in enumerate(symbols) if alone[row]}
    position = np.full(len(genes), -1)
    twice, n_by_symbol = [], 0
    for column, name in enumerate(names):
        row, is_symbol = _find_row(name, by_id, by_symbol)
        if row is None:
            continue
        if position[row] >= 0:
            twice.append(f"{names[position[row]]} and {name}")
        position[row] = column
        n_by_symbol += is_symbol
    if twice:
        raise RegistryError(
            f"Every gene must have one column, but {len(twice)} have more: {name_some(twice)}. "
            "Drop the repeats."
        )
    return position, n_by_symbol


def _find_row(name: str, by_id: Mapping[str, int], by_symbol: Mapping[str, int]) -> tuple[int | None, bool]:
    if name in by_id:
        return by_id[name], False
    symbol, bar, identity = name.partition("|")
    if identity in by_id:
        return by_id[identity], False
    # A name with an id never goes by its unique symbol: another id under the same symbol is another gene.
    return (by_id.get(symbol) if bar else by_symbol.get(name)), True


def _refuse_missing(missing: pd.Index, n_genes: int, max_missing: float) -> None:
    if len(missing) > max_missing * n_genes:
        raise RegistryError(
            f"A table may lack {int(max_missing * n_genes)} of the model's {n_genes} genes, but "
            f"{len(missing)} are missing: {name_some(missing)}. "
            "Give samples in rows and genes in columns, under their ids or symbols."
        )


def _read_values(table: pd.DataFrame, *, negative: bool) -> np.ndarray:
    numbers = table.to_numpy(np.float64, na_value=np.nan) if _is_numeric(table) else _parse(table)
    with np.errstate(over="ignore", invalid="ignore"):
        values = numbers.astype(np.float32)
    _refuse_columns(
        table, ~np.isfinite(values), "be finite", "empty, NaN or infinite values", "Fill or drop them."
    )
    if not negative:
        _refuse_columns(
            table, values < 0, "not be negative", "negative values", "Clip them at 0 or check the unit."
        )
    return values


def _is_numeric(table: pd.DataFrame) -> bool:
    kinds = set(table.dtypes)
    return all(pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in kinds)


def _parse(table: pd.DataFrame) -> np.ndarray:
    # JSON and text files may bring numbers as text; what reads as a number is one.
    parsed = table.astype(object).apply(
        lambda column: pd.to_numeric(column.astype(str).where(column.notna()), "coerce")
    )
    text = parsed.isna().to_numpy() & table.notna().to_numpy()
    _refuse_columns(table, text, "be numbers", "other values", "Correct them.")
    return parsed.to_numpy(np.float64, na_value=np.nan)


def _refuse_columns(table: pd.DataFrame, bad: np.ndarray, must: str, got: str, mend: str) -> None:
    columns = table.columns[np.flatnonzero(bad.any(axis=0))]
    if len(columns):
        raise RegistryError(
            f"Expression must {must}, but {len(columns)} genes have {got}: {name_some(columns)}. {mend}"
        )


def predict(
    served: Served, network: "Model", novelty: Novelty, table: pd.DataFrame, *, once: bool = False
) -> pd.DataFrame:
    """Predict the tumour types of a user's samples.

    Parameters
    ----------
    served, network, novelty : Served, keras.Model, Novelty
        From `load_model`.
    table : pandas.DataFrame of shape (n_samples, any number of columns)
        Samples in rows, genes in columns, in the unit of `served`. Sample names are the column ``sample`` if
        there is one (an index does not survive JSON), else the index.
    once : bool
        Whether no other table will follow.

    Returns
    -------
    pandas.DataFrame of length n_samples
        ``sample``, ``tumour_type``, ``probability``, ``abstain`` (the probability is too low to answer),
        ``novelty`` (above 1: farther out than nearly all validation samples), ``unlike_training`` (it is),
        ``n_missing_genes``, ``n_genes_by_symbol``, and ``p_<tumour type>`` for every tumour type. The type is
        given whatever the marks say.

    Raises
    ------
    RegistryError
        If the table is none or does not fit the network, see `align`.
    """
    if not isinstance(table, pd.DataFrame):
        raise RegistryError(
            f"Expression must come as a table with gene names, but got {type(table).__name__}. "
            "Give a DataFrame, or dataframe_split or dataframe_records as JSON."
        )
    samples = table[SAMPLE_COLUMN] if SAMPLE_COLUMN in table else table.index
    aligned = align(
        table.drop(columns=SAMPLE_COLUMN, errors="ignore"),
        served.genes,
        served.missing_genes,
        negative=served.unit == AS_IS_UNIT,
    )
    if once and len(table) <= 2 * _BATCH_SIZE:
        # Tracing a graph takes longer than a few samples do without it.
        probabilities = np.asarray(network(aligned.expression, training=False))
    else:
        probabilities = np.asarray(network.predict(aligned.expression, batch_size=_BATCH_SIZE, verbose=0))
    novelty_score = novelty.score(to_log2(aligned.expression, served.unit))
    types = list(served.tumour_types)
    summary = pd.DataFrame(
        {
            SAMPLE_COLUMN: [str(name) for name in samples],
            "tumour_type": np.asarray(types, dtype=object)[probabilities.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
            "abstain": probabilities.max(axis=1) < served.abstain_below,
            "novelty": novelty_score,
            "unlike_training": novelty_score > 1,
            "n_missing_genes": aligned.n_missing_genes,
            "n_genes_by_symbol": aligned.n_by_symbol,
        }
    )
    return pd.concat([summary, pd.DataFrame(probabilities, columns=[f"p_{name}" for name in types])], axis=1)
