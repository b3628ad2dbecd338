"""Siblings and errors: what tells the most confused types apart, and what pulled samples over."""

import pandas as pd

from expressionist.report.content import Part, Picture, Table
from expressionist.report.figures.attributions import draw_apart
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, join

_N_DRAWN, _N_PULLED = 8, 5


def describe(run: FinishedRun) -> Part | None:
    """Explain the pairs that are confused most often, and the errors; nothing where nothing was confused."""
    if run.errors.empty:
        return None
    confused = run.confusion.to_numpy(int)
    n_wrong = int(confused.sum() - confused.trace())
    pairs = list_pairs(run.siblings)
    sentences = [
        f"{count(n_wrong, 'test sample')} of {confused.sum():,} {'was' if n_wrong == 1 else 'were'} "
        "misclassified. What is explained here is the difference of two logits. For a pair of types the path "
        "runs from the mean training sample of one to training samples of the other, so it holds what tells "
        "these two apart, and not what both have in common; for an error it runs from the mean of the "
        "sample's own type to the sample.",
        *([_state_pairs(run, pairs)] if pairs else []),
    ]
    pictures = [_draw_pair(run, *pair) for pair in pairs]
    return Part(
        sentences, pictures=pictures, tables=[tabulate_errors(run.errors, n_wrong), _tabulate(run.siblings)]
    )


def list_pairs(siblings: pd.DataFrame) -> list[tuple[str, str]]:
    """List the pairs of a table that holds each both ways, in its order."""
    pairs = [tuple(sorted(pair)) for pair in zip(siblings["type"], siblings["rival"], strict=True)]
    return [(str(one), str(other)) for one, other in dict.fromkeys(pairs)]


def _choose(siblings: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    both = siblings[siblings["type"].isin([one, other]) & siblings["rival"].isin([one, other])]
    return both.groupby("type", sort=False).head(_N_DRAWN)


def _state_pairs(run: FinishedRun, pairs: list[tuple[str, str]]) -> str:
    counts = run.confusion.set_axis(run.confusion.columns, axis=0)
    told = join(
        f"{one} and {other} ({count(int(counts[other][one] + counts[one][other]), 'sample')})"
        for one, other in pairs
    )
    return (
        f"Most often taken for each other: {told}. In the pictures a gene speaks by being high or low where "
        "the type has more or less of it than its rival, in the mean of the training samples; one that tells "
        "both ways has a bar on either side."
    )


def _draw_pair(run: FinishedRun, one: str, other: str) -> Picture:
    return run.show_winners(
        draw_apart(_choose(run.siblings, one, other), one, other),
        f"Genes that speak for {one} over {other}, and for {other} over {one}",
    )


def tabulate_errors(errors: pd.DataFrame, n_wrong: int) -> Table:
    """Put each misclassified sample in a row, with the first genes that pulled it over."""
    records = []
    for sample, genes in errors.groupby("sample", sort=False):
        first = genes.head(_N_PULLED)
        records.append(
            {
                "sample": sample,
                "type": first["type"].iloc[0],
                "predicted": first["predicted"].iloc[0],
                "high": ", ".join(first.loc[first["higher"], "symbol"].astype(str)) or None,
                "low": ", ".join(first.loc[~first["higher"], "symbol"].astype(str)) or None,
                "attribution": first["attribution"].sum(),
                "relative_gap": first["relative_gap"].iloc[0],
            }
        )
    return Table(
        pd.DataFrame(records),
        "Errors one by one",
        f"{len(records)} of {count(n_wrong, 'error')}. Of each the {_N_PULLED} genes that pulled the sample "
        "over most, higher or lower than in the mean of its own type, the strongest first; and what they add "
        "together to the difference of the two logits.",
        headings={
            "type": "True type",
            "predicted": "Taken for",
            "high": "Pulled over by being high",
            "low": "By being low",
            "attribution": "These genes add",
            "relative_gap": "Completeness gap",
        },
        formats={"attribution": ".2f", "relative_gap": ".2%"},
        folded=True,
    )


def _tabulate(siblings: pd.DataFrame) -> Table:
    rows = siblings.assign(higher=siblings["higher"].map({True: "high", False: "low"}))
    shown = ["type", "rival", "symbol", "gene", "higher", "attribution", "share_positive"]
    return Table(
        rows[shown],
        "What tells siblings apart",
        "Mean attribution to the logit of the type minus that of its rival, over training samples of the "
        "type.",
        headings={"type": "Speaks for", "rival": "Over", "higher": "By being"},
        folded=True,
    )
