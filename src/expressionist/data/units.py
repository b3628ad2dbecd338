"""Units of expression: what they are called, how they are written, and which become which.

Linear units count reads or transcripts; each also stands under a logarithm, as in ``log2(TPM+0.001)``, and so
does ``x``, which is a linear unit that the file does not tell. A cohort is kept in a linear unit, in
log2(x+1), or as it is (`Unit.kept_in`).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from expressionist.errors import CohortError, name_some
from expressionist.params import Must

# RSEM is normalised to an upper quartile of 1,000, as TCGA publishes it.
LINEAR_UNITS = ("counts", "RSEM", "RPM", "TPM", "FPKM", "FPKM-UQ")
LOG2_UNIT = "log2(x+1)"
# Neither counts nor their logarithms, such as protein levels by RPPA: values may be negative, and no
# logarithm is taken.
AS_IS_UNIT = "as is"
# Those that a cohort may be kept in.
UNITS = (*LINEAR_UNITS, LOG2_UNIT, AS_IS_UNIT)
KNOWN_UNITS = (
    f"one of counts, RSEM, RPM (or CPM), TPM, FPKM, FPKM-UQ, {AS_IS_UNIT}, {LOG2_UNIT}, log2(x+0.001), "
    "log2(x), ln(x+1) and log10(x+1), where x may also be a linear unit"
)
STATE_UNIT = "State the unit of the expression."

# What becomes what by the genes' lengths.
BY_LENGTH = (("counts", "TPM"), ("RPM", "TPM"))

_Way = Callable[[np.ndarray], np.ndarray]
_UNKNOWN = "x"
_BASES = {"log2": 2.0, "ln": math.e, "log10": 10.0}
_PLUS = {"log2": (1.0, 0.001, 0.0), "ln": (1.0,), "log10": (1.0,)}
_NAMES = {name.lower(): name for name in (*LINEAR_UNITS, _UNKNOWN)} | {"cpm": "RPM"}
_WRITTEN = re.compile(r"(log2|ln|log10)\(([a-z-]+)(?:\+([0-9.]+))?\)")
# Of RSEM's 20,531 genes so many are not 0 in a sample of ACC or UVM. Ensembl's 56,537 have many more with a
# few reads, which would lower the quartile to less than half (docs/data.md).
_N_GENES_OF_QUARTILE = 17_000
_UPPER_QUARTILE = 1_000.0
_MILLION = 1e6
# Units that are a share of the whole sample, or of its quartile; fewer genes are no whole sample.
_FEWEST_GENES = {"TPM": 10_000, "RSEM": 10_000}


@dataclass(frozen=True)
class Unit:
    """A unit of expression, which prints as it is written.

    Parameters
    ----------
    of : str
        A linear unit, ``x`` for one that is not told, or `AS_IS_UNIT`.
    logarithm : str, optional
        ``log2``, ``ln``, ``log10``, or nothing.
    plus : float, optional
        What was added before the logarithm was taken.
    """

    of: str
    logarithm: str = ""
    plus: float = 0.0

    def __str__(self) -> str:
        """Write the unit, as `parse_unit` reads it."""
        added = f"+{self.plus:g}" if self.plus else ""
        return f"{self.logarithm}({self.of}{added})" if self.logarithm else self.of

    @property
    def base(self) -> float:
        """Base of the logarithm."""
        return _BASES[self.logarithm]

    @property
    def may_be_negative(self) -> bool:
        """Whether values below 0 mean something; in other units batch correction leaves some."""
        return self.of == AS_IS_UNIT or (bool(self.logarithm) and self.plus < 1)

    @property
    def kept_in(self) -> str:
        """The one of `UNITS` in which a cohort that comes in this unit is kept."""
        return LOG2_UNIT if self.of == _UNKNOWN else self.of


def parse_unit(text: str) -> Unit:
    """Read a unit as people write it, whatever its case and spaces; refuse an unknown one.

    Examples
    --------
    >>> str(parse_unit("Log2( tpm + 0.001 )")), parse_unit("ln(CPM+1)").kept_in
    ('log2(TPM+0.001)', 'RPM')
    """
    word = "".join(str(text).lower().split())
    if word == AS_IS_UNIT.replace(" ", ""):
        return Unit(AS_IS_UNIT)
    if word in _NAMES and word != _UNKNOWN:
        return Unit(_NAMES[word])
    if (written := _WRITTEN.fullmatch(word)) and written[2] in _NAMES:
        for plus in _PLUS[written[1]]:
            if f"{plus:g}" == (written[3] or "0"):
                return Unit(_NAMES[written[2]], written[1], plus)
    raise CohortError(f"The unit must be {KNOWN_UNITS}, but got {text!r}. {STATE_UNIT}")


def is_unit(text: str) -> bool:
    """Say whether a text names a unit."""
    try:
        parse_unit(text)
    except CohortError:
        return False
    return True


# An option that names a unit.
UnitName = Annotated[str, Must(f"be {KNOWN_UNITS}", is_unit, STATE_UNIT)]


def convert(expression: np.ndarray, unit: str, to: str, *, lengths: np.ndarray | None = None) -> np.ndarray:
    """Convert expression from one unit into another.

    Logarithms, their bases and what was added before are taken and undone; what would fall below 0 is 0.
    Counts become RPM, and FPKM and FPKM-UQ become TPM, as shares of a sample's sum; counts and RPM become TPM
    by the genes' lengths, and RSEM by the sample's upper quartile, as TCGA normalises it, which is close and
    not the same (docs/data.md). All these need every gene of the sample: convert first, choose genes then.
    Where one of the units is a logarithm of an unknown ``x``, x is believed to be what the other one is of.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        In `unit`; finite where it is rescaled. It stays as it is.
    unit, to : str
        As `parse_unit` reads them.
    lengths : numpy.ndarray of shape (n_genes,), optional
        Bases of each gene, for TPM.

    Returns
    -------
    numpy.ndarray of shape (n_samples, n_genes)
        float32, in `to`; the very array given if there is nothing to do.

    Raises
    ------
    CohortError
        If there is no way from one unit to the other, or too few genes for it.

    Examples
    --------
    >>> convert(np.array([[0.0, 3.0, 9.0]], "float32"), "counts", "CPM").tolist()
    [[0.0, 250000.0, 750000.0]]
    >>> convert(np.array([[-9.9658, 3.0]], "float32"), "log2(TPM+0.001)", "TPM").round().tolist()
    [[0.0, 8.0]]
    """
    source, target = parse_unit(unit), parse_unit(to)
    if source == target:
        return expression.astype(np.float32, copy=False)
    rescale = _find_way(source, target, lengths, expression.shape[1])
    linear = undo_logarithm(expression, source)
    return _take_logarithm(linear if rescale is None else rescale(linear), target)


def undo_logarithm(expression: np.ndarray, unit: Unit) -> np.ndarray:
    """Return the linear values, float32 and 0 or more, below a unit's logarithm, if it has one."""
    if not unit.logarithm:
        return expression.astype(np.float32, copy=False)
    # In place, since a whole cohort may come. expm1 keeps what is near 0.
    linear = np.multiply(expression, np.float32(math.log(unit.base)), dtype=np.float32)
    with np.errstate(over="ignore"):
        if unit.plus == 1:
            np.expm1(linear, out=linear)
        else:
            np.exp(linear, out=linear)
            linear -= np.float32(unit.plus)
    if unit.of == "counts":
        np.rint(linear, out=linear)
    return np.maximum(linear, 0, out=linear)


