"""What stages would have written of a made-up run: some files are met by more than one test of the report."""

from dataclasses import fields
from typing import Any

import pandas as pd

from expressionist.evaluation.metrics import METRICS
from expressionist.params.sections import AttributionParams, EvaluationParams
from expressionist.report.finished_run import FinishedRun

TYPES = ["T0", "T1", "T2"]
EVALUATION = EvaluationParams(n_resamples=20, level=0.9, answered_accuracy=0.9, false_alarms=0.05, seed=1)
ATTRIBUTION = AttributionParams(
    n_samples_per_type=5, steps=8, max_steps=16, median_delta=0.01, p95_delta=0.05, n_top=3, seed=1
)
HISTORY = [
    {"epoch": epoch, "loss": 2.0 / epoch, "validation_log_loss": 1.5, "validation_f1_macro": 0.3 * epoch}
    | {"validation_accuracy": 0.4}
    for epoch in (1, 2)
]
TRIALS = [
    {"number": 0, "state": "COMPLETE", "depth": 0, "params": {"depth": 0, "dropout": 0.3}, "value": 0.6}
    | {
        "standard_error": 0.05,
        "behind": 0.0,
        "error": 0.0,
        "seconds": 2.0,
        "n_unfrozen_layers": 0,
        "n_unfrozen_parameters": 0,
        "history": HISTORY,
    },
    {"number": 1, "state": "PRUNED", "depth": 1, "params": {"depth": 1, "dropout": 0.5}, "value": 0.2}
    | {"seconds": 1.0, "n_unfrozen_layers": 1, "n_unfrozen_parameters": 1234567, "history": HISTORY[:1]},
    {"number": 2, "state": "FAIL", "depth": 2, "params": {"depth": 2, "dropout": 0.5}, "value": None}
    | {"seconds": None, "history": []},
]
SEARCH: dict[str, Any] = {"study": "toy-mobilenet-1", "objective": "f1_macro", "space": {"depths": [0, 1, 2]}}
SEARCH |= {"digests": {"images": "abc.dir"}, "params": {"search": {"n_trials": 3}}}
SEARCH |= {"trials": TRIALS, "best": {"number": 0}}
WEIGHTS = {"source": "random", "file": "", "digest": "random-1", "random": True, "asked": "random"}
TRAINING: dict[str, Any] = {"backbone": "mobilenet", "depth": 0, "unfrozen_layers": [], "weights": WEIGHTS}
TRAINING |= {"n_unfrozen_parameters": 0, "n_parameters": 1000, "tumour_types": TYPES, "history": HISTORY}
TRAINING |= {"seconds": 1.0, "params": {"training": {"epochs": 2, "seed": 7}}, "study": "toy-mobilenet-1"}
TRAINING["shares"] = {"classifier": 0.25, "rank_classifier": 0.75}
TRAINING["started"] = "2026-03-09T23:59:00+00:00"


def make_run(**known: object) -> FinishedRun:
    """A run of the network mobilenet of which only this is known."""
    unknown = dict.fromkeys(field.name for field in fields(FinishedRun))
    comparison = {"winner": "mobilenet", "synthetic": False, "random_weights": []}
    at_least = {"backbones": ("mobilenet",), "attribution": ATTRIBUTION, "comparison": comparison}
    return FinishedRun(**{**unknown, **at_least, **known})


PICTURE = {"backbone": "mobilenet", "depth": 0, "without": "ranks", "said": "The picture adds something."}


def make_ablation() -> pd.DataFrame:
    """Maps and ranks together, alone, and by the reference's protocol."""
    rows = [
        {"variant": variant, "subset": subset, "n_unfrozen_parameters": 0, "seconds": 2.0}
        | dict.fromkeys(METRICS, value)
        | {f"{metric}_{end}": bound for metric in METRICS for end, bound in (("low", low), ("high", high))}
        for variant, value in (("all", 0.9), ("maps", 0.6), ("ranks", 0.8), ("reference", 0.5))
        for subset, low, high in (("validation", None, None), ("test", value - 0.1, value + 0.05))
    ]
    return pd.DataFrame(rows)


def make_recovery(**found: int) -> pd.DataFrame:
    """As many markers found by each ranking, of ten, in each of eight types."""
    rows = [
        {"tumour_type": f"T{number}", "ranking": ranking, "n_top": 20, "n_markers": 10, "n_found": n}
        | {"expected": 0.2, "p_value": 0.001 if n > 2 else 0.5}
        for number in range(8)
        for ranking, n in found.items()
    ]
    return pd.DataFrame(rows)


def make_truth(**found: int) -> pd.DataFrame:
    """As many of ten raised and of ten planted genes found by each ranking, in each of eight types."""
    rows = [
        {"tumour_type": f"T{number}", "ranking": ranking, "truth": truth, "n_true": 10, "chance": 0.1}
        | {"average_precision": 0.5, "n_top": n_top, "n_found": n, "precision": n / n_top, "recall": n / 10}
        for number in range(8)
        for ranking, n in found.items()
        for truth in ("planted", "raised_0.5", "raised_1", "raised_2")
        for n_top in (10, 50)
    ]
    return pd.DataFrame(rows)


