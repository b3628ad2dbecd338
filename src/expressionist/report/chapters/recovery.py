"""Recovery of markers by attributions, beside the controls without which it is no evidence."""

import pandas as pd
from scipy.stats import binomtest

from expressionist.explain import average_over_types
from expressionist.params import EvaluationParams
from expressionist.report.content import Picture, Table
from expressionist.report.figures.recovery import (
    draw_recovery_controls,
    draw_recovery_map,
    draw_truth_curves,
)
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, join

TESTED = "integrated_gradients"
RANKINGS = {
    TESTED: "Integrated Gradients",
    "test_samples": "the same on test samples",
    "maps": "through the maps",
    "genes": "through the genes",
    "ranks": "through the ranks",
    "random_weights": "an untrained network",
    "shuffled_types": "shuffled types",
    "fold_change": "plain fold change",
    "t_statistic": "t-statistic",
    "logistic_regression": "logistic coefficients",
}
# What a sentence is on: what the network finds untrained, and what needs no network.
_JUDGED = ("random_weights", "fold_change")
_CURVES = (TESTED, "random_weights", "shuffled_types", "fold_change", "logistic_regression")
_LEVEL = 0.05
_TRUTHS = {
    "raised_0.5": "raised by 0.5 log₂ or more",
    "raised_1": "raised by 1 log₂ or more",
    "raised_2": "raised by 2 log₂ or more",
    "planted": "planted markers",
}
MIDDLE_TRUTH = "raised_1"
_MOST_TOP = 20


def judge_recovery(found: pd.DataFrame) -> list[str]:
    """Say plainly whether Integrated Gradients finds more markers than chance, and than two controls."""
    compared = compare_rankings(found)
    tested, rows = compared.loc[TESTED], found[found["ranking"] == TESTED]
    n_types = count(int((rows["p_value"] < _LEVEL).sum()), "type")
    sentences = [
        f"Among the top {rows['n_top'].max()} genes of each of {count(len(rows), 'tumour type')}, "
        f"Integrated Gradients finds {tested['n_found']:.0f} of {tested['n_markers']:.0f} markers; "
        f"{rows['expected'].sum():.1f} are expected by chance. In {n_types} "
        f"that is more than chance at p < {_LEVEL} (hypergeometric, not corrected for the number of types)."
    ]
    controls = compared.loc[[control for control in _JUDGED if control in compared.index]]
    return sentences + [_judge_control(str(control), row) for control, row in controls.iterrows()]


def _judge_control(control: str, row: pd.Series) -> str:
    outcome = "finds more than" if row["n_fewer"] > row["n_more"] else "finds fewer than"
    n_unlike = int(row["n_fewer"] + row["n_more"])
    if row["sign_p_value"] >= _LEVEL:
        outcome = "cannot be told apart from"
    told = f"({row['n_found']:.0f} of {row['n_markers']:.0f})"
    types = f"more in {count(int(row['n_fewer']), 'type')}, fewer in {row['n_more']:.0f}"
    # Of both ways in which all types could be on one side.
    if n_unlike and 2 * 0.5**n_unlike >= _LEVEL:
        return (
            f"Beside {RANKINGS[control]} {told} it finds {types} (sign test p = {row['sign_p_value']:.2g}; "
            f"{count(n_unlike, 'type')} that differ allow none below {_LEVEL})."
        )
    return f"It {outcome} {RANKINGS[control]} {told}: {types} (sign test p = {row['sign_p_value']:.2g})."


def compare_rankings(found: pd.DataFrame) -> pd.DataFrame:
    """Count what each ranking finds, and in how many types it finds more or fewer than Integrated Gradients.

    Compared type by type with an exact two-sided sign test; types with equal counts say nothing.
    """
    counts = found.pivot(index="tumour_type", columns="ranking", values="n_found")
    rows = found.assign(n_significant=found["p_value"] < _LEVEL).groupby("ranking")
    compared = rows[["n_found", "n_markers", "n_significant"]].sum()
    shown = [ranking for ranking in RANKINGS if ranking in compared.index]
    compared = compared.loc[shown]
    for ranking in shown[1:]:
        difference = counts[ranking] - counts[TESTED]
        more, fewer = int((difference > 0).sum()), int((difference < 0).sum())
        p_value = binomtest(more, more + fewer).pvalue if more + fewer else 1.0
        compared.loc[ranking, ["n_more", "n_fewer", "sign_p_value"]] = more, fewer, p_value
    return compared


