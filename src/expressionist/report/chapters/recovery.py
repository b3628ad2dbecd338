"""Recovery of markers by attributions, beside the controls without which it is no evidence."""

import pandas as pd
from scipy.stats import binomtest

from expressionist.report.content import Picture, Table
from expressionist.report.figures.recovery import draw_recovery_controls, draw_recovery_map
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count

TESTED = "integrated_gradients"
RANKINGS = {
    TESTED: "Integrated Gradients",
    "zero_reference": "the same from zero expression",
    "random_weights": "the same through random weights",
    "fold_change": "plain fold change",
}
_LEVEL = 0.05


def judge_recovery(found: pd.DataFrame) -> list[str]:
    """Say plainly whether Integrated Gradients finds more markers than chance, and than each control.

    Controls are compared type by type with an exact two-sided sign test; types with equal counts say nothing.
    """
    counts = found.pivot(index="tumour_type", columns="ranking", values="n_found")
    tested = found.loc[found["ranking"] == TESTED]
    n_markers, n_significant = int(tested["n_markers"].sum()), int((tested["p_value"] < _LEVEL).sum())
    sentences = [
        f"Among the top {tested['n_top'].max()} genes of each of {count(len(tested), 'tumour type')}, "
        f"Integrated Gradients finds {tested['n_found'].sum():.0f} of {n_markers} markers; "
        f"{tested['expected'].sum():.1f} are expected by chance. In {count(n_significant, 'type')} that is "
        f"more than chance at p < {_LEVEL} (hypergeometric, not corrected for the number of types)."
    ]
    controls = [control for control in RANKINGS if control != TESTED and control in counts]
    return sentences + [_judge_control(counts, control, n_markers) for control in controls]


def _judge_control(counts: pd.DataFrame, control: str, n_markers: int) -> str:
    difference = counts[TESTED] - counts[control]
    n_more, n_fewer = int((difference > 0).sum()), int((difference < 0).sum())
    p_value = binomtest(n_more, n_more + n_fewer).pvalue if n_more + n_fewer else 1.0
    outcome = "finds more than" if n_more > n_fewer else "finds fewer than"
    if p_value >= _LEVEL:
        outcome = "cannot be told apart from"
    return (
        f"It {outcome} {RANKINGS[control]} ({counts[control].sum():.0f} of {n_markers}): more in "
        f"{count(n_more, 'type')}, fewer in {n_fewer} (sign test p = {p_value:.2g})."
    )


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
    return [
        run.show_winners(
            draw_recovery_controls(by_ranking[list(RANKINGS)].rename(columns=RANKINGS), chance=chance),
            "Share of markers found by Integrated Gradients and by the three controls",
            f"Markers among the top {n_top} genes. Random weights show what the architecture and the data "
            "find without any training; fold change shows what needs no network at all.",
        ),
        run.show_winners(
            draw_recovery_map(by_type.loc[types, types].to_numpy(float), types, n_top=n_top),
            "Share of every type's markers among the top genes of every type",
            "If attributions name the right genes, the framed diagonal stands out; related types share some "
            "markers.",
        ),
    ]


def tabulate_recovery(found: pd.DataFrame) -> Table:
    """Put the rankings side by side, a row per tumour type."""
    by_ranking = {ranking: rows.set_index("tumour_type") for ranking, rows in found.groupby("ranking")}
    rows = by_ranking[TESTED][["n_markers", "expected"]].copy()
    headings = {"expected": "Expected by chance"}
    for ranking, words in RANKINGS.items():
        rows[f"n_{ranking}"] = by_ranking[ranking]["n_found"].astype("Int64")
        rows[f"{ranking}_p_value"] = by_ranking[ranking]["p_value"]
        headings |= {f"n_{ranking}": words[:1].upper() + words[1:], f"{ranking}_p_value": "p"}
    return Table(
        rows.reset_index(),
        "Markers found, by tumour type",
        "Number of markers among the top genes by each ranking, with the hypergeometric p-value of finding "
        "so many.",
        headings=headings,
        formats={"expected": ".2f"},
        folded=True,
    )
