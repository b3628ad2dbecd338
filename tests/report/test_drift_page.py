import numpy as np
import pandas as pd

from expressionist.evaluation.drift import OwnSamples, judge_drift
from expressionist.report.drift_page import build_drift_page, tell_drift

OWN = OwnSamples(
    pd.DataFrame({"predicted": "ACC", "probability": np.linspace(0.5, 1, 100)}),
    1,
    0.6,
    {"ACC": 50, "UVM": 50},
)
MODEL = {"name": "tumour-type", "version": "3", "backbone": "mobilenet", "cohort": "toy"}
MODEL |= {"synthetic": True, "random_weights": True}


def find(n_samples: int, n_days: int = 1, **changes: object) -> dict:
    columns = {
        "time": pd.to_datetime("2026-03-02T06:00Z")
        + pd.to_timedelta(np.arange(n_samples) % n_days, unit="D"),
        "tumour_type": np.resize(["ACC", "UVM"], n_samples),
        "probability": np.linspace(0.5, 1, n_samples),
        "abstain": np.linspace(0.5, 1, n_samples) < 0.6,
        "unlike_training": False,
        "n_missing_genes": 0,
    }
    facts = judge_drift(pd.DataFrame(columns | changes), OWN, level=0.95, seed=1)
    return facts | {"level": 0.95, "log": "clinic <1>", "said": ["read."], "model": MODEL}


def test_what_shifted_is_said_with_both_numbers() -> None:
    facts = find(200, n_missing_genes=np.arange(200) % 2 * 12)
    assert list(tell_drift(facts)) == [
        "More samples that lack genes: 50.0% (43.1% to 56.9%), 0.0% of own test samples; up to 12 genes."
    ]
    page = build_drift_page(facts)
    for text in (
        "More samples that lack genes",
        "clinic &lt;1&gt;",
        "SYNTHETIC",
        "200, in 1 day",
        "2026-03-02",
    ):
        assert text in page
    assert "clinic <1>" not in page


def test_days_that_differ_are_listed() -> None:
    time = np.arange(240) % 5
    told = list(tell_drift(find(240, 5, unlike_training=time == 4)))
    assert told[-1] == "Days that differ in the share of samples unlike the training samples: 2026-03-06."


def test_few_samples_and_none_that_shift_say_so() -> None:
    facts = find(20, unlike_training=True)
    assert list(tell_drift(facts)) == ["20 predictions are too few to claim anything: 30 are needed."]
    assert "too few" in build_drift_page(facts)
    assert list(tell_drift(find(100))) == ["No shift is large enough for these samples to show it."]
