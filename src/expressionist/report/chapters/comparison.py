"""Networks and baseline models side by side, and who won."""

from collections.abc import Sequence

import pandas as pd

from expressionist.evaluation import SPREAD, add_reference
from expressionist.report.content import Part, Table, Verdict
from expressionist.report.figures.scores import draw_forest
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import EXACT, count, join, name

# What the verdict rests on, and what is further known of a model.
_DECISIVE = ("accuracy", "f1_macro", "log_loss", "ece")
_FURTHER = ("precision_macro", "balanced_accuracy")
_NOT_ELIGIBLE = (
    " The row marked as the reference has the protocol of earlier work, with which this began: images of "
    "expression, classified by a fine-tuned ImageNet backbone whose last map is averaged over places, and a "
    "dense head. It was trained for this table, and was not eligible to win."
)


def declare(run: FinishedRun) -> Verdict:
    """Say who won, with the numbers that a reader should see first."""
    facts, baseline = run.comparison, str(run.comparison["best_baseline"])
    sentences = [
        "Network and baseline model were chosen on validation samples; "
        f"{count(facts['n_test'], 'test sample')} judged them once.",
        *([run.refit["said"]] if run.refit else []),
        run.picture["said"],
    ]
    if run.spread:
        sentences.append(run.spread["said"])
    reached = run.scores["f1_macro"].drop(baseline).sort_values(ascending=False, kind="stable")
    as_good = [model for model in reached[reached >= reached[run.winner]].index if model != run.winner]
    if as_good:
        told = join(f"{name(str(model))} ({reached[model]:.3f})" for model in as_good)
        sentences.append(
            f"On the test samples the macro-F1 of {told} is no lower than that of {run.winner} "
            f"({reached[run.winner]:.3f}). No model is chosen by that: test samples would flatter it."
        )
    return Verdict(facts["verdict"], part=Part(sentences, tables=[_tabulate_verdict(run, baseline)]))


def _tabulate_verdict(run: FinishedRun, baseline: str) -> Table:
    """Put the network chosen beside the best baseline model, a row per score: narrow enough for a phone."""
    rows = pd.DataFrame({"score": [name(metric) for metric in _DECISIVE]})
    headings = {"score": "On test samples"}
    for column, model in (("network", run.winner), ("baseline", baseline)):
        for end in ("", "_low", "_high"):
            told = [f"{metric}{end}" for metric in _DECISIVE]
            rows[f"{column}{end}"] = run.scores.loc[model, told].to_numpy(float)
        headings[column] = f"{name(model)} ({column})"
    only, other = run.scores.loc[run.winner, ["only_right", "only_baseline_right"]].astype(int)
    return Table(
        rows,
        caption="Both as they were compared, trained on training patients alone. Macro-F1: recall and "
        "precision in one number, averaged over the types. Small numbers: "
        f"{run.evaluation.level:.0%} bootstrap interval{EXACT}. Log-loss and calibration "
        "error (mean gap between confidence and share right) are better the lower they are. McNemar's test "
        f"weighs the samples that one of the two alone has right: the network {only:,}, the baseline model "
        f"{other:,} (p = {run.comparison['p_value']:.2g}).",
        headings=headings,
        formats={"network": ".3f", "baseline": ".3f"},
    )


def describe(run: FinishedRun) -> Part:
    """Show the scores of all models with their intervals and tests."""
    rows = run.scores.assign(
        model=[name(str(model)) for model in run.scores.index],
        weights=run.scores["weights"].fillna("").replace("imagenet", "ImageNet"),
        depth=run.scores["depth"].astype("Int64"),
    )
    splits, level = run.splits.assign(model=run.splits["model"].map(name)), run.evaluation.level
    picture = run.marks.show(
        draw_forest(rows, level=level, splits=splits),
        "Macro-F1 of every model with its interval",
        "The dashed line runs through the highest macro-F1 that a baseline model has on the test samples."
        + (" Small dots: the same model fitted and scored anew on other splits." if run.spread else ""),
        backbones=rows.index[rows["kind"] == "network"],
    )
    tables = [_tabulate_scores(rows, run), _tabulate_further(rows, run), _tabulate_choices(run)]
    if run.spread:
        tables.insert(1, _tabulate_spread(rows, run))
    if run.refit:
        tables.insert(0, _tabulate_refit(run))
    return Part(pictures=[picture], tables=tables)


