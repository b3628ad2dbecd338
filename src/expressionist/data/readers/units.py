"""Expression values: refused where they cannot be expression, or contradict the unit stated for them.

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expressionist.data.cohort import AS_IS_UNIT, LINEAR_UNITS, LOG2_UNIT
from expressionist.data.quality import count_dropped
from expressionist.errors import CohortError, name_some

_HIGHEST_LOG = 40.0
_LOW_FOR_LINEAR = 25.0
_MIDDLE_OF_LOGS = 0.1
_FEWEST_GENES = 50
_FEWEST_WHOLE = 20
_NEARLY_ALL_GENES = 10_000
_N_ROWS_AT_ONCE = 64
_N_GENES_AT_ONCE = 256
_NEAR_A_MILLION = 0.05
# What the genes of a sample sum to.
_TOTALS = {"TPM": 1e6}


def check_values(
    expression: np.ndarray,
    samples: Sequence[str],
    genes: Sequence[str],
    path: Path,
    *,
    missing: bool,
    negative: bool,
) -> None:
    """Refuse values, float32 of shape (n_samples, n_genes), that cannot be expression, naming the first.

    Infinite ones never are; `missing` and `negative` let NaN and values below 0 through.
    """
    # min and max hand on NaN; where missing values are let through, infinity beside them must still be seen.
    lowest = np.fmin.reduce(expression, axis=0) if missing else expression.min(axis=0)
    highest = np.fmax.reduce(expression, axis=0) if missing else expression.max(axis=0)
    rules: list[tuple[Callable[[np.ndarray], np.ndarray], str, str]] = [
        (np.isinf, "finite", "Correct it, even if it is only too large for float32.")
    ]
    if not missing:
        rules.append((np.isnan, "a number", "Fill in or drop what is missing."))
    if not negative:
        rules.append((_is_negative, "0 or more", "Clip it at 0 or correct it."))
    for is_fault, demand, mend in rules:
        genes_at_fault = is_fault(lowest) | is_fault(highest)
        if genes_at_fault.any():
            column = int(np.argmax(genes_at_fault))
            row = int(np.argmax(is_fault(expression[:, column])))
            raise CohortError(
                f"{path}: expression must be {demand}, but got {expression[row, column]:.6g} "
                f"for gene {genes[column]} in sample {samples[row]} "
                f"(genes with such values: {int(genes_at_fault.sum())}). {mend}"
            )


def _is_negative(values: np.ndarray) -> np.ndarray:
    return values < 0


@dataclass(frozen=True)
class Spread:
    """What a matrix of expression looks like, whatever its unit.

    `middle` is the median of the values that are not 0, `first_fraction` the row and column of the first
    value that is no whole number, `totals` the sums of the samples.
    """

    lowest: float
    highest: float
    middle: float
    n_not_zero: int
    first_fraction: tuple[int, int] | None
    totals: np.ndarray

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.first_fraction is None

    @property
    def looks_logarithmic(self) -> bool:
        """Whether values, if there are enough of them, lie like logarithms."""
        low = self.highest < _LOW_FOR_LINEAR and self.middle > _MIDDLE_OF_LOGS * self.highest
        return low and not self.whole


def measure_spread(expression: np.ndarray) -> Spread:
    """Measure what a unit is judged by, of finite float32 values of shape (n_samples, n_genes).

    The middle is that of at most 64 samples, evenly spaced.
    """
    some = expression[:: max(1, len(expression) // _N_ROWS_AT_ONCE)]
    positive = some[some != 0]
    # A few genes at a time, as most files have them: a block stays in the cache for all its measures.
    starts = range(0, expression.shape[1], _N_GENES_AT_ONCE)
    blocks = [_measure_block(expression[:, start : start + _N_GENES_AT_ONCE]) for start in starts]
    lowest, highest, n_not_zero, totals = zip(*blocks, strict=True)
    return Spread(
        lowest=float(min(lowest)),
        highest=float(max(highest)),
        middle=float(np.median(positive)) if len(positive) else 0.0,
        n_not_zero=sum(n_not_zero),
        first_fraction=_find_fraction(expression),
        totals=np.sum(totals, axis=0),
    )


def _measure_block(block: np.ndarray) -> tuple[float, float, int, np.ndarray]:
    return block.min(), block.max(), int(np.count_nonzero(block)), block.sum(axis=1, dtype=np.float64)


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
    """Guess the unit of values whose gene ids are of a kind, and say why, and what else it could be."""
    if spread.lowest < 0:
        return AS_IS_UNIT, "some values are negative"
    if spread.whole:
        return "counts", "all values are whole numbers"
    if spread.highest < _LOW_FOR_LINEAR:
        return LOG2_UNIT, f"no value reaches {_LOW_FOR_LINEAR:g}"
    if abs(float(np.median(spread.totals)) / 1e6 - 1) < _NEAR_A_MILLION:
        return "RPM" if kind == "mirna" else "TPM", "samples sum to about a million"
    return "RSEM", "linear; by its values it could be FPKM or normalised counts as well, so check"


def check_unit(
    expression: np.ndarray, unit: str, samples: Sequence[str], genes: Sequence[str], path: Path
) -> list[dict[str, Any]]:
    """Refuse finite float32 values, (n_samples, n_genes), that cannot be in the unit stated for them.

    A sample that is 0 throughout is refused too, and a matrix in which no gene varies. What is odd but no
    contradiction is returned, for quality.json.
    """
    spread = measure_spread(expression)
    constant = expression.min(axis=0) == expression.max(axis=0)
    _need_signal(spread, constant, unit, samples, path)
    n_genes = expression.shape[1]
    if unit == LOG2_UNIT:
        _need_logarithms(spread, unit, path)
    if unit == "counts" and spread.first_fraction is not None:
        row, column = spread.first_fraction
        mend = "State the unit that they are in (such as RSEM or TPM), or give counts."
        if spread.looks_logarithmic:
            mend = f"They look like logarithms: state unit: {LOG2_UNIT}, or give counts."
        raise CohortError(
            f"{path}: {unit} must be whole numbers, but got {expression[row, column]:.6g} for gene "
            f"{genes[column]} in sample {samples[row]} (values up to {spread.highest:.6g}). "
            f"{mend}"
        )
    if unit in LINEAR_UNITS and n_genes >= _FEWEST_GENES and spread.looks_logarithmic:
        raise CohortError(
            f"{path}: expression in {unit} must span orders of magnitude, but got values up to "
            f"{spread.highest:.4g} only, half of them above {spread.middle:.4g}, like logarithms. State "
            f"unit: {LOG2_UNIT}, or give {unit}."
        )
    rule = "gene with one value in all samples (kept; carries nothing, so it is never chosen)"
    told = count_dropped(rule, [genes[i] for i in np.flatnonzero(constant).tolist()])
    return [told, *_tell_odd_sums(spread, unit, n_genes)]


def _need_signal(spread: Spread, constant: np.ndarray, unit: str, samples: Sequence[str], path: Path) -> None:
    if constant.all() and len(samples) > 1:
        raise CohortError(
            f"{path}: some gene must differ between samples, but got the same value in all {len(samples)} "
            f"samples for each of {len(constant)} genes. Check what was exported."
        )
    silent: list[int] = [] if unit == AS_IS_UNIT else np.flatnonzero(spread.totals == 0).tolist()
    if silent:
        raise CohortError(
            f"{path}: every sample must have some expression, but got 0 for all genes in {len(silent)} of "
            f"{len(samples)}: {name_some(samples[row] for row in silent)}. Remove these samples, or export "
            "them again."
        )


def _need_logarithms(spread: Spread, unit: str, path: Path) -> None:
    if spread.highest > _HIGHEST_LOG:
        raise CohortError(
            f"{path}: {unit} must stay below {_HIGHEST_LOG:g}, but got values up to {spread.highest:.6g}. "
            "State the linear unit that they are in (counts, RSEM, RPM, TPM or FPKM), or take logarithms."
        )
    if spread.whole and spread.n_not_zero >= _FEWEST_WHOLE:
        raise CohortError(
            f"{path}: {unit} must have fractions, but got whole numbers only (up to {spread.highest:g}). "
            "State unit: counts, or take logarithms."
        )


def _tell_odd_sums(spread: Spread, unit: str, n_genes: int) -> list[dict[str, Any]]:
    if unit not in _TOTALS or n_genes < _NEARLY_ALL_GENES:
        return []
    ratios = spread.totals / _TOTALS[unit]
    odd = int(((ratios < 0.5) | (ratios > 1.5)).sum())
    rule = f"sample whose {unit} do not sum to about {_TOTALS[unit]:,.0f} (kept)"
    return [{"rule": rule, "n": odd, "median_sum": float(np.median(spread.totals))}] if odd else []
