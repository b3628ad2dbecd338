"""What the network used: how samples were explained, how complete that is, by branch, and how faithful."""

import pandas as pd

from expressionist.report.chapters.recovery import MIDDLE_TRUTH, choose_n_top
from expressionist.report.content import Part, Table
from expressionist.report.figures.attributions import draw_deltas
from expressionist.report.figures.faithfulness import MIDDLE, draw_randomised, draw_replaced
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, format_value, join

_N_REPLACED = 50


def describe(run: FinishedRun) -> Part:
    """Say how samples were explained, whether that is complete and faithful, and through which branches."""
    limits = {"median_limit": run.attribution.median_delta, "p95_limit": run.attribution.p95_delta}
    n_top, branches = run.attribution.n_top, measure_branches(run)
    sentences = [
        _state_method(run),
        state_completeness(run),
        *_state_absence(run),
        judge_branches(branches),
        judge_faithfulness(run.faithfulness),
        judge_randomisation(run.randomisation, n_top),
    ]
    pictures = [
        run.show_winners(
            draw_replaced(run.faithfulness),
            "Probability of the type by the number of genes replaced, in four orders",
            "Genes of an explained sample are replaced by those of a training sample of another type, and "
            f"the other way round. Bands: {run.evaluation.level:.0%} bootstrap interval over samples.",
        ),
        run.show_winners(
            draw_randomised(
                run.randomisation,
                {"correlation": ("rank correlation", 1), "n_shared": (f"shared of the top {n_top}", n_top)},
            ),
            "What is left of explanations once weights were drawn anew, from the head down",
            "Weights drawn anew from the head down: an explanation that depends on what was learned does not "
            f"stay. Dots: mean; lines: the middle {MIDDLE:.0%} of the samples.",
        ),
        run.show_winners(
            draw_deltas(run.gaps, **limits),
            "Completeness gaps and numbers of steps of the samples explained",
            "The gap is what attributions lack to adding up, as a share of what they should add up to.",
        ),
    ]
    return Part(
        sentences,
        pictures=pictures,
        tables=[_tabulate_branches(branches, run.gaps["rise"].mean()), _tabulate_samples(run)],
    )


def _state_method(run: FinishedRun) -> str:
    about, params = run.explanation, run.attribution
    return (
        f"Integrated Gradients of {about['backbone']}, for "
        f"{count(about['n_samples'], 'test sample')} that it classifies correctly (at most "
        f"{params.n_samples_per_type} of a type) and {count(about['n_genes'], 'gene')}, through the "
        "graph that paints the image, so every gene has its own share. The path runs from the mean of the "
        f"training samples; its steps are trebled from {params.steps} up to {params.max_steps} until the "
        "attributions are complete enough."
    )


def state_completeness(run: FinishedRun) -> str:
    """Say whether attributions add up as asked."""
    gap = run.explanation["gap"]
    reached = (
        f"a median gap of {gap['median']:.2%} and a 95th percentile of {gap['p95']:.2%} "
        f"(asked: {run.attribution.median_delta:.1%} and {run.attribution.p95_delta:.1%})"
    )
    if run.explanation["complete"]:
        return f"The attributions are complete as asked: {reached}."
    return (
        f"The attributions are NOT as complete as asked: {reached}. More steps (max_steps in "
        "params.yaml) are needed before the size of an attribution can be relied on."
    )


def _state_absence(run: FinishedRun) -> list[str]:
    absent = [name for name in run.explanation["tumour_types"] if name not in set(run.gaps["tumour_type"])]
    if not absent:
        return []
    return [
        f"No test sample of {join(absent)} was classified correctly, so no sample is explained for "
        f"{'it' if len(absent) == 1 else 'them'}; the rankings of the next section are of training samples."
    ]


def judge_faithfulness(curves: pd.DataFrame) -> str:
    """Say what the type's probability loses with the genes that explanations name, and what these give."""
    by_curve = {curve: rows.set_index(["n_genes", "order"]) for curve, rows in curves.groupby("curve")}
    deletion, insertion = by_curve["deletion"], by_curve["insertion"]
    counts = curves["n_genes"].unique()
    few, most = max(n for n in counts if n <= _N_REPLACED), max(counts)
    lost, given = deletion.loc[few], insertion.loc[most]
    before = deletion.loc[0].iloc[0]["probability"]
    return (
        f"Faithfulness: without its {few} first genes by its own explanation a sample's type goes from a "
        f"mean probability of {before:.2f} to {_bound(lost.loc['own explanation'])}; without as many by the "
        f"mean explanation of the type to {_bound(lost.loc['mean explanation of the type'])}, by fold change "
        f"to {_bound(lost.loc['fold change'])}, at random to {_bound(lost.loc['random genes'])}. Its "
        f"{most:,} first genes, given to a sample of another type, make it the type with "
        f"{_bound(given.loc['own explanation'])}; by fold change with {_bound(given.loc['fold change'])}, at "
        f"random with {_bound(given.loc['random genes'])}."
    )