def draw_recovery(run: FinishedRun) -> list[Picture]:
    """Draw what every ranking finds, and whose markers stand among the top genes of whom."""
    found, matrix = run.recovery, run.recovery_matrix
    n_top = int(found["n_top"].max())
    chance = float((found["expected"] / found["n_markers"]).mean())
    shares = found.assign(share=found["n_found"] / found["n_markers"])
    by_ranking = shares.pivot(index="tumour_type", columns="ranking", values="share")
    shares = matrix.assign(share=matrix["n_found"] / matrix["n_markers"].where(matrix["n_markers"] > 0))
    by_type = shares.pivot(index="type", columns="markers_of", values="share")
    types = [str(name) for name in by_type.index if name in by_type]
    shown = [ranking for ranking in RANKINGS if ranking in by_ranking]
    return [
        run.show_winners(
            draw_recovery_controls(by_ranking[shown], RANKINGS, chance=chance),
            "Share of markers found by Integrated Gradients, its branches, its controls and without a "
            "network",
            f"Markers among the top {n_top} genes. Blue: the network's ranking; purple: through one branch "
            "of it alone; vermilion: what it finds untrained, or with the types of its samples shuffled; "
            "green and amber: without a network.",
        ),
        run.show_winners(
            draw_recovery_map(by_type.loc[types, types].to_numpy(float), types, n_top=n_top),
            "Share of every type's markers among the top genes of every type",
            "If the ranking names the right genes, the framed diagonal stands out; related types share some "
            "markers.",
        ),
    ]


def tabulate_rankings(found: pd.DataFrame) -> Table:
    """Put the rankings below each other: markers found, and how each compares with Integrated Gradients."""
    compared = compare_rankings(found)
    rows = compared.reset_index().assign(ranking=[RANKINGS[str(ranking)] for ranking in compared.index])
    rows.insert(1, "share_found", rows["n_found"] / rows["n_markers"])
    return Table(
        rows,
        "Markers found, by ranking",
        f"Beyond chance: types in which so many are found at random with p < {_LEVEL} (hypergeometric). "
        f"Finds more, fewer: types in which a ranking finds more or fewer markers than {RANKINGS[TESTED]}, "
        "with an exact two-sided sign test. Shares are of all types' markers together; the figure's bars are "
        "means over types.",
        headings={
            "share_found": "Markers found",
            "n_found": "Number",
            "n_markers": "Of",
            "n_significant": "Types beyond chance",
            "n_more": "Types: finds more",
            "n_fewer": "Finds fewer",
            "sign_p_value": "p",
        },
        formats=dict.fromkeys(["n_more", "n_fewer"], ".0f"),
        best=0,
    )


def tabulate_recovery(found: pd.DataFrame) -> Table:
    """Put the rankings side by side, a row per tumour type."""
    by_ranking = {ranking: rows.set_index("tumour_type") for ranking, rows in found.groupby("ranking")}
    rows = by_ranking[TESTED][["n_markers", "expected", "p_value"]].copy()
    headings = {"expected": "By chance", "p_value": f"p, {RANKINGS[TESTED]}"}
    for ranking, words in RANKINGS.items():
        if ranking in by_ranking:
            rows[f"n_{ranking}"] = by_ranking[ranking]["n_found"].astype("Int64")
            headings[f"n_{ranking}"] = words[:1].upper() + words[1:]
    return Table(
        rows.reset_index(),
        "Markers found, by tumour type",
        "Number of markers among the top genes by each ranking. p: hypergeometric, of finding so many at "
        "random.",
        headings=headings,
        formats={"expected": ".2f"},
        folded=True,
    )


def average_truth(truth: pd.DataFrame, evaluation: EvaluationParams) -> pd.DataFrame:
    """Average over the types what the simulator's truth says of the rankings shown, in their order."""
    shown = truth[truth["ranking"].isin(RANKINGS)].sort_values("ranking", key=_place, kind="stable")
    return average_over_types(
        shown, n_resamples=evaluation.n_resamples, level=evaluation.level, seed=evaluation.seed
    )


