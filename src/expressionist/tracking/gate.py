"""The gate: what a version must reach on test samples before it is promoted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from expressionist.evaluation import compare_answers
from expressionist.params import GateParams

_N_RESAMPLES = 2000
_NAN = float("nan")


@dataclass(frozen=True)
class Check:
    """A row of the gate's table: what was looked at, found and asked, and the same as a sentence.

    `waived` is what does not hold, but a person took on.
    """

    what: str
    found: str
    asked: str
    held: bool
    said: str
    waived: bool = False

    @property
    def passed(self) -> bool:
        """Whether it is no reason against the version."""
        return self.held or self.waived


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
    ece: float = _NAN
    # Of test samples: ``patient``, ``tumour_type`` and ``predicted``, indexed by sample; None if not kept.
    answers: pd.DataFrame | None = None


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
) -> tuple[Check, ...]:
    """Hold a version against the thresholds and against the version that it would replace.

    It must come from samples that were not simulated and from pretrained weights, must reach both thresholds
    and, on some other cohort, all that are asked for there, must be calibrated and explained as well as is
    asked, and must not be worse in macro-F1 than the present version by more than ``worse_than_staging``: on
    the whole, or, with ``paired``, beyond the doubt that an interval of the difference leaves. Scores on
    different samples cannot be compared: a version that was tested on other data or another split does not
    pass.

    Examples
    --------
    >>> checks = judge(Candidate("2", 0.9, 0.6, "a", "b", "no", "imagenet"), None, GateParams(0.8, 0.7, 0.0))
    >>> [check.said for check in checks[2:]]
    ['accuracy is 0.9000, at least 0.8000.', 'f1_macro is 0.6000, below 0.7000.']
    """
    checks = [
        *_check_origin(challenger, waivers),
        _compare("accuracy", challenger.accuracy, gate.accuracy),
        _compare("f1_macro", challenger.f1_macro, gate.f1_macro),
    ]
    if gate.ece is not None:
        checks.append(_limit("ece", challenger.ece, gate.ece))
    if gate.external:
        checks += _check_external(challenger.validations, gate.external)
    checks += [
        _hold_explanation(name, challenger.explanation.get(name, _NAN), limit)
        for name, limit in gate.explanation.items()
    ]
    if present is not None:
        checks.append(_compare_with(present, challenger, gate, across_data=waivers.across_data))
    return tuple(checks)


def _check_origin(challenger: Candidate, waivers: Waivers) -> list[Check]:
    """Hold samples and weights to what a model for patients is made of; what is not known is not that."""
    synthetic, weights = challenger.synthetic, challenger.weights
    return [
        _expect("samples", synthetic, "no", "SYNTHETIC", allowed=waivers.synthetic),
        _expect("weights", weights, "imagenet", "RANDOM", allowed=waivers.random_weights),
    ]


def _expect(noun: str, found: str, wanted: str, bad: str, *, allowed: bool) -> Check:
    asked = f"not {bad}"
    if found == wanted:
        return Check(noun, asked, asked, held=True, said=f"Its {noun} are not {bad}.")
    more = "which was allowed" if allowed else "and only a person can allow that"
    said = f"Its {noun} are {found or 'of unknown origin'}, {more}."
    return Check(noun, found or "unknown", asked, held=False, said=said, waived=allowed)


def _check_external(validations: Sequence[Validation], wanted: Mapping[str, float]) -> list[Check]:
    """Hold the validation that reaches most against what is asked for; of equals, the first."""
    if not validations:
        said = "External scores are asked for, but it was validated on no other cohort."
        said = f"{said} See `expressionist validate`."
        return [Check("external validation", "none", ", ".join(wanted), held=False, said=said)]
    checked = [_hold(validation, wanted) for validation in validations]
    return max(checked, key=lambda checks: sum(check.held for check in checks))


def _hold(validation: Validation, wanted: Mapping[str, float]) -> list[Check]:
    scores, cohort = validation.scores, validation.cohort
    # A run that does not say it is none that counts.
    n_trained = scores.get("n_trained", _NAN)
    said = f"{n_trained:.0f} samples of {cohort} are of patients who trained it."
    overlap = Check(f"n_trained on {cohort}", f"{n_trained:.0f}", "0", held=n_trained == 0, said=said)
    checks = [
        _compare(f"{name} on {cohort}", scores.get(name, _NAN), least) for name, least in wanted.items()
    ]
    return [*checks, overlap]


def _hold_explanation(name: str, value: float, limit: float) -> Check:
    """Hold a gap against the most that it may be, and a share against its least."""
    what = f"Of its explanation, {name}"
    return _limit(what, value, limit) if name.startswith("gap") else _compare(what, value, limit)


def _compare_with(present: Candidate, challenger: Candidate, gate: GateParams, *, across_data: bool) -> Check:
    differing = [what for what in ("dataset", "split") if getattr(present, what) != getattr(challenger, what)]
    beside = f"beside version {present.version}"
    if differing:
        what = " and ".join(differing)
        reason = f"Version {present.version} has another {what}, by digest: scores cannot be compared."
        return _refuse_comparison(beside, f"another {what}", reason, across_data=across_data)
    if gate.paired is None:
        least = present.f1_macro - gate.worse_than_staging
        return _compare(f"f1_macro {beside} on the same test samples", challenger.f1_macro, least)
    if present.answers is None or challenger.answers is None:
        reason = f"Of it or of version {present.version}, no answers by sample are kept to be paired."
        return _refuse_comparison(beside, "no answers by sample", reason, across_data=across_data)
    return _pair(beside, challenger.answers, present.answers, gate.paired, gate.worse_than_staging)


def _refuse_comparison(beside: str, found: str, reason: str, *, across_data: bool) -> Check:
    more = (
        "The thresholds alone decided." if across_data else "Only a person can decide to promote across data."
    )
    return Check(beside, found, "the same", held=False, said=f"{reason} {more}", waived=across_data)


def _pair(beside: str, ours: pd.DataFrame, theirs: pd.DataFrame, level: float, worse: float) -> Check:
    # Of one seed, so that who asks again is told the same.
    rng = np.random.default_rng(0)
    lead, low, high = compare_answers(ours, theirs, level=level, n_resamples=_N_RESAMPLES, rng=rng)
    # NaN reaches nothing.
    held, what = low >= -worse, f"lead in f1_macro {beside}, {level:.0%} interval"
    found, asked = f"{lead:+.4f} ({low:+.4f} to {high:+.4f})", f"from {0 - worse:.4f}"
    return Check(what, found, asked, held, f"{what} is {found}, {'' if held else 'not '}{asked} up.")


def _limit(what: str, value: float, limit: float) -> Check:
    """Hold a value against the most that it may be; NaN is not that."""
    held, asked = value <= limit, f"at most {limit:.4f}"
    return Check(
        what, f"{value:.4f}", asked, held, f"{what} is {value:.4f}, {'' if held else 'not '}{asked}."
    )


def _compare(what: str, value: float, least: float) -> Check:
    # NaN reaches nothing.
    held, found = value >= least, f"{value:.4f}"
    said = f"{what} is {found}, {'at least' if held else 'below'} {least:.4f}."
    return Check(what, found, f"at least {least:.4f}", held, said)
