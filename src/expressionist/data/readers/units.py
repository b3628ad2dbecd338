"""Values against the unit that was stated for them: a range that contradicts it is refused.

The thresholds, and why they are where they are:

- log2(x+1) above 40 would be more than 10^12 reads or transcripts per million; no assay reaches that. Real
  logarithms end near 23.
- log2(x+1) is whole only where x+1 is a power of two, so that a matrix of whole numbers is one of counts.
- Linear values below 25 throughout, with fractions, and with a middle above a tenth of their highest, are
  logarithms: 25 is above every log2 of expression, whereas linear expression spans four orders of magnitude
  and its middle lies thousands below its highest. A few genes may all be low and alike, so fewer than 50
  genes are not judged.
- Counts are whole numbers; one fraction is enough to contradict.
- Transcripts per million sum to a million. 10,000 genes and more hold nearly all of them, so that sums below
  half or above one and a half million are worth a word. It is a word only: a filtered table can be meant so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expressionist.data.cohort import AS_IS_UNIT, LINEAR_UNITS, LOG2_UNIT
from expressionist.data.quality import count_dropped
from expressionist.errors import CohortError, name_some

HIGHEST_LOG = 40.0
LOW_FOR_LINEAR = 25.0
_MIDDLE_OF_LOGS = 0.1
_FEWEST_GENES = 50
_FEWEST_WHOLE = 20
_NEARLY_ALL_GENES = 10_000
_N_ROWS_AT_ONCE = 64
_N_GENES_AT_ONCE = 256
_NEAR_A_MILLION = 0.05


@dataclass(frozen=True)
class UnitFacts:
    """What values in a unit are like.

    Parameters
    ----------
    negative : bool
        Whether they may be below 0.
    whole : bool
        Whether they must be whole numbers.
    logarithmic : bool
        Whether they are logarithms.
    linear : bool
        Whether they are proportional to what was measured.
    total : float, optional
        What the genes of a sample sum to.
    """

    negative: bool = False
    whole: bool = False
    logarithmic: bool = False
    linear: bool = False
    total: float | None = None


FACTS = {unit: UnitFacts(linear=True) for unit in LINEAR_UNITS} | {
    "counts": UnitFacts(linear=True, whole=True),
    "TPM": UnitFacts(linear=True, total=1e6),
    LOG2_UNIT: UnitFacts(logarithmic=True),
    AS_IS_UNIT: UnitFacts(negative=True),
}


@dataclass(frozen=True)
class Spread:
    """What a matrix of expression looks like, whatever its unit.

    Parameters
    ----------
    lowest, highest, middle : float
        Of all values; `middle` is the median of those that are not 0.
    n_values, n_zero, n_negative : int
        Counts of values.
    whole : bool
        Whether all values are whole numbers.
    first_fraction : tuple of (int, int), optional
        Row and column of the first value that is none.
    totals : numpy.ndarray of shape (n_samples,)
        Sum of each sample.
    """

    lowest: float
    highest: float
    middle: float
    n_values: int
    n_zero: int
    n_negative: int
    whole: bool
    first_fraction: tuple[int, int] | None
    totals: np.ndarray

    @property
    def looks_logarithmic(self) -> bool:
        """Whether values, if there are enough of them, lie like logarithms."""
        return (
            not self.whole and self.highest < LOW_FOR_LINEAR and self.middle > _MIDDLE_OF_LOGS * self.highest
        )


def measure_spread(expression: np.ndarray) -> Spread:
    """Measure what a unit is judged by.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, finite.

    Returns
    -------
    Spread
        Its range, zeros and sums. The middle is that of at most 64 samples, evenly spaced.

    Examples
    --------
    >>> spread = measure_spread(np.array([[0, 2], [4.5, 6]], "float32"))
    >>> spread.highest, spread.middle, spread.first_fraction
    (6.0, 4.5, (1, 0))
    """
    some = expression[:: max(1, len(expression) // _N_ROWS_AT_ONCE)]
    positive = some[some != 0]
    fraction = _find_fraction(expression)
    # A few genes at a time, as most files have them: a block stays in the cache for all its measures.
    starts = range(0, expression.shape[1], _N_GENES_AT_ONCE)
    blocks = [_measure_block(expression[:, start : start + _N_GENES_AT_ONCE]) for start in starts]
    lowest, highest, n_zero, n_negative, totals = zip(*blocks, strict=True)
    return Spread(
        lowest=float(min(lowest)),
        highest=float(max(highest)),
        middle=float(np.median(positive)) if len(positive) else 0.0,
        n_values=expression.size,
        n_zero=sum(n_zero),
        n_negative=sum(n_negative),
        whole=fraction is None,
        first_fraction=fraction,
        totals=np.sum(totals, axis=0),
    )


def _measure_block(block: np.ndarray) -> tuple[float, float, int, int, np.ndarray]:
    lowest = block.min()
    n_zero = block.size - int(np.count_nonzero(block))
    n_negative = int(np.count_nonzero(block < 0)) if lowest < 0 else 0
    return lowest, block.max(), n_zero, n_negative, block.sum(axis=1, dtype=np.float64)


def _find_fraction(expression: np.ndarray) -> tuple[int, int] | None:
    """Find the first value that is no whole number; a few rows at a time, since most have one there."""
    for first in range(0, len(expression), _N_ROWS_AT_ONCE):
        block = expression[first : first + _N_ROWS_AT_ONCE]
        broken = np.rint(block) != block
        if broken.any():
            row, column = np.unravel_index(int(np.argmax(broken)), broken.shape)
            return first + int(row), int(column)
    return None


def guess_unit(spread: Spread, kind: str) -> tuple[str, str]:
    """Guess the unit that values are in.

    Parameters
    ----------
    spread : Spread
        What they look like.
    kind : str
        Kind of the gene ids.

    Returns
    -------
    unit : str
        One of `expressionist.data.cohort.UNITS`.
    reason : str
        Why, and what else it could be.
    """
    if spread.n_negative:
        return AS_IS_UNIT, "some values are negative"
    if spread.whole:
        return "counts", "all values are whole numbers"
    if spread.highest < LOW_FOR_LINEAR:
        return LOG2_UNIT, f"no value reaches {LOW_FOR_LINEAR:g}"
    if abs(float(np.median(spread.totals)) / 1e6 - 1) < _NEAR_A_MILLION:
        return "RPM" if kind == "mirna" else "TPM", "samples sum to about a million"
    return "RSEM", "linear; by its values it could be FPKM or normalised counts as well, so check"


def check_unit(
    expression: np.ndarray, unit: str, samples: Sequence[str], genes: Sequence[str], path: Path
) -> list[dict[str, Any]]:
    """Refuse values whose range contradicts their unit.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, finite.
    unit : str
        One of `expressionist.data.cohort.UNITS`.
    samples, genes : sequence of str
        What rows and columns are called in the file.
    path : pathlib.Path
        The file, for messages.

    Returns
    -------
    list of dict
        What is odd but no contradiction, for quality.json.

    Raises
    ------
    CohortError
        If the values cannot be in that unit, a sample is 0 throughout, or no gene varies.
    """
    facts, spread = FACTS[unit], measure_spread(expression)
    constant = expression.min(axis=0) == expression.max(axis=0)
    _need_signal(spread, constant, facts, samples, path)
    n_genes = expression.shape[1]
    if facts.logarithmic:
        _need_logarithms(spread, unit, path)
    if facts.whole and spread.first_fraction is not None:
        row, column = spread.first_fraction
        raise CohortError(
            f"{path}: {unit} must be whole numbers, but got {expression[row, column]:.6g} for gene "
            f"{genes[column]} in sample {samples[row]} (values up to {spread.highest:.6g}). "
            f"{_mend_fractions(spread)}"
        )
    if facts.linear and n_genes >= _FEWEST_GENES and spread.looks_logarithmic:
        raise CohortError(
            f"{path}: expression in {unit} must span orders of magnitude, but got values up to "
            f"{spread.highest:.4g} only, half of them above {spread.middle:.4g}, like logarithms. State "
            f"unit: {LOG2_UNIT}, or give {unit}."
        )
    return [*_tell_constant(constant, genes), *_tell_oddities(spread, facts, unit, n_genes)]


def _need_signal(
    spread: Spread, constant: np.ndarray, facts: UnitFacts, samples: Sequence[str], path: Path
) -> None:
    if constant.all() and len(samples) > 1:
        raise CohortError(
            f"{path}: some gene must differ between samples, but got the same value in all {len(samples)} "
            f"samples for each of {len(constant)} genes. Check what was exported."
        )
    silent: list[int] = [] if facts.negative else np.flatnonzero(spread.totals == 0).tolist()
    if silent:
        raise CohortError(
            f"{path}: every sample must have some expression, but got 0 for all genes in {len(silent)} of "
            f"{len(samples)}: {name_some(samples[row] for row in silent)}. Remove these samples, or export "
            "them again."
        )


def _need_logarithms(spread: Spread, unit: str, path: Path) -> None:
    if spread.highest > HIGHEST_LOG:
        raise CohortError(
            f"{path}: {unit} must stay below {HIGHEST_LOG:g}, but got values up to {spread.highest:.6g}. "
            "State the linear unit that they are in (counts, RSEM, RPM, TPM or FPKM), or take logarithms."
        )
    if spread.whole and spread.n_values - spread.n_zero >= _FEWEST_WHOLE:
        raise CohortError(
            f"{path}: {unit} must have fractions, but got whole numbers only (up to {spread.highest:g}). "
            "State unit: counts, or take logarithms."
        )


def _mend_fractions(spread: Spread) -> str:
    if spread.looks_logarithmic:
        return f"They look like logarithms: state unit: {LOG2_UNIT}, or give counts."
    return "State the unit that they are in (such as RSEM or TPM), or give counts."


def _tell_constant(constant: np.ndarray, genes: Sequence[str]) -> list[dict[str, Any]]:
    rule = "gene with one value in all samples (kept; carries nothing, so it is never chosen)"
    return [count_dropped(rule, [genes[i] for i in np.flatnonzero(constant).tolist()])]


def _tell_oddities(spread: Spread, facts: UnitFacts, unit: str, n_genes: int) -> list[dict[str, Any]]:
    if facts.total is None or n_genes < _NEARLY_ALL_GENES:
        return []
    ratios = spread.totals / facts.total
    odd = int(((ratios < 0.5) | (ratios > 1.5)).sum())
    rule = f"sample whose {unit} do not sum to about {facts.total:,.0f} (kept)"
    return [{"rule": rule, "n": odd, "median_sum": float(np.median(spread.totals))}] if odd else []