def make_probabilities(**changes: object) -> dict[str, Any]:
    bins = {"confidence": [0.6], "share_right": [0.7], "n_samples": [9]}
    side = {"n_samples": 9, "ece_before": 0.2, "ece_after": 0.1}
    side |= {"log_loss_before": 0.9, "log_loss_after": 0.8, "answered": 0.75, "answered_accuracy": 0.95}
    side |= {"n_unlike": 1, "reliability_before": bins, "reliability_after": bins}
    side["by_organ_system"] = {"n_uncertain": 3, "n_answered": 2, "n_right": 1}
    facts = {"temperature": 1.25, "abstain_below": 0.55, "validation": side, "test": side}
    facts |= {"coverage": {"threshold": [0.6], "coverage": [1.0], "accuracy": [0.7]}, "false_alarms": 0.05}
    flagged = {"validation": [0, 9], "test": [1, 18], "normal": [4, 5]}
    flagged |= dict.fromkeys(["shuffled", "linear"], [18, 18])
    return {
        **facts,
        "flagged": flagged,
        "flagged_normals": {"T0": [4, 5]},
        "n_normals_shown": 30,
        "n_limiting": 9,
        **changes,
    }


def make_gaps() -> pd.DataFrame:
    rows = [
        {"sample": sample, "tumour_type": name, "rise": 2.0, "delta": 0.1, "relative_gap": 0.05, "steps": 16}
        | {"maps": -1.0, "ranks": ranks}
        for sample, name, ranks in (("a", "T0", 2.5), ("b", "T2", 3.5))
    ]
    return pd.DataFrame(rows).set_index("sample")


def make_types(**changes: object) -> pd.DataFrame:
    """Rankings of T0 and T2, of which the second has one sample."""
    rows = {"tumour_type": ["T0", "T2"], "n_samples": [4, 1], "n_top": 3, "shared_halves": [2, None]}
    rows |= {"shared_test_samples": [1, 2], "shared_random_weights": 0, "shared_fold_change": 3}
    return pd.DataFrame({**rows, **changes})


def make_faithfulness() -> pd.DataFrame:
    """The earlier an order names a gene the more it takes away and gives."""
    steps = {"own explanation": 0.2, "mean explanation of the type": 0.1, "fold change": 0.05}
    rows = [
        {"curve": curve, "order": order, "n_genes": n, "probability": p, "low": p - 0.04, "high": p + 0.04}
        for curve, start, sign in (("deletion", 0.9, -1), ("insertion", 0.05, 1))
        for order, step in {**steps, "random genes": 0.0}.items()
        for place, n in enumerate((0, 10, 50, 100))
        for p in (start + sign * place * step,)
    ]
    return pd.DataFrame(rows)


def make_randomisation() -> pd.DataFrame:
    rows = [
        {"sample": sample, "correlation": correlation, "n_shared": n, "randomised": part}
        for part, correlation, n in (("head", 0.5, 2), ("head, 100% of the backbone", -0.02, 0))
        for sample in (0, 1)
    ]
    return pd.DataFrame(rows)


def make_siblings() -> pd.DataFrame:
    """T1 and T2 are told apart by a gene that both rise with, and by one of T1's."""
    rows = {"type": ["T1", "T1", "T2"], "rival": ["T2", "T2", "T1"], "gene": ["1", "2", "1"]}
    rows |= {"symbol": ["A", "B", "A"], "attribution": [0.3, 0.2, 0.4], "higher": [True, False, False]}
    return pd.DataFrame({**rows, "share_positive": 1.0})


def make_errors() -> pd.DataFrame:
    """A sample of T1 that six genes pulled over to T2."""
    rows = {"sample": "c", "predicted": "T2", "type": "T1", "gene": list("123456"), "symbol": list("ABCDEF")}
    rows |= {"attribution": [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], "higher": [True, False, True, False, True, False]}
    return pd.DataFrame({**rows, "relative_gap": 0.01})


def make_explanation(**changes: object) -> dict[str, Any]:
    gap = {"median": 0.05, "p95": 0.05, "n_steps": 16}
    facts = {"backbone": "mobilenet", "n_samples": 2, "n_genes": 40, "markers_matched_by": "planted"}
    facts |= {"gap": gap, "complete": False, "tumour_types": TYPES, "n_training": 5}
    facts["branches"] = {"maps": 0.25, "ranks": 0.75}
    facts["missing_genes"] = [
        {"share": share, "n_missing": n, "n_samples": 9, "accuracy": 0.9 - share, "lowest": 0.8 - share}
        for share, n in ((0.0, 0), (0.05, 2), (0.3, 12))
    ]
    return {**facts, **changes}
