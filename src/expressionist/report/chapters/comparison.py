"""Networks and baseline models side by side, and who won."""

import pandas as pd

from expressionist.evaluation import METRICS, SPREAD
from expressionist.report.content import Part, Table, Verdict
from expressionist.report.figures.scores import draw_forest
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, name


def declare(run: FinishedRun) -> Verdict:
    """Say who won, with the numbers that a reader should see first."""
    facts, baseline = run.comparison, str(run.comparison["best_baseline"])
    headline = {
        "Network, chosen on validation samples": run.winner,
        "Best baseline model, chosen likewise": name(baseline),
    }
    for model in (run.winner, baseline):
        for metric in ("accuracy", "f1_macro"):
            bounds = [f"{metric}{end}" for end in ("", "_low", "_high")]
            score, low, high = run.scores.loc[model, bounds].astype(float)
            headline[f"{name(model)}, {name(metric)} ({low:.3f}–{high:.3f})"] = f"{score:.3f}"
    sentences = [
        "Network and baseline model were chosen on validation samples; "
        f"{count(facts['n_test'], 'test sample')} judged them once."
    ]
    if run.spread:
        sentences.append(run.spread["said"])
    best = facts["best_on_test"]
    if best not in (run.winner, baseline):
        sentences.append(
            f"Of all models, {name(best)} has the highest macro-F1 on the test samples "
            f"({run.scores.loc[best, 'f1_macro']:.3f}); choosing by test samples would flatter it."
        )
    return Verdict(facts["verdict"], headline, Part(sentences))


def describe(run: FinishedRun) -> Part:
    """Show the scores of all models with their intervals and tests."""
    rows = run.scores.assign(
        model=[name(str(model)) for model in run.scores.index],
        weights=run.scores["weights"].fillna("").replace("imagenet", "ImageNet"),
        depth=run.scores["depth"].astype("Int64"),
    )
    splits, level = run.splits.assign(model=run.splits["model"].map(name)), run.evaluation.level
    picture = run.marks.show(
        draw_forest(rows, label="macro-F1", level=level, splits=splits),
        "Macro-F1 of every model with its interval",
        "The dashed line runs through the highest macro-F1 that a baseline model has on the test samples."
        + (" Small dots: the same model fitted and scored anew on other splits." if run.spread else ""),
        backbones=rows.index[rows["kind"] == "network"],
    )
    tables = [_tabulate_scores(rows, run), _tabulate_choices(run)]
    if run.spread:
        tables.insert(1, _tabulate_spread(rows, run))
    return Part(pictures=[picture], tables=tables)


def _tabulate_scores(rows: pd.DataFrame, run: FinishedRun) -> Table:
    scores = [f"{metric}{bound}" for metric in METRICS for bound in ("", "_low", "_high")]
    tests = ["validation_f1_macro", "only_right", "only_baseline_right", "p_value"]
    return Table(
        rows[["model", "kind", "depth", "weights", *scores, *tests]],
        "All models on the test samples",
        f"Small numbers: {run.evaluation.level:.0%} bootstrap interval over test patients. In bold: the "
        "network chosen on validation samples. McNemar columns compare each model with "
        f"{name(run.comparison['best_baseline'])}, the best baseline model on validation samples, on the "
        "test samples that exactly one of the two classifies correctly: how many only this model has right, "
        "how many only the baseline model, and the exact two-sided p-value for such an imbalance if both "
        "were equally good. The p-values are not corrected for the number of models. Calibration error: mean "
        "gap between confidence and share right.",
        best=run.winner,
        formats=dict.fromkeys([*METRICS, "validation_f1_macro"], ".3f"),
    )


def _tabulate_spread(rows: pd.DataFrame, run: FinishedRun) -> Table:
    """Show mean and standard deviation over all splits of the patients."""
    means = {f"{metric}{lead}_mean": f"{metric}{lead}" for metric in SPREAD for lead in ("", "_lead")}
    deviations = [f"{score}_sd" for score in means.values()]
    p_values = {f"{metric}_lead_p_value": f"{metric}_p_value" for metric in SPREAD}
    n_splits = run.spread["n_splits"]
    return Table(
        rows[["model", "kind", *means, *deviations, *p_values]].rename(columns=means | p_values),
        f"All models over {n_splits} splits",
        f"Mean and standard deviation over {n_splits} splits of the patients into training, validation and "
        "test; the first split is that of the rest of this page. On every split everything is fitted anew "
        "on its training samples, and chosen (depths, hyper-parameters) on its validation samples. Lead: the "
        "score less that of the baseline model that was best on the same split's validation samples. In "
        "bold: the network chosen on validation samples of the first split. All splits share patients, so "
        "that the standard deviations understate how far scores would move on new cohorts; the p-values "
        "allow for shared training samples (corrected resampled t-test, Nadeau and Bengio 2003), but are not "
        "corrected for the number of models.",
        best=run.winner,
        formats={score: "+.3f" if score.endswith("_lead") else ".3f" for score in means.values()},
        headings={f"{metric}_lead": f"Lead in {name(metric)}" for metric in SPREAD}
        | {f"{metric}_p_value": f"Corrected p, {name(metric)}" for metric in SPREAD},
    )


def _tabulate_choices(run: FinishedRun) -> Table:
    rows = [
        {
            "model": name(model),
            "chosen": ", ".join(f"{name(key)} = {_state(value)}" for key, value in found["choice"].items()),
            "seconds": found["seconds"],
        }
        for model, found in run.baselines.items()
    ]
    title = "What was chosen for the baseline models on validation samples"
    return Table(pd.DataFrame(rows), title, folded=True)


def _state(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