def _bound(row: pd.Series) -> str:
    return f"{row['probability']:.2f} ({row['low']:.2f}–{row['high']:.2f})"


def judge_randomisation(cascade: pd.DataFrame, n_top: int) -> str:
    """Say what is left of explanations without the trained head, and without any trained weight."""
    means = cascade.groupby("randomised", sort=False)[["correlation", "n_shared"]].mean()
    first, last = means.iloc[0], means.iloc[-1]
    return (
        f"Randomisation, on {count(cascade['sample'].nunique(), 'training sample')}: with the weights of the "
        f"{means.index[0]} drawn anew, explanations correlate with those before at "
        f"{format_value(first['correlation'], spec='.2f')} by rank and share {first['n_shared']:.1f} of the "
        f"top {n_top} genes; with all weights, at {format_value(last['correlation'], spec='.2f')} and "
        f"{last['n_shared']:.1f}."
    )


def measure_branches(run: FinishedRun) -> pd.DataFrame:
    """Put the network's branches below each other: what goes through each, and what it finds."""
    shares = pd.Series(run.explanation["branches"])
    sums = run.gaps[shares.index]
    rows = pd.DataFrame({"branch": shares.index, "mass": shares})
    rows = rows.assign(rise=sums.mean(), rise_low=sums.quantile(0.25), rise_high=sums.quantile(0.75))
    if len(run.recovery):
        found = run.recovery.groupby("ranking")[["n_found", "n_markers"]].sum()
        rows["share_found"] = found["n_found"] / found["n_markers"]
    if run.truth is not None:
        top = run.truth[
            (run.truth["truth"] == MIDDLE_TRUTH) & (run.truth["n_top"] == choose_n_top(run.truth))
        ]
        rows["precision"] = top.groupby("ranking")["precision"].mean()
    return rows


def judge_branches(rows: pd.DataFrame) -> str:
    """Say how much of what is attributed goes through each branch, and which markers each finds alone."""
    told = join(f"{row['mass']:.0%} through the {name}" for name, row in rows.iterrows())
    sentence = f"Of all that is attributed, for and against added up without signs, go {told}."
    if "share_found" not in rows:
        return sentence
    alone = join(f"{row['share_found']:.0%} (by the {name})" for name, row in rows.iterrows())
    return f"{sentence} A ranking by one branch alone finds {alone} of the markers."


def _state_top(rows: pd.DataFrame) -> str:
    """Say what the last columns count, if there are any."""
    counted = {"share_found": "markers", "precision": "truly raised genes (by 1 log₂ or more)"}
    told = " and ".join(name for column, name in counted.items() if column in rows)
    return f" Also {told} among the top genes of a ranking by the branch alone." if told else ""


def _tabulate_branches(rows: pd.DataFrame, rise: float) -> Table:
    return Table(
        rows,
        "By branch of the network",
        "Each has a classifier of its own: maps are the backbone's, over the image; genes are read without "
        "their places, by logistic regression; ranks are those of the genes in a sample. Their scores are "
        "summed (the table of final trainings has the shares), and so attributions through the branches add "
        "up to the whole. Attributed: a branch's share of all that speaks for or against, without signs, "
        "over the test samples explained. "
        "Adds, in logits, to what speaks for the sample's own type: mean, and the middle half of the "
        f"samples; together {format_value(rise, spec='.2f')}.{_state_top(rows)}",
        headings={
            "mass": "Attributed",
            "rise": "Adds",
            "share_found": "Markers found",
            "precision": "Truly raised",
        },
        formats={"mass": ".0%", "rise": ".2f", "share_found": ".0%", "precision": ".0%"},
    )


def _tabulate_samples(run: FinishedRun) -> Table:
    """List every sample with what its attributions add up to, and what they lack."""
    branches = list(run.explanation["branches"])
    return Table(
        run.gaps[["tumour_type", "rise", *branches, "delta", "relative_gap", "steps"]].reset_index(),
        "Completeness of every sample",
        headings={"rise": "Rise", "relative_gap": "Relative gap"}
        | {name: f"Through the {name}" for name in branches},
        formats=dict.fromkeys(["rise", *branches], ".2f") | {"relative_gap": ".2%"},
        folded=True,
    )
