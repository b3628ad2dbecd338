"""The gate: what a version must reach on test samples before it is promoted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from expressionist.params import GateParams


@dataclass(frozen=True)
class Validation:
    """How a version does on another cohort: its name, and scores (``accuracy``, ``n_trained``, ...)."""

    cohort: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Candidate:
    """A version as the gate sees it: what it is made of, its scores on test samples, and digests of these."""

    version: str
    accuracy: float
    f1_macro: float
    dataset: str
    split: str
    synthetic: str
    weights: str
    validations: Sequence[Validation] = ()
    # Completeness and stability: see `flatten_explanation`.
    explanation: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Waivers:
    """What a person takes on, and the gate would refuse.

    Parameters
    ----------
    synthetic : bool
        Promote a version that knows simulated samples only.
    random_weights : bool
        Promote a version whose backbone was not pretrained.
    across_data : bool
        Go by the thresholds alone where the present version was tested on other samples.
    """

    synthetic: bool = False
    random_weights: bool = False
    across_data: bool = False


NONE_WAIVED = Waivers()


def judge(
    challenger: Candidate, present: Candidate | None, gate: GateParams, waivers: Waivers = NONE_WAIVED
) -> tuple[bool, tuple[str, ...]]:
    """Hold a version against the thresholds and against the version that it would replace.

    It must come from samples that were not simulated and from pretrained weights, must reach both thresholds
    and, on some other cohort, all that are asked for there, must be explained as well as is asked, and must
    not be worse in macro-F1 than the present version by more than ``worse_than_staging``. Scores on different
    samples cannot be compared: a version that was tested on other data or another split does not pass.
    Returns whether every check held or was waived, and one sentence per check.

    Examples
    --------
    >>> judge(Candidate("2", 0.9, 0.6, "a", "b", "no", "imagenet"), None, GateParams(0.8, 0.7, 0.0))[1][2:]
    ('accuracy is 0.9000, at least 0.8000.', 'f1_macro is 0.6000, below 0.7000.')
    """
    checks = [
        *_check_origin(challenger, waivers),
        _compare("accuracy", challenger.accuracy, gate.accuracy),
        _compare("f1_macro", challenger.f1_macro, gate.f1_macro),
    ]
    if gate.external:
        checks += _check_external(challenger.validations, gate.external)
    checks += [
        _hold_explanation(name, challenger.explanation.get(name, float("nan")), limit)
        for name, limit in gate.explanation.items()
    ]
    if present is not None:
        checks.append(_compare_with(present, challenger, gate, across_data=waivers.across_data))
    return all(held for held, _ in checks), tuple(reason for _, reason in checks)


def _check_origin(challenger: Candidate, waivers: Waivers) -> list[tuple[bool, str]]:
    """Hold samples and weights to what a model for patients is made of; what is not known is not that."""
    synthetic, weights = challenger.synthetic, challenger.weights
    return [
        _expect("samples", synthetic, "no", "SYNTHETIC", allowed=waivers.synthetic),
        _expect("weights", weights, "imagenet", "RANDOM", allowed=waivers.random_weights),
    ]


def _expect(noun: str, found: str, wanted: str, bad: str, *, allowed: bool) -> tuple[bool, str]:
    if found == wanted:
        return True, f"Its {noun} are not {bad}."
    more = "which was allowed" if allowed else "and only a person can allow that"
    return allowed, f"Its {noun} are {found or 'of unknown origin'}, {more}."


def _check_external(validations: Sequence[Validation], wanted: Mapping[str, float]) -> list[tuple[bool, str]]:
    """Hold the validation that reaches most against what is asked for; of equals, the first."""
    if not validations:
        reason = "External scores are asked for, but it was validated on no other cohort."
        return [(False, f"{reason} See `expressionist validate`.")]
    checked = [_hold(validation, wanted) for validation in validations]
    return max(checked, key=lambda checks: sum(held for held, _ in checks))


def _hold(validation: Validation, wanted: Mapping[str, float]) -> list[tuple[bool, str]]:
    scores, cohort = validation.scores, validation.cohort
    # A run that does not say it is none that counts.
    n_trained = scores.get("n_trained", float("nan"))
    overlap = n_trained == 0, f"{n_trained:.0f} samples of {cohort} are of patients who trained it."
    checks = [
        _compare(f"{name} on {cohort}", scores.get(name, float("nan")), least)
        for name, least in wanted.items()
    ]
    return [*checks, overlap]


def _hold_explanation(name: str, value: float, limit: float) -> tuple[bool, str]:
    """Hold a gap against the most that it may be, and a share against its least; of NaN nothing is known."""
    what = f"Of its explanation, {name}"
    if not name.startswith("gap"):
        return _compare(what, value, limit)
    held = value <= limit
    return held, f"{what} is {value:.4f}, {'at most' if held else 'not at most'} {limit:.4f}."


def _compare_with(
    present: Candidate, challenger: Candidate, gate: GateParams, *, across_data: bool
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