def _take_logarithm(linear: np.ndarray, unit: Unit) -> np.ndarray:
    if not unit.logarithm:
        return linear
    if unit.plus == 1:
        logs = np.log1p(linear, dtype=np.float32)
    elif unit.plus or linear.min() > 0:
        logs = np.log(linear + np.float32(unit.plus), dtype=np.float32)
    else:
        raise CohortError(f"{unit} must be of values above 0, but got 0. Convert into {LOG2_UNIT}.")
    logs /= np.float32(math.log(unit.base))
    return logs


def _find_way(source: Unit, target: Unit, lengths: np.ndarray | None, n_genes: int) -> _Way | None:
    """Find what is done to linear values between two logarithms; None if nothing is."""
    if AS_IS_UNIT in (source.of, target.of):
        raise CohortError(
            f"Only what is in {AS_IS_UNIT!r} must be given where {AS_IS_UNIT!r} is taken, but got {source} "
            f"for {target}. Give values in {target}."
        )
    if source.of == target.of or _UNKNOWN in (source.of, target.of):
        return None
    ways = _list_ways(lengths)
    if (source.of, target.of) not in ways:
        if target.of == "counts":
            raise CohortError(
                f"Only counts, or their logarithms, can be given where counts are taken, but got {source}. "
                "Give the counts themselves."
            )
        known = [given for given, made in ways if made == target.of]
        if target.of == "TPM" and lengths is None:
            known += ["counts or RPM, if the genes' lengths are given (--gene-lengths)"]
        raise CohortError(
            f"What is to become {target.of} must be {' or '.join([target.of, *known])}, linear or a "
            f"logarithm, but got {source}. Give expression in one of these units."
        )
    fewest = _FEWEST_GENES.get(target.of, 1)
    if n_genes < fewest:
        raise CohortError(
            f"{source} must come with all genes of a sample to become {target}, at least {fewest:,}, but got "
            f"{n_genes:,}. Convert before genes are chosen, or give {target}."
        )
    return ways[source.of, target.of]