def _tabulate_refit(run: FinishedRun) -> Table:
    """Put what is registered, and a baseline model fitted alike, beside what training patients gave."""
    winner, baseline = run.winner, run.refit["best_baseline"]
    columns = {
        "registered": pd.Series(run.refit["registered"]),
        "network": run.scores.loc[winner],
        "refitted": pd.Series(run.refit["baseline"]),
        "baseline": run.scores.loc[baseline],
    }
    rows = pd.DataFrame(
        {column: scores[list(_DECISIVE)].to_numpy(float) for column, scores in columns.items()}
    )
    rows.insert(0, "score", [name(metric) for metric in _DECISIVE])
    return Table(
        rows,
        "What is registered",
        f"The registered model is the mean of {count(run.refit['members'], 'training')} of {name(winner)} on "
        "the training and validation patients; temperature and threshold are those that validation patients "
        "set before they were learned. Errors, probabilities of test samples and attributions on this page "
        "are its; the verdict, what the picture contributes, missing genes and all that is of validation "
        "samples are of the network trained on training patients alone, as depths, networks and baseline "
        "models were compared and chosen.",
        headings={
            "score": "On test samples",
            "registered": f"{name(winner)}, registered",
            "network": f"{name(winner)}, training patients alone",
            "refitted": f"{name(baseline)}, on the same patients",
            "baseline": f"{name(baseline)}, training patients alone",
        },
        formats=dict.fromkeys(columns, ".3f"),
    )


def _tabulate_scores(rows: pd.DataFrame, run: FinishedRun) -> Table:
    beside = add_reference(rows, run.ablation, run.winner)
    return Table(
        beside[["model", "kind", *_bound(_DECISIVE), "p_value"]],
        "All models on the test samples",
        "All are trained on training patients alone. Small numbers: "
        f"{run.evaluation.level:.0%} bootstrap interval over test patients{EXACT}. In bold: the "
        "network chosen on validation samples. Calibration error: mean gap between confidence and share "
        f"right. McNemar p compares each model with {name(run.comparison['best_baseline'])}, the best "
        "baseline model on validation samples, on the test samples that exactly one of the two classifies "
        "correctly: the exact two-sided p-value for such an imbalance if both were equally good, not "
        "corrected for the number of models." + (_NOT_ELIGIBLE if len(beside) > len(rows) else ""),
        best=run.winner,
        formats=dict.fromkeys(_DECISIVE, ".3f"),
    )


def _tabulate_further(rows: pd.DataFrame, run: FinishedRun) -> Table:
    """Show what the verdict does not rest on, and what it was chosen by."""
    tests = ["validation_f1_macro", "validation_log_loss", "only_right", "only_baseline_right"]
    return Table(
        rows[["model", "depth", "weights", *_bound(_FURTHER), *tests]],
        "Further scores, and what models were chosen by",
        "Macro-F1 on validation samples chose the network and the best baseline model, log-loss on them "
        "among equals. Right alone: the test samples that McNemar's test counts. "
        " Balanced accuracy is the mean recall over the types.",
        best=run.winner,
        formats=dict.fromkeys([*_FURTHER, "validation_f1_macro", "validation_log_loss"], ".3f"),
        folded=True,
    )


def _bound(metrics: Sequence[str]) -> list[str]:
    return [f"{metric}{bound}" for metric in metrics for bound in ("", "_low", "_high")]


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
        "on its training samples, and chosen: depths on folds of its training and validation patients, "
        "hyper-parameters on its validation samples. Lead: the "
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
