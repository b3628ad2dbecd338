"""The cohort: expression with its samples and genes, and the checks that every source must pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from expressionist.data.names import refuse_names
from expressionist.data.units import AS_IS_UNIT, UNITS
from expressionist.errors import CohortError, name_some


@dataclass(frozen=True, eq=False)
class Cohort:
    """Expression of one source, with its sample and gene tables.

    Parameters
    ----------
    name : str
        What the cohort is called in tables, figures and MLflow.
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, in `unit`; finite, and never negative unless the unit is `AS_IS_UNIT`.
    samples : pandas.DataFrame of length n_samples
        Indexed by sample id (for TCGA the aliquot barcode), with the columns ``patient`` and ``tumour_type``.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id (str), with ``symbol``; from every source with ``entrez`` and ``ensembl``, empty
        where unknown; ``chromosome`` and ``start`` where positions are known; ``marker_of`` (tumour types,
        comma separated) where markers were planted.
    unit : str
        One of `UNITS`.
    synthetic : bool
        Whether the expression was simulated. Every product of such a cohort says so.
    truth : mapping of str to pandas.DataFrame of shape (n_genes, n_types)
        What a simulator did to the genes, with `genes`' index and a column per tumour type: ``effect``, how
        much more log2 a gene has in a type than in all others, and ``effect_kind``, what moves it most. Empty
        where it is not known.
    merged : mapping of str to sequence of str
        Tumour types that ``cohort.merge_types`` made, and the labels that each stands for.

    Raises
    ------
    CohortError
        If the parts do not fit together or the values cannot be expression.
    """

    name: str
    expression: np.ndarray
    samples: pd.DataFrame
    genes: pd.DataFrame
    unit: str
    synthetic: bool = False
    truth: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    merged: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_tables(self)
        _check_names(self)
        _check_values(self)

    @property
    def tumour_types(self) -> list[str]:
        """Tumour types that occur, in alphabetical order."""
        return sorted(self.samples["tumour_type"].unique())

    def take(
        self, samples: slice | np.ndarray = slice(None), genes: slice | np.ndarray = slice(None)
    ) -> "Cohort":
        """Return the cohort of some samples and genes only: slices, masks or positions, in their order."""
        return replace(
            self,
            expression=self.expression[samples][:, genes],
            samples=self.samples.iloc[samples],
            genes=self.genes.iloc[genes],
            truth={name: table.iloc[genes] for name, table in self.truth.items()},
        )


def _check_tables(cohort: Cohort) -> None:
    if cohort.unit not in UNITS:
        raise CohortError(
            f"The unit must be one of {', '.join(UNITS)}, but got {cohort.unit!r}. State the unit of the "
            "expression."
        )
    expected = (len(cohort.samples), len(cohort.genes))
    if cohort.expression.shape != expected:
        raise CohortError(
            f"Expression must be (n_samples, n_genes) = {expected}, but got {cohort.expression.shape}. "
            "Check the orientation of the matrix."
        )
    if 0 in expected:
        raise CohortError(
            f"A cohort must have samples and genes, but got {expected[0]} samples and {expected[1]} genes. "
            "Check what was filtered out."
        )
    for table, kind, columns in (
        (cohort.samples, "sample", ("patient", "tumour_type")),
        (cohort.genes, "gene", ("symbol",)),
    ):
        missing = [column for column in columns if column not in table]
        if missing:
            raise CohortError(
                f"The {kind} table must have the columns {', '.join(columns)}, but lacks "
                f"{', '.join(missing)}. Add them."
            )
        twice = table.index[table.index.duplicated()]
        if len(twice):
            raise CohortError(
                f"Every {kind} id must stand once, but {len(set(twice))} stand more often: "
                f"{name_some(dict.fromkeys(twice))}. Drop or rename the repeats."
            )
        empty = table.index[table[list(columns)].isna().any(axis=1)]
        if len(empty):
            raise CohortError(
                f"Every {kind} must have {' and '.join(columns)}, but {len(empty)} have not: "
                f"{name_some(empty)}. Fill them in or drop these rows."
            )
    for name, table in cohort.truth.items():
        if not table.index.equals(cohort.genes.index):
            raise CohortError(
                f"The truth must have the cohort's {len(cohort.genes)} genes as its rows, but {name!r} has "
                f"{len(table)} or other ones. Take samples and genes by Cohort.take."
            )
    types_per_patient = cohort.samples.groupby("patient")["tumour_type"].nunique()
    torn = types_per_patient.index[types_per_patient > 1]
    if len(torn):
        raise CohortError(
            f"A patient must have one tumour type, but {len(torn)} have several: {name_some(torn)}. "
            "Correct the labels or drop these patients."
        )


def _check_names(cohort: Cohort) -> None:
    for kind, table, columns in (
        ("sample", cohort.samples, ("patient", "tumour_type")),
        ("gene", cohort.genes, ("symbol", "chromosome")),
    ):
        refuse_names(table.index, f"{kind} id", "the cohort")
        for column in (name for name in columns if name in table):
            refuse_names(table[column].unique(), column.replace("_", " "), "the cohort")
    refuse_names([cohort.name], "name", "the cohort")


def _check_values(cohort: Cohort) -> None:
    if cohort.expression.dtype != np.float32:
        raise CohortError(
            f"Expression must be float32, but got {cohort.expression.dtype}. Convert it when reading."
        )
    # A sum is finite exactly when no NaN or infinity is in it (float64 cannot overflow on float32 values).
    with np.errstate(invalid="ignore"):
        per_gene = cohort.expression.sum(axis=0, dtype=np.float64)
    bad = cohort.genes.index[~np.isfinite(per_gene)]
    if len(bad):
        raise CohortError(
            f"Expression must be finite, but {len(bad)} genes have NaN or infinite values: {name_some(bad)}. "
            "Drop these genes or state how missing values are to be filled."
        )
    if cohort.unit == AS_IS_UNIT:
        return
    lowest = cohort.expression.min(axis=0)
    bad = cohort.genes.index[lowest < 0]
    if len(bad):
        raise CohortError(
            f"Expression in {cohort.unit} must not be negative, but {len(bad)} genes go down to "
            f"{lowest.min():.4g}: {name_some(bad)}. Clip the values at 0 or state another unit."
        )
