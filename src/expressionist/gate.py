"""The gate: what a version must reach on test samples before it is promoted."""

from dataclasses import dataclass

from expressionist.params import GateParams


@dataclass(frozen=True)
class Contender:
    """A version as the gate sees it: scores on test samples, and digests of what they were measured on."""

    version: str
    accuracy: float
    f1_macro: float
    dataset: str
    split: str


def judge(
    challenger: Contender, present: Contender | None, gate: GateParams, *, across_data: bool = False
) -> tuple[bool, tuple[str, ...]]:
    """Hold a version against the thresholds and against the version that it would replace.

    It must reach both thresholds, and must not be worse in macro-F1 than the present version by more than
    ``worse_than_staging``. Scores on different samples cannot be compared: a version that was tested on other
    data or another split does not pass, unless `across_data` says that a person takes that on; then the
    thresholds alone decide.

    Parameters
    ----------
    challenger : Contender
        The version that is to be promoted.
    present : Contender or None
        The version that it would replace.
    gate : GateParams
        Thresholds.
    across_data : bool, optional
        Whether to go by the thresholds alone where scores cannot be compared.

    Returns
    -------
    passed : bool
        Whether every check held.
    reasons : tuple of str
        One sentence per check, whether it held or not.

    Examples
    --------
    >>> judge(Contender("2", 0.9, 0.6, "a", "b"), None, GateParams(0.8, 0.7, 0.0))[1]
    ('accuracy is 0.9000, at least 0.8000.', 'f1_macro is 0.6000, below 0.7000.')
    """
    checks = [
        _compare("accuracy", challenger.accuracy, gate.accuracy),
        _compare("f1_macro", challenger.f1_macro, gate.f1_macro),
    ]
    if present is not None:
        checks.append(_compare_with(present, challenger, gate, across_data=across_data))
    return all(held for held, _ in checks), tuple(reason for _, reason in checks)


def _compare_with(
    present: Contender, challenger: Contender, gate: GateParams, *, across_data: bool
) -> tuple[bool, str]:
    differing = [what for what in ("dataset", "split") if getattr(present, what) != getattr(challenger, what)]
    if differing:
        what = " and ".join(differing)
        reason = f"Version {present.version} was tested on another {what}: scores cannot be compared."
        more = (
            "The thresholds alone decided."
            if across_data
            else "Only a person can decide to promote across data."
        )
        return across_data, f"{reason} {more}"
    least = present.f1_macro - gate.worse_than_staging
    what = f"f1_macro beside version {present.version} on the same test samples"
    return _compare(what, challenger.f1_macro, least)


def _compare(what: str, value: float, least: float) -> tuple[bool, str]:
    # NaN reaches nothing.
    held = value >= least
    return held, f"{what} is {value:.4f}, {'at least' if held else 'below'} {least:.4f}."