def _list_ways(lengths: np.ndarray | None) -> dict[tuple[str, str], _Way]:
    ways: dict[tuple[str, str], _Way] = {
        ("counts", "RPM"): _share_million,
        ("FPKM", "TPM"): _share_million,
        ("FPKM-UQ", "TPM"): _share_million,
        ("counts", "RSEM"): _normalise_quartile,
        ("RPM", "RSEM"): _normalise_quartile,
    }
    if lengths is None:
        return ways

    def by_length(linear: np.ndarray) -> np.ndarray:
        return _share_million(linear / _check_lengths(lengths, linear.shape[1]))

    return ways | dict.fromkeys(BY_LENGTH, by_length)


def _check_lengths(lengths: np.ndarray, n_genes: int) -> np.ndarray:
    n_bad = int((~((lengths > 0) & np.isfinite(lengths))).sum())
    if lengths.shape != (n_genes,) or n_bad:
        raise CohortError(
            f"Each of the {n_genes} genes must have a length above 0, but got {lengths.shape} lengths, "
            f"{n_bad} of them none. Give the bases of every gene."
        )
    return lengths.astype(np.float32)


def _share_million(linear: np.ndarray) -> np.ndarray:
    return _scale(linear, linear.sum(axis=1, dtype=np.float64), _MILLION)


def _normalise_quartile(linear: np.ndarray) -> np.ndarray:
    quartiles = np.array([_find_quartile(sample) for sample in linear])
    return _scale(linear, quartiles, _UPPER_QUARTILE)


def _find_quartile(sample: np.ndarray) -> float:
    """Find the upper quartile of the genes that are not 0, of at most so many as RSEM has."""
    n_low = max(0, len(sample) - _N_GENES_OF_QUARTILE)
    high = np.partition(sample, n_low)[n_low:]
    return float(np.quantile(high[high > 0], 0.75)) if high.any() else 0.0


def _scale(linear: np.ndarray, measured: np.ndarray, wanted: float) -> np.ndarray:
    silent = np.flatnonzero(~(measured > 0))
    if len(silent):
        raise CohortError(
            f"Every sample must have some expression to be converted, but {len(silent)} have none: row "
            f"{name_some(silent + 1)}. Remove these samples."
        )
    return linear * (wanted / measured[:, None]).astype(np.float32)
