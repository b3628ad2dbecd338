"""Expression values: refused where they cannot be expression, or contradict the unit stated for them.

The thresholds, and why they are where they are:

- A logarithm above log2(x) = 40 would be of more than 10^12 reads or transcripts per million; no assay
  reaches that. Real ones end near 23.
- log2(x+1) is whole only where x+1 is a power of two, so that a matrix of whole numbers is one of counts.
- Where 1 was added nothing is below 0, nor in a linear unit; where 0.001 was added nothing is below -9.9658,
  which is what 0 became. Batch correction leaves some values below 0; more than 5%, some of them below
  -1, are not its work, nor are more than 25%; fewer than 20 values are not judged.
- Where less than 1 was added, values that are 0 would be of x = 1 or 0.999; more than 1% of them, and none
  below, are those of a logarithm to which 1 was added.
- Under a logarithm of counts there are whole numbers, and of TPM at least a third and at most three times of
  their sum if 10,000 genes and more are there; another base, or another unit, misses that.
- Linear values below 25 throughout, with fractions, and with a middle above a tenth of their highest, are
  logarithms: 25 is above every log2 of expression, whereas linear expression spans four orders of magnitude
  and its middle lies thousands below its highest. A few genes may all be low and alike, so fewer than 50
  genes are not judged.
- Counts are whole numbers; one fraction is enough to contradict.
- Transcripts per million sum to a million. 10,000 genes and more hold nearly all of them, so that sums below
  half or above one and a half million are worth a word. It is a word only: a filtered table can be meant so.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from expressionist.data.quality import count_dropped
from expressionist.data.readers.row_source import RowSource, cut_rows
from expressionist.data.units import (
    AS_IS_UNIT,
    LINEAR_UNITS,
    LOG2_UNIT,
    Unit,
    convert,
    parse_unit,
    undo_logarithm,
)
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
_TOO_MANY = 0.01  # as a share of the values
# Batch correction left the Pan-Cancer Atlas's COAD and READ with 1.04% of values below 0, 17% in one sample,
# but none below -0.97.
_TOO_MANY_NEGATIVE, _TOO_LOW, _FAR_TOO_MANY_NEGATIVE = 0.05, -1.0, 0.25
# What UCSC's Toil recompute adds.
_PLUS_OF_TOIL = 0.001
_TOIL = Unit("x", "log2", _PLUS_OF_TOIL)
_NEAR_FLOOR = 0.01
# Whole numbers, undone from logarithms of few decimals, are as near as that; others lie 0.25 off.
_SMALL_COUNT, _NEAR_WHOLE = 100.0, 0.1
_FAR_FROM_TOTAL = 3.0
# Of how many genes, and how far from 0 and 1 their means and standard deviations may lie, if they are scaled.
_N_GENES_JUDGED, _NEAR_SCALED = 2_000, 0.15
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
        rules.append((np.isnan, "a number", "Fill it in, or state missing: drop or zero."))
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
    value that is no whole number, `totals` the sums of the samples. If `scaled`, each gene has a mean of
    about 0 and a standard deviation of about 1.
    """

    lowest: float
    highest: float
    middle: float
    n_not_zero: int
    first_fraction: tuple[int, int] | None
    totals: np.ndarray
    scaled: bool

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.first_fraction is None

    @property
    def looks_logarithmic(self) -> bool:
        """Whether values, if there are enough of them, lie like logarithms."""
        low = self.highest < _LOW_FOR_LINEAR and self.middle > _MIDDLE_OF_LOGS * self.highest
        return low and not self.whole


def measure_spread(expression: np.ndarray | RowSource) -> Spread:
    """Measure what a unit is judged by, of finite float32 values of shape (n_samples, n_genes).

    The middle is that of at most 127 samples, evenly spaced; of what is read by rows they also say whether
    genes are scaled.
    """
    some = _take_some(expression)
    positive = some[some != 0]
    lowest, highest, n_not_zero, totals, fraction = [], [], 0, [], None
    for first, rows in cut_rows(expression):
        # A few genes at a time, as most files have them: a block stays in the cache for all its measures.
        starts = range(0, rows.shape[1], _N_GENES_AT_ONCE)
        blocks = [_measure_block(rows[:, start : start + _N_GENES_AT_ONCE]) for start in starts]
        lows, highs, counts, sums = zip(*blocks, strict=True)
        lowest.append(min(lows))
        highest.append(max(highs))
        n_not_zero += sum(counts)
        totals.append(np.sum(sums, axis=0))
        if fraction is None and (found := _find_fraction(rows)) is not None:
            fraction = first + found[0], found[1]
    judged = expression if isinstance(expression, np.ndarray) else some
    return Spread(
        lowest=float(min(lowest)),
        highest=float(max(highest)),
        middle=float(np.median(positive)) if len(positive) else 0.0,
        n_not_zero=n_not_zero,
        first_fraction=fraction,
        totals=np.concatenate(totals),
        scaled=min(lowest) < 0 and _look_scaled(judged),
    )


