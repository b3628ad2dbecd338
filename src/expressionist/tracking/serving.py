"""What is registered and served: a user's table, aligned to the model's genes, becomes tumour types."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from expressionist.data import (
    AMBIGUOUS,
    AS_IS_UNIT,
    BY_FORMER_NAME,
    BY_ID,
    BY_SYMBOL,
    LOG2_UNIT,
    GeneMatch,
    Nomenclature,
    convert,
    match_genes,
    to_log2,
)
from expressionist.errors import RegistryError, name_some
from expressionist.evaluation import ABSTAIN, Novelty, answer_by_organ, doubt_novelty, find_organ_systems
from expressionist.tracking.model_folder import FOOTPRINT_FILE, NOVELTY_FILE, check_seal

if TYPE_CHECKING:
    from keras import Model

SAMPLE_COLUMN = "sample"
# What `predict` tells of a sample beside a probability of every type, as types of MLflow's schemas.
OUTPUTS = {
    SAMPLE_COLUMN: "string",
    "tumour_type": "string",
    "probability": "float",
    "abstain": "boolean",
    "organ_system": "string",
    "organ_system_probability": "float",
    "answer": "string",
    "novelty": "double",
    "unlike_training": "boolean",
    "n_missing_genes": "long",
    "n_genes_by_symbol": "long",
    "n_ambiguous_columns": "long",
}
_BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Served:
    """What a model folder says about its network, besides the network itself.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, in the network's order: ``symbol``, ``entrez`` and ``ensembl`` (which older
        models lack), and ``fill``, the training mean in `unit` that stands in for a gene that a table lacks.
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

    @cached_property
    def organ_systems(self) -> list[str]:
        """The organ system of every type."""
        return find_organ_systems(self.tumour_types, self.about.get("merged"))

    def knows(self, names: Sequence[str], nomenclature: Nomenclature | None = None) -> np.ndarray:
        """Mark which of some names are genes of the network, by any name that they have or had."""
        return match_genes([name.strip() for name in names], self.genes, nomenclature).rows >= 0


@dataclass(frozen=True)
class Aligned:
    """A table in the network's gene order and unit: float32 of shape (n_samples, n_genes).

    `n_missing_genes` were filled, `n_by_symbol` found by their symbol, or another name at HGNC, rather than
    by their id; `n_ambiguous` columns were left out, because their name is that of several genes. `filled`,
    of shape (n_samples, n_genes), marks the values of these genes, and those that were missing in a column.
    """

    expression: np.ndarray
    n_missing_genes: int
    n_by_symbol: int
    n_ambiguous: int
    filled: np.ndarray


