"""What marks a type, to the network: rankings of genes, whether they hold, and what they find."""

import pandas as pd

from expressionist.report.chapters.images import MATCHED
from expressionist.report.chapters.recovery import (
    RANKINGS,
    TESTED,
    average_truth,
    draw_recovery,
    draw_truth,
    judge_recovery,
    judge_truth,
    tabulate_rankings,
    tabulate_recovery,
    tabulate_truth,
)
from expressionist.report.content import Part, Table
from expressionist.report.figures.recovery import draw_stability
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count

# Columns of types.tsv: what shares genes with the ranking, in words, and the ranking whose look it has.
_SHARED = {
    "shared_halves": ("two halves of the samples", TESTED),
    "shared_test_samples": ("test samples", "test_samples"),
    "shared_fold_change": (RANKINGS["fold_change"], "fold_change"),
    "shared_random_weights": (RANKINGS["random_weights"], "random_weights"),
}


def describe(run: FinishedRun) -> Part:
    """Say how genes were ranked, and whether the rankings stay with other samples and find markers."""
    sentences = [_state_method(run), judge_stability(run.types, run.explanation["n_genes"])]
    n_top = int(run.types["n_top"].max())
    shown = run.types.set_index("tumour_type").sort_values("shared_halves", ascending=False, kind="stable")
    pictures = [
        run.show_winners(
            draw_stability(shown[list(_SHARED)], _SHARED, n_top=n_top),
            "How many of every type's top genes other samples, fold change and an untrained network share",
            "How many of a type's top genes two halves of its training samples have in common, and how many "
            "of them test samples, fold change and the untrained network rank first too.",
        )
    ]
    tables = [_tabulate_stability(run.types)]
    if len(run.recovery):
        sentences += [MATCHED[run.explanation["markers_matched_by"]], *judge_recovery(run.recovery)]
        pictures += draw_recovery(run)
        tables = [tabulate_rankings(run.recovery), *tables, tabulate_recovery(run.recovery)]
    else:
        sentences.append(
            "No marker is known of the types ranked under the names that they have here, or none is among "
            "the genes, so whether the rankings find known markers cannot be tested."
        )
    if run.truth is not None:
        averages = average_truth(run.truth, run.evaluation)
        sentences += judge_truth(averages, run.truth["tumour_type"].nunique())
        pictures.append(draw_truth(run, averages))
        tables.append(tabulate_truth(averages))
    return Part(sentences, pictures=pictures, tables=tables)


def _state_method(run: FinishedRun) -> str:
    return (
        f"Attributions of {count(run.explanation['n_training'], 'training sample')} (at most "
        f"{run.attribution.n_samples_per_type} of a type) are averaged by type. A gene's score says how far "
        "its mean for a type lies above its mean over all types, so that what speaks for every type marks "
        "none. They start from the mean of all types' means: from the training mean a frequent type would "
        "hardly differ. Genes that mark a type by being high (above that mean) and by being low are ranked "
        "apart; where nothing else is said, the ranking is the first one."
    )


def judge_stability(types: pd.DataFrame, n_genes: int) -> str:
    """Say how many of the top genes stay, in the median over types, beside what would by chance."""
    n_top, halves = int(types["n_top"].max()), types["shared_halves"].dropna()
    if halves.empty:
        return "No type has two samples that were ranked, so whether the rankings are stable is not known."
    medians = types[list(_SHARED)].median()
    return (
        f"Of a type's top {n_top} genes, two halves of its samples share {halves.median():.0f} in the median "
        f"(from {halves.min():.0f} to {halves.max():.0f}) and test samples "
        f"{_tell(medians['shared_test_samples'])}; plain fold change shares "
        f"{_tell(medians['shared_fold_change'])}, an untrained network "
        f"{_tell(medians['shared_random_weights'])}, and chance {n_top * n_top / n_genes:.1g}."
    )


def _tell(median: float) -> str:
    return "none that is known" if pd.isna(median) else f"{median:.0f}"


def _tabulate_stability(types: pd.DataFrame) -> Table:
    rows = types[["tumour_type", "n_samples", "n_top", *_SHARED]]
    return Table(
        rows,
        "Top genes that stay, by tumour type",
        "Samples: training samples ranked. A type without a test sample that was classified correctly has no "
        "number for them.",
        headings={"n_top": "Top genes"}
        | {column: f"Shared by {words}" for column, (words, _) in _SHARED.items()},
        formats=dict.fromkeys(_SHARED, ".0f"),
        folded=True,
    )