def _take_rows(expression: np.ndarray | RowSource, rows: np.ndarray) -> np.ndarray:
    return expression[rows] if isinstance(expression, np.ndarray) else expression.read(rows)


def _take_some(expression: np.ndarray | RowSource) -> np.ndarray:
    """Take evenly spaced samples, 64 to 127 where there are as many."""
    n_samples = expression.shape[0]
    return _take_rows(expression, np.arange(0, n_samples, max(1, n_samples // _N_ROWS_AT_ONCE)))


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


def _look_scaled(expression: np.ndarray) -> bool:
    """Say whether most genes, NaN let through, have a mean of about 0 and a standard deviation of about 1."""
    some = expression[:, :: max(1, expression.shape[1] // _N_GENES_JUDGED)]
    # A gene without any value is no news here.
    with warnings.catch_warnings(category=RuntimeWarning, action="ignore"):
        means, deviations = np.nanmean(some, axis=0), np.nanstd(some, axis=0)
    varying = deviations > 0
    off = np.maximum(np.abs(means), np.abs(deviations - 1))[varying]
    return bool(len(off)) and float(np.median(off)) < _NEAR_SCALED


def guess_unit(spread: Spread, kind: str, logarithm: str = "") -> tuple[str, str]:
    """Guess the unit of values whose gene ids are of a kind, and say why, and what else it could be.

    `logarithm` is the one, if any, that the file says was taken.
    """
    if spread.scaled:
        return AS_IS_UNIT, "genes have a mean of 0 and a standard deviation of 1: scaled, so no expression"
    if _is_at_floor(spread.lowest):
        return str(_TOIL), f"the lowest value is log2({_PLUS_OF_TOIL:g}); state what x is, if you know"
    if spread.lowest < 0 and spread.highest >= _LOW_FOR_LINEAR:
        reached = f"{spread.highest:.4g}, like linear expression"
        return (
            AS_IS_UNIT,
            f"many values are negative, but others reach {reached}: look why, and state the unit",
        )
    if spread.lowest < 0:
        return AS_IS_UNIT, "some values are negative"
    if spread.whole:
        return "counts", "all values are whole numbers"
    if spread.highest < _LOW_FOR_LINEAR and logarithm:
        return f"{logarithm}(x+1)", "the file says so, in uns['log1p']"
    if spread.highest < _LOW_FOR_LINEAR:
        return LOG2_UNIT, f"no value reaches {_LOW_FOR_LINEAR:g}"
    if abs(float(np.median(spread.totals)) / 1e6 - 1) < _NEAR_A_MILLION:
        return "RPM" if kind == "mirna" else "TPM", "samples sum to about a million"
    return "RSEM", "linear; by its values it could be FPKM or normalised counts as well, so check"


def _is_at_floor(lowest: float) -> bool:
    return abs(lowest - math.log2(_PLUS_OF_TOIL)) < _NEAR_FLOOR


def settle_unit(
    expression: np.ndarray, text: str, samples: Sequence[str], genes: Sequence[str], path: Path
) -> tuple[np.ndarray, str, list[dict[str, Any]]]:
    """Check values against the unit stated for them, and bring them into one that a cohort is kept in.

    Returns them, that unit, and entries for quality.json.
    """
    rules, unit = check_unit(expression, text, samples, genes, path), parse_unit(text)
    if str(unit) == unit.kept_in:
        return expression, unit.kept_in, rules
    rules.append({"rule": f"value converted from {unit} to {unit.kept_in}", "n": expression.size})
    return convert(expression, text, unit.kept_in), unit.kept_in, rules


def check_unit(
    expression: np.ndarray, text: str, samples: Sequence[str], genes: Sequence[str], path: Path
) -> list[dict[str, Any]]:
    """Refuse finite float32 values, (n_samples, n_genes), that cannot be in the unit stated for them.

    A sample that is 0 throughout is refused too, and a matrix in which no gene varies. What is odd but no
    contradiction is returned, for quality.json.
    """
    spread, unit = measure_spread(expression), parse_unit(text)
    constant = expression.min(axis=0) == expression.max(axis=0)
    _need_signal(spread, constant, unit, samples, path)
    refuse_negative(expression, unit, path)
    refuse_contradiction(expression, spread, unit, samples, genes, path)
    rule = "gene with one value in all samples (kept; carries nothing, so it is never chosen)"
    told = count_dropped(rule, [genes[i] for i in np.flatnonzero(constant).tolist()])
    return [told, *_tell_odd_sums(spread, unit, expression.shape[1])]


def refuse_other_unit(
    expression: np.ndarray, text: str, samples: Sequence[str], genes: Sequence[str], origin: str
) -> None:
    """Refuse values that contradict the unit stated for them, whatever they are for.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, finite.
    text : str
        The unit, as `parse_unit` reads it.
    samples, genes : sequence of str
        What the rows and columns are called.
    origin : str
        What the refusal begins with: the file, or what else the values came from.

    Raises
    ------
    CohortError
        If the values are in another unit; it says which one they look like.
    """
    unit = parse_unit(text)
    refuse_negative(expression, unit, origin)
    refuse_contradiction(expression, measure_spread(expression), unit, samples, genes, origin)


def refuse_contradiction(
    expression: np.ndarray | RowSource,
    spread: Spread,
    unit: Unit,
    samples: Sequence[str],
    genes: Sequence[str],
    origin: Path | str,
    wanted: str = "",
) -> None:
    """Refuse values whose spread contradicts their unit, as `refuse_other_unit` does, negative ones apart.

    What is `wanted` of them says whether to state another unit can help: counts are made of nothing else.
    """
    n_samples, n_genes = expression.shape
    if unit.logarithm:
        _need_logarithms(spread, unit, origin)
        _need_floor(spread, unit, n_samples * n_genes, origin)
        _need_sense(_take_some(expression), unit, origin)
    if str(unit) == "counts" and spread.first_fraction is not None:
        row, column = spread.first_fraction
        found = _take_rows(expression, np.array([row]))[0, column]
        mend = "State the unit that they are in (such as RSEM or TPM), or give counts."
        if spread.looks_logarithmic:
            mend = f"They look like logarithms: state unit: {LOG2_UNIT}, or give counts."
        elif wanted and parse_unit(wanted).of == "counts":
            mend = "Nothing else becomes counts, which the model takes: give the counts themselves."
        raise CohortError(
            f"{origin}: {unit} must be whole numbers, but got {found:.6g} for gene "
            f"{genes[column]} in sample {samples[row]} (values up to {spread.highest:.6g}). "
            f"{mend}"
        )
    if str(unit) in LINEAR_UNITS and n_genes >= _FEWEST_GENES and spread.looks_logarithmic:
        raise CohortError(
            f"{origin}: expression in {unit} must span orders of magnitude, but got values up to "
            f"{spread.highest:.4g} only, half of them above {spread.middle:.4g}, like logarithms. State "
            f"unit: {LOG2_UNIT}, or give {unit}."
        )


def refuse_negative(expression: np.ndarray | RowSource, unit: Unit, origin: Path | str) -> None:
    """Refuse more values below 0 than batch correction leaves, NaN let through; say what they look like."""
    if unit.may_be_negative:
        return
    n_negative, n_given, lowest = 0, 0, 0.0
    for _, rows in cut_rows(expression):
        for start in range(0, rows.shape[1], _N_GENES_AT_ONCE):
            block = rows[:, start : start + _N_GENES_AT_ONCE]
            n_negative += int(np.count_nonzero(block < 0))
            n_given += block.size - int(np.count_nonzero(np.isnan(block)))
            lowest = min(lowest, float(np.fmin.reduce(block, axis=None)))
    most = _TOO_MANY_NEGATIVE if lowest <= _TOO_LOW else _FAR_TOO_MANY_NEGATIVE
    if n_negative < max(_FEWEST_WHOLE, most * n_given):
        return
    looks, mend = "", "State the unit that they are in, such as log2(x) or as is."
    if _is_at_floor(lowest):
        looks = f", like {_TOIL}"
        mend = f"State unit: {_TOIL}, or {replace(_TOIL, of='TPM')} if x is TPM."
    elif _look_scaled(expression if isinstance(expression, np.ndarray) else _take_some(expression)):
        looks = ", like scaled genes (means of 0, standard deviations of 1)"
        mend = "Give them before they were scaled; in an .h5ad name a layer or raw/X as `matrix`."
    raise CohortError(
        f"{origin}: expression in {unit} must be 0 or more, but got {n_negative / n_given:.0%} of the values "
        f"below 0, down to {lowest:.6g}{looks}. {mend}"
    )


def clip_negative(expression: np.ndarray) -> dict[str, Any]:
    """Set values below 0, which batch correction leaves, to 0 in place; return the entry for quality.json."""
    n, lowest = 0, np.float32(0)
    # By genes, as the file has them; what is compared with 0 stays in the processor's cache.
    for start in range(0, expression.shape[1], _N_GENES_AT_ONCE):
        block = expression[:, start : start + _N_GENES_AT_ONCE]
        n += int(np.count_nonzero(block < 0))
        lowest = np.fmin(lowest, np.fmin.reduce(block, axis=None))
        np.maximum(block, 0, out=block)
    entry: dict[str, Any] = {"rule": "value below 0 set to 0", "n": n}
    return entry | {"lowest": float(lowest)} if n else entry


def _need_signal(
    spread: Spread, constant: np.ndarray, unit: Unit, samples: Sequence[str], path: Path
) -> None:
    if constant.all() and len(samples) > 1:
        raise CohortError(
            f"{path}: some gene must differ between samples, but got the same value in all {len(samples)} "
            f"samples for each of {len(constant)} genes. Check what was exported."
        )
    refuse_silent(spread.totals == 0, unit, samples, path)


def refuse_silent(is_silent: np.ndarray, unit: Unit, samples: Sequence[str], path: Path) -> None:
    """Refuse samples that are 0 throughout, where that means no expression."""
    silent: list[int] = [] if unit.may_be_negative else np.flatnonzero(is_silent).tolist()
    if silent:
        raise CohortError(
            f"{path}: every sample must have some expression, but got 0 for all genes in {len(silent)} of "
            f"{len(samples)}: {name_some(samples[row] for row in silent)}. Remove these samples, or export "
            "them again."
        )


def _need_logarithms(spread: Spread, unit: Unit, origin: Path | str) -> None:
    highest = _HIGHEST_LOG / math.log2(unit.base)
    if spread.highest > highest:
        raise CohortError(
            f"{origin}: {unit} must stay below {highest:.3g}, but got values up to {spread.highest:.6g}. "
            "State the linear unit that they are in (counts, RSEM, RPM, TPM or FPKM), or take logarithms."
        )
    if spread.whole and spread.n_not_zero >= _FEWEST_WHOLE:
        raise CohortError(
            f"{origin}: {unit} must have fractions, but got whole numbers only (up to {spread.highest:g}). "
            "State unit: counts, or take logarithms."
        )


def _need_floor(spread: Spread, unit: Unit, n_values: int, origin: Path | str) -> None:
    """Refuse logarithms to which something else was added: their lowest value, of x = 0, tells."""
    if unit.plus == 1:
        return
    n_zero = n_values - spread.n_not_zero
    if spread.lowest >= 0 and n_zero >= _FEWEST_WHOLE and n_zero > _TOO_MANY * n_values:
        raise CohortError(
            f"{origin}: {unit} must be below 0 where x is 0, but got no value below 0, and 0 for "
            f"{n_zero / n_values:.0%} of them, like {replace(unit, plus=1.0)}. State that unit."
        )
    if not unit.plus and _is_at_floor(spread.lowest):
        raise CohortError(
            f"{origin}: {unit} must have no lowest value that 0 became, but got {spread.lowest:.6g}, "
            f"which is log2({_PLUS_OF_TOIL:g}). State unit: {replace(unit, plus=_PLUS_OF_TOIL)}."
        )
    if unit.plus and spread.lowest < math.log(unit.plus, unit.base) - _NEAR_FLOOR:
        raise CohortError(
            f"{origin}: {unit} must be at least {math.log(unit.plus, unit.base):.6g}, but got "
            f"{spread.lowest:.6g}. State unit: {replace(unit, plus=0.0)}, or as is."
        )


def _need_sense(some: np.ndarray, unit: Unit, origin: Path | str) -> None:
    """Refuse logarithms of some samples below which there is not what they are said to be of."""
    linear = undo_logarithm(some, replace(unit, of="x"))
    small = linear[(linear > 0.5) & (linear < _SMALL_COUNT)]
    off = np.abs(small - np.rint(small))
    if unit.of == "counts" and len(off) >= _FEWEST_WHOLE and np.median(off) > _NEAR_WHOLE:
        raise CohortError(
            f"{origin}: {unit} must be of whole numbers, but got {small[np.argmax(off)]:.4g} below the "
            f"logarithm. State what it is of, or unit: {LOG2_UNIT}."
        )
    if unit.of not in _TOTALS or some.shape[1] < _NEARLY_ALL_GENES:
        return
    total, expected = float(np.median(linear.sum(axis=1, dtype=np.float64))), _TOTALS[unit.of]
    if not expected / _FAR_FROM_TOTAL < total < expected * _FAR_FROM_TOTAL:
        raise CohortError(
            f"{origin}: {unit} must be of {unit.of} that sum to about {expected:,.0f}, but got "
            f"{total:,.0f} below the logarithm. State its base, and what it is of, as they are."
        )


def _tell_odd_sums(spread: Spread, unit: Unit, n_genes: int) -> list[dict[str, Any]]:
    if str(unit) not in _TOTALS or n_genes < _NEARLY_ALL_GENES:
        return []
    ratios = spread.totals / _TOTALS[unit.of]
    odd = int(((ratios < 0.5) | (ratios > 1.5)).sum())
    rule = f"sample whose {unit} do not sum to about {_TOTALS[unit.of]:,.0f} (kept)"
    return [{"rule": rule, "n": odd, "median_sum": float(np.median(spread.totals))}] if odd else []