def write_served(folder: Path, served: Served) -> None:
    """Write ``genes.tsv`` and ``model.json``; ``model.keras`` and ``novelty.npz`` belong next to them."""
    columns = [name for name in ("symbol", "entrez", "ensembl", "fill") if name in served.genes]
    genes = served.genes[columns].rename_axis("gene")
    genes.to_csv(folder / "genes.tsv", sep="\t", float_format="%.9g", lineterminator="\n")
    about = {each.name: getattr(served, each.name) for each in fields(served) if each.name != "genes"}
    (folder / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read_served(folder: Path) -> Served:
    """Read what `write_served` wrote."""
    columns = {"gene": str, "symbol": str, "entrez": str, "ensembl": str, "fill": np.float32}
    genes = pd.read_csv(folder / "genes.tsv", sep="\t", dtype=columns, keep_default_na=False).set_index(
        "gene"
    )
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    return Served(genes=genes, **{**about, "tumour_types": tuple(about["tumour_types"])})


# What `predict` takes.
Loaded = tuple[Served, "Model", Novelty]


def load_model(folder: Path) -> Loaded:
    """Load a model folder: what it says, its network, and what scores novelty.

    Whatever changed since it was registered is refused before it is read; Keras takes no code from the file.
    """
    # Late, as TensorFlow takes seconds.
    from expressionist.network import load_network

    try:
        check_seal(folder)
        served = read_served(folder)
        network = load_network(folder / "model.keras", served.temperature)
        with np.load(folder / NOVELTY_FILE) as arrays:
            return served, network, Novelty(**arrays)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise RegistryError(
            f"{folder} must hold a model as the stage register leaves it, but gave {reason}. Name a version "
            "that it made, or run it again."
        ) from error


def align(table: pd.DataFrame, served: Served, nomenclature: Nomenclature | None = None) -> Aligned:
    """Bring a user's table into the network's gene order.

    Which gene a column is says `match_genes`: by id, by symbol, or by any name that HGNC knows. Where several
    columns are one gene, its id or symbol wins over other names, and present names over former ones; former
    ones alone are ambiguous. Other columns are ignored. For the genes that a sample may lack the training
    means stand in; values below 0 are let through only where `served` takes expression as it is.

    Raises
    ------
    RegistryError
        If there are no samples, a gene stands twice, too many are missing, or a value cannot be expression.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["TP53", "KRAS"], "fill": [5.0, 7.0]}, index=["7157", "3845"])
    >>> served = Served(genes, ("A", "B"), "TPM", 0.5, False, "imagenet", "toy", {})
    >>> align(pd.DataFrame({"MYC": [9.0], "KRAS|3845": [2.0]}), served).expression
    array([[5., 2.]], dtype=float32)
    """
    if table.empty:
        raise RegistryError(
            f"A table must have samples and genes, but got {len(table)} rows, {len(table.columns)} columns. "
            "Give one row per sample."
        )
    genes, most = served.genes, served.missing_genes
    # Tables that come one after the other mostly have the same columns.
    position, n_by_symbol, n_ambiguous = _locate(
        served, tuple(map(str, table.columns.tolist())), nomenclature
    )
    found = position >= 0
    _refuse_missing(genes.index[~found], len(genes), most)
    read = _read_values(table.iloc[:, position[found]], negative=served.unit == AS_IS_UNIT)
    values = np.full((len(table), len(genes)), np.nan, np.float32)
    values[:, found] = read
    filled = np.isnan(values)
    _refuse_gaps(table.index, filled.sum(axis=1), len(genes), most)
    expression = np.where(filled, genes["fill"].to_numpy(np.float32), values)
    return Aligned(expression, int((~found).sum()), n_by_symbol, n_ambiguous, filled)


@lru_cache(maxsize=8)
def _locate(
    served: Served, names: tuple[str, ...], nomenclature: Nomenclature | None
) -> tuple[np.ndarray, int, int]:
    """Give the column of every gene, -1 where it has none, and how many are found by symbol or ambiguous."""
    match = match_genes(names, served.genes, nomenclature)
    position, n_ambiguous = _choose_columns(names, match, len(served.genes))
    return position, int((match.ways[position[position >= 0]] != BY_ID).sum()), n_ambiguous


def prepare_table(
    served: Served,
    table: pd.DataFrame,
    profile: np.ndarray | None = None,
    nomenclature: Nomenclature | None = None,
) -> tuple[pd.DataFrame, dict[str, int | np.ndarray], np.ndarray]:
    """Align a table once for all that is done with it, and to the ranks of training samples, if asked for.

    Parameters
    ----------
    served : Served
        What the model takes.
    table : pandas.DataFrame of shape (n_samples, any number of columns)
        As for `predict`, samples in the index.
    profile : numpy.ndarray of shape (n_genes,), optional
        ``Footprint.profile``, for `align_ranks`.
    nomenclature : Nomenclature, optional
        What genes are called; the package's own copy of HGNC's table if not given.

    Returns
    -------
    table : pandas.DataFrame of shape (n_samples, n_genes)
        In the unit and with the genes of `served`, and no others.
    counts : dict of str to int
        What `predict` says of the alignment; it finds every gene in the table returned.
    filled : numpy.ndarray of shape (n_samples, n_genes)
        Which values were missing, so that a training mean stands there.
    """
    aligned = align(table, served, nomenclature)
    expression = aligned.expression
    if profile is not None:
        # Late, as scipy.stats takes long.
        from expressionist.evaluation import align_ranks

        log2 = align_ranks(to_log2(expression, served.unit), profile)
        kept = served.unit == AS_IS_UNIT
        expression = convert(log2, AS_IS_UNIT if kept else LOG2_UNIT, served.unit)
    prepared = pd.DataFrame(expression, table.index, served.genes.index)
    return prepared, _count(aligned), aligned.filled


def find_profile(folder: Path, align: str) -> np.ndarray | None:
    """Find what `prepare_table` aligns to in a model folder; None if nothing is to be aligned.

    Parameters
    ----------
    folder : pathlib.Path
        A version's.
    align : str
        ``none`` or ``rank``; another word is refused.
    """
    if align == "none":
        return None
    if align != "rank":
        raise RegistryError(f"align must be none or rank, but got {align!r}. Choose one.")
    path = folder / FOOTPRINT_FILE
    if not path.is_file():
        raise RegistryError(
            f"A version must have {path.name} to align to its training samples, but {folder} has none. Use a "
            "version that was registered later."
        )
    with np.load(path) as arrays:
        return np.asarray(arrays["profile"])


def _count(aligned: Aligned) -> dict[str, int | np.ndarray]:
    return {
        "n_missing_genes": aligned.filled.sum(axis=1),
        "n_genes_by_symbol": aligned.n_by_symbol,
        "n_ambiguous_columns": aligned.n_ambiguous,
    }


def _choose_columns(names: Sequence[str], match: GeneMatch, n_genes: int) -> tuple[np.ndarray, int]:
    """Give the column of every gene, -1 where it has none, and count those whose name is ambiguous."""
    position, twice, tied = np.full(n_genes, -1), [], set()
    # Ids and symbols are equally sure, and come first.
    ways = np.maximum(match.ways, BY_SYMBOL)
    for column in np.argsort(ways, kind="stable").tolist():
        row = match.rows[column]
        if row < 0:
            continue
        other = position[row]
        if other < 0:
            position[row] = column
        elif ways[column] == ways[other] == BY_FORMER_NAME:
            tied |= {column, int(other)}
        elif ways[column] == ways[other]:
            twice.append(f"{names[other]} and {names[column]}")
    if twice:
        raise RegistryError(
            f"Every gene must have one column, but {len(twice)} have more: {name_some(twice)}. "
            "Drop the repeats."
        )
    position[np.isin(position, list(tied))] = -1
    return position, int((match.rows == AMBIGUOUS).sum()) + len(tied)


def _refuse_missing(missing: pd.Index, n_genes: int, max_missing: float) -> None:
    if len(missing) > max_missing * n_genes:
        raise RegistryError(
            f"A table may lack {int(max_missing * n_genes)} of the model's {n_genes} genes, but "
            f"{len(missing)} are missing: {name_some(missing)}. "
            "Give samples in rows and genes in columns, under their ids or symbols."
        )


def _refuse_gaps(samples: pd.Index, n_missing: np.ndarray, n_genes: int, max_missing: float) -> None:
    lacking = samples[n_missing > max_missing * n_genes]
    if len(lacking):
        raise RegistryError(
            f"A sample may lack {int(max_missing * n_genes)} of the model's {n_genes} genes, but "
            f"{len(lacking)} samples lack more, up to {n_missing.max()}: {name_some(lacking)}. Fill in "
            "what is missing, or leave these samples out."
        )


def _read_values(table: pd.DataFrame, *, negative: bool) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = table if _is_numeric(table) else _parse(table)
        values = np.ascontiguousarray(numbers.to_numpy(np.float32, na_value=np.nan))
    _refuse_columns(table, np.isinf(values), "be finite", "infinite values", "Correct or drop them.")
    if not negative:
        _refuse_columns(
            table, values < 0, "not be negative", "negative values", "Clip them at 0 or check the unit."
        )
    return values


def _is_numeric(table: pd.DataFrame) -> bool:
    kinds = table.dtypes.unique()
    return all(pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in kinds)


def _parse(table: pd.DataFrame) -> pd.DataFrame:
    # JSON and text files may bring numbers as text; what reads as a number is one.
    parsed = table.astype(object).apply(
        lambda column: pd.to_numeric(column.astype(str).where(column.notna()), "coerce")
    )
    text = parsed.isna().to_numpy() & table.notna().to_numpy()
    _refuse_columns(table, text, "be numbers", "other values", "Correct them.")
    return parsed


def _refuse_columns(table: pd.DataFrame, bad: np.ndarray, must: str, got: str, mend: str) -> None:
    columns = table.columns[np.flatnonzero(bad.any(axis=0))]
    if len(columns):
        raise RegistryError(
            f"Expression must {must}, but {len(columns)} genes have {got}: {name_some(columns)}. {mend}"
        )


def state_scope(served: Served, novelty: Novelty) -> str:
    """Say what probabilities are among, and how little it proves that a sample is, or is not, flagged.

    Parameters
    ----------
    served, novelty : Served, Novelty
        Of the model.

    Returns
    -------
    str
        One to three sentences.
    """
    scope = f"Probabilities are among the {len(served.tumour_types)} types that the model knows."
    # Versions registered before do not say.
    flagged = served.about.get("flagged")
    if flagged:
        n, total = flagged["test"]
        are = {0: "none is", 1: "1 is"}.get(n, f"{n:,} are")
        scope += f" Of its own {total:,} test samples {are} flagged as unlike the training samples."
    return f"{scope} {doubt_novelty(served.about.get('n_limiting'), novelty.by_normal.shape[1])}".strip()


def _run(network: "Model", expression: np.ndarray) -> np.ndarray:
    # Late, as TensorFlow takes seconds. Keras's own way to predict takes 100 ms before it begins.
    from expressionist.network import trace_prediction

    run, n_samples = trace_prediction(network), len(expression)
    blocks = (expression[start : start + _BATCH_SIZE] for start in range(0, n_samples, _BATCH_SIZE))
    return np.concatenate([np.asarray(run(block)) for block in blocks])


def index_samples(table: pd.DataFrame) -> pd.DataFrame:
    """Move the names of samples into the index, if they have a column; refuse what is no table."""
    if not isinstance(table, pd.DataFrame):
        raise RegistryError(
            f"Expression must come as a table with gene names, but got {type(table).__name__}. "
            "Give a DataFrame, or dataframe_split or dataframe_records as JSON."
        )
    n_named = list(table.columns).count(SAMPLE_COLUMN)
    if n_named > 1:
        raise RegistryError(
            f"A table may have one column {SAMPLE_COLUMN}, but got {n_named}. Drop all but the one "
            "with the samples' names."
        )
    return table.set_index(SAMPLE_COLUMN) if n_named else table


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
        ``organ_system``, ``organ_system_probability`` and ``answer`` (see `answer_by_organ`; none where the
        sample is unlike the training cohort),
        ``novelty`` (above 1: farther out than nearly all samples that set it), ``unlike_training`` (it is),
        ``n_missing_genes``, ``n_genes_by_symbol``, ``n_ambiguous_columns`` (see `Aligned`), and
        ``p_<tumour type>`` for every tumour type. The type is given whatever the marks say.

    Raises
    ------
    RegistryError
        If the table is none or does not fit the network, see `align`.
    """
    table = index_samples(table)
    aligned = align(table, served)
    if once and len(table) <= 2 * _BATCH_SIZE:
        # Tracing a graph takes longer than a few samples do without it.
        probabilities = np.asarray(network(aligned.expression, training=False))
    else:
        probabilities = _run(network, aligned.expression)
    novelty_score = novelty.score(to_log2(aligned.expression, served.unit))
    types = list(served.tumour_types)
    by_organ = answer_by_organ(probabilities, types, served.organ_systems, served.abstain_below)
    by_organ.loc[novelty_score > 1, "answer"] = ABSTAIN
    summary = pd.DataFrame(
        {
            SAMPLE_COLUMN: [str(name) for name in table.index],
            "tumour_type": np.asarray(types, dtype=object)[probabilities.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
            "abstain": probabilities.max(axis=1) < served.abstain_below,
            **by_organ,
            "novelty": novelty_score,
            "unlike_training": novelty_score > 1,
            **_count(aligned),
        }
    )
    return pd.concat([summary, pd.DataFrame(probabilities, columns=[f"p_{name}" for name in types])], axis=1)