def _place(rankings: pd.Series) -> pd.Series:
    return rankings.map({ranking: place for place, ranking in enumerate(RANKINGS)})


def judge_truth(averages: pd.DataFrame, n_types: int) -> list[str]:
    """Say which share of a ranking's first genes is truly raised, and what it finds of those planted."""
    n_top = choose_n_top(averages)
    rows = averages[averages["n_top"] == n_top].set_index("ranking")
    rows = rows[rows.index.isin([TESTED, *_JUDGED])]
    raised, planted = (rows[rows["truth"] == truth] for truth in (MIDDLE_TRUTH, "planted"))
    return [
        "The cohort is simulated, so every gene that is truly raised is known: in the mean of "
        f"{count(n_types, 'type')} {raised['n_true'].iloc[0]:.0f} genes are higher in a type than in all "
        f"others by at least 1 log₂; its {planted['n_true'].iloc[0]:.0f} planted markers are a part of them.",
        f"So far raised are, among the top {n_top} genes of a type, "
        f"{_list_shares(raised, 'precision')}; {raised['chance'].iloc[0]:.1%} would be by chance.",
        f"Of the planted markers the same genes hold {_list_shares(planted, 'recall')}.",
    ]


def choose_n_top(averages: pd.DataFrame) -> int:
    """Choose of how many first genes a sentence on the truth is, of those for which it was judged."""
    return int(averages.loc[averages["n_top"] <= _MOST_TOP, "n_top"].max())


def _list_shares(rows: pd.DataFrame, score: str) -> str:
    return join(
        f"{row[score]:.0%} ({row[f'{score}_low']:.0%}–{row[f'{score}_high']:.0%}) by {RANKINGS[str(ranking)]}"
        for ranking, row in rows.iterrows()
    )


def draw_truth(run: FinishedRun, averages: pd.DataFrame) -> Picture:
    """Draw over the ranking which share is raised, and which share of the planted markers is found."""
    panels = {}
    for truth, words in _TRUTHS.items():
        rows = averages[(averages["truth"] == truth) & averages["ranking"].isin(_CURVES)]
        score = "recall" if truth == "planted" else "precision"
        # Drawn at random, as large a share of what is true is found as there are genes drawn.
        chance = rows["chance"] * (rows["n_top"] / rows["n_true"] if score == "recall" else 1)
        bounds = {end: rows[f"{score}_{end}"] for end in ("low", "high")}
        curves = rows[["ranking", "n_top"]].assign(share=rows[score], **bounds, chance=chance)
        panels[f"{score}: {words}"] = curves
    return run.show_winners(
        draw_truth_curves(panels, RANKINGS),
        "Precision and recall of rankings by the number of genes ranked first",
        "Which share of the genes ranked first is truly raised in the type by so much, and which share of "
        "its planted markers stands among them: means over the types. Bands: "
        f"{run.evaluation.level:.0%} bootstrap interval over types.",
    )


def tabulate_truth(averages: pd.DataFrame) -> Table:
    """Put the rankings below each other, judged by the genes raised by so much and by those planted."""
    n_top = choose_n_top(averages)
    places = {truth: place for place, truth in enumerate(_TRUTHS)}
    rows = averages[averages["n_top"] == n_top]
    rows = rows.sort_values("truth", key=lambda truths: truths.map(places), kind="stable")
    first = pd.DataFrame({"ranking": rows["ranking"].map(RANKINGS), "truth": rows["truth"].map(_TRUTHS)})
    shown = rows.drop(columns=["ranking", "truth", "n_top"])
    return Table(
        first.join(shown),
        "Rankings beside the truth",
        f"Precision and recall among the top {n_top} genes; average precision is over the whole ranking: the "
        "mean, over the true genes, of the precision where each stands. Small numbers: bootstrap interval "
        "over types.",
        headings={
            "truth": "True are genes",
            "n_true": "How many",
            "chance": "Precision by chance",
            "average_precision": "Average precision",
        },
        formats={"n_true": ".1f"}
        | dict.fromkeys(["chance", "precision", "recall", "average_precision"], ".1%"),
        folded=True,
    )
