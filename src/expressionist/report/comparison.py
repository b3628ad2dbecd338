"""Networks and opponents side by side, and who won."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from expressionist.evaluation import METRICS, SPREAD
from expressionist.report.content import Part, Table, Verdict
from expressionist.report.figures import draw_forest
from expressionist.report.marks import Marks
from expressionist.report.words import count, name


def declare_verdict(table: pd.DataFrame, facts: Mapping[str, Any]) -> Verdict:
    """Say who won.

    Parameters
    ----------
    table : pandas.DataFrame of length n_models
        The comparison, indexed by model.
    facts : mapping
        Content of comparison.json; ``spread`` is that of spread.json.

    Returns
    -------
    Verdict
        The sentence, and the numbers that a reader should see first.
    """
    winner, opponent = str(facts["winner"]), str(facts["best_opponent"])
    headline = {
        "Network, chosen on validation samples": winner,
        "Best opponent, chosen likewise": name(opponent),
    }
    for model in (winner, opponent):
        for metric, word in (("accuracy", "accuracy"), ("f1_macro", "macro-F1")):
            score, low, high = table.loc[model, [metric, f"{metric}_low", f"{metric}_high"]].astype(float)
            headline[f"{name(model)}, {word} ({low:.3f}–{high:.3f})"] = f"{score:.3f}"
    best = facts["best_on_test"]
    sentences = [
        f"Network and opponent were chosen on validation samples; {count(facts['n_test'], 'test sample')} "
        "judged them once."
    ]
    if facts["spread"]:
        sentences.append(facts["spread"]["said"])
    if best not in (winner, opponent):
        sentences.append(
            f"Of all models, {name(best)} has the highest macro-F1 on the test samples "
            f"({table.loc[best, 'f1_macro']:.3f}); choosing by test samples would flatter it."
        )
    return Verdict(facts["verdict"], headline, Part(sentences))


def describe_comparison(
    table: pd.DataFrame,
    facts: Mapping[str, Any],
    opponents: Mapping[str, Any],
    level: float,
    marks: Marks,
    splits: pd.DataFrame,
) -> Part:
    """Show the scores of all models with their intervals and tests.

    Parameters
    ----------
    table : pandas.DataFrame of length n_models
        The comparison, indexed by model.
    facts : mapping
        Content of comparison.json; ``spread`` is that of spread.json.
    opponents : mapping
        Content of baselines.json: opponent → what was chosen for it on validation samples, and seconds.
    level : float
        Share that the intervals cover.
    marks : Marks
        What figures must say.
    splits : pandas.DataFrame
        Content of splits.tsv: the scores of every model on every split.

    Returns
    -------
    Part
        The section.
    """
    rows = table.assign(
        model=[name(str(model)) for model in table.index],
        weights=["ImageNet" if word == "imagenet" else word for word in table["weights"].fillna("")],
        depth=table["depth"].astype("Int64"),
    )
    scores = [f"{metric}{bound}" for metric in METRICS for bound in ("", "_low", "_high")]
    tests = ["only_right", "only_opponent_right", "p_value"]
    caption = (
        f"Small numbers: {level:.0%} bootstrap interval over test patients. In bold: the network chosen on "
        f"validation samples. McNemar columns compare each model with {name(facts['best_opponent'])}, the "
        "best opponent on validation samples, on the test samples that exactly one of the two classifies "
        "correctly: how many only this model has right, how many only the opponent, and the exact two-sided "
        "p-value for such an imbalance if both were equally good. The p-values are not corrected for the "
        "number of models. Calibration error: mean gap between confidence and share right."
    )
    picture = marks.show(
        draw_forest(
            rows, label="macro-F1", level=level, splits=splits.assign(model=splits["model"].map(name))
        ),
        "Macro-F1 of every model with its interval",
        "The dashed line runs through the highest macro-F1 that an opponent has on the test samples."
        + (" Small dots: the same model fitted and scored anew on other splits." if facts["spread"] else ""),
        backbones=table.index[table["kind"] == "network"],
    )
    return Part(
        pictures=[picture],
        tables=[
            Table(
                rows[["model", "kind", "depth", "weights", *scores, "validation_f1_macro", *tests]],
                "All models on the test samples",
                caption,
                best=facts["winner"],
                formats=dict.fromkeys([*METRICS, "validation_f1_macro"], ".3f"),
            ),
            *_tabulate_spread(rows, facts),
            _tabulate_choices(opponents),
        ],
    )


def _tabulate_spread(rows: pd.DataFrame, facts: Mapping[str, Any]) -> list[Table]:
    """Show mean and standard deviation over all splits of the patients, where there is more than one."""
    if not facts["spread"]:
        return []
    columns = {
        f"{metric}{part}{end}": f"{metric}{part}{end}".replace("_mean", "")
        for metric in SPREAD
        for part in ("", "_lead")
        for end in ("_mean", "_sd")
    }
    columns |= {f"{metric}_lead_p_value": f"{metric}_p_value" for metric in SPREAD}
    n_splits = facts["spread"]["n_splits"]
    caption = (
        f"Mean and standard deviation over {n_splits} deals of the patients into training, validation and "
        "test; the first deal is the split of the rest of this page. On every deal everything is fitted anew "
        "on its training samples, and chosen (depths, hyper-parameters) on its validation samples. Lead: the "
        "score less that of the opponent that was best on the same deal's validation samples. In bold: "
        "the network chosen on validation samples of the first deal. All deals share patients, so that the "
        "standard deviations understate how far scores would move on new cohorts; the p-values allow for "
        "shared training samples (corrected resampled t-test, Nadeau and Bengio 2003), but are not corrected "
        "for the number of models."
    )
    return [
        Table(
            rows[["model", "kind", *columns]].rename(columns=columns),
            f"All models over {n_splits} splits",
            caption,
            best=facts["winner"],
            formats=dict.fromkeys([name for name in columns.values() if not name.endswith("_p_value")], ".3f")
            | {f"{metric}_lead": "+.3f" for metric in SPREAD},
            headings={
                "accuracy_lead": "Lead in accuracy",
                "f1_macro_lead": "Lead in macro-F1",
                "accuracy_p_value": "Corrected p, accuracy",
                "f1_macro_p_value": "Corrected p, macro-F1",
            },
        )
    ]


def _tabulate_choices(opponents: Mapping[str, Any]) -> Table:
    rows = pd.DataFrame(
        [
            {
                "model": name(model),
                "chosen": ", ".join(
                    f"{name(key)} = {_state_choice(value)}" for key, value in found["choice"].items()
                ),
                "seconds": found["seconds"],
            }
            for model, found in opponents.items()
        ]
    )
    return Table(rows, "What was chosen for the opponents on validation samples", folded=True)


def _state_choice(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
