"""Pathways: gene sets at the ends of rankings, beside fold change, and their places on the image."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from expressionist.report.chapters.recovery import RANKINGS, TESTED
from expressionist.report.content import Part, Picture, Table
from expressionist.report.figures.pathways import draw_enrichment, draw_set_places, shorten
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count

_LEVEL = 0.05
_N_PER_TYPE, _N_ON_MAP = 3, 6
# Of the smaller set's genes: sets that share more are shown once.
_SHARED = 0.5
_CONTROL = "fold_change"


def describe(run: FinishedRun) -> Part | None:
    """Show the strongest gene sets of every type, where gene sets were given."""
    if run.pathways is None or run.gene_sets is None:
        return None
    listed = zip(run.gene_sets["gene_set"], run.gene_sets["positions"], strict=True)
    members = {str(name): np.array(str(positions).split(","), int) for name, positions in listed}
    tested = run.pathways.loc[run.pathways["ranking"] == TESTED]
    by_type = tested.groupby("tumour_type", sort=True)
    best = pd.concat([choose_distinct(rows, members, _N_PER_TYPE) for _, rows in by_type])
    on_map = choose_distinct(tested, members, _N_ON_MAP)
    located = run.gene_sets.set_index("gene_set").loc[on_map["gene_set"]].reset_index()
    sentences = [_state_method(len(members)), *judge_pathways(run.pathways), judge_places(run.gene_sets)]
    pictures = _draw(run, tested, best, {name: members[name] for name in located["gene_set"]})
    return Part(
        sentences, pictures=pictures, tables=[_tabulate(best, run.pathways), _tabulate_places(located)]
    )


def choose_distinct(found: pd.DataFrame, members: Mapping[str, np.ndarray], n: int) -> pd.DataFrame:
    """Take the sets of lowest p-value, leaving out those that share most genes with one taken before."""
    taken: list[np.ndarray] = []
    kept = []
    for row, name in found.sort_values("p_value", kind="stable")["gene_set"].items():
        genes = members[str(name)]
        if not any(_overlap(genes, other) > _SHARED for other in taken):
            taken.append(genes)
            kept.append(row)
        if len(taken) == n:
            break
    return found.loc[kept]


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Give the share of the smaller set's genes that the other holds."""
    return len(np.intersect1d(first, second)) / min(len(first), len(second))


def _state_method(n_sets: int) -> str:
    return (
        f"{count(n_sets, 'gene set')} with 5 to 500 painted genes were tested. The score says by how many "
        "standard errors a set's genes rank above the other painted genes: they mark the type by being high, "
        "or if it is negative by being low. Genes that go up and down together among samples of one type "
        "count for fewer than they are. q is the false discovery rate (Benjamini and Hochberg) over all "
        "types and sets of a ranking."
    )


def judge_pathways(found: pd.DataFrame) -> list[str]:
    """Say how many sets each ranking finds, and how many of them attributions and fold change share."""
    hits = found.loc[found["q_value"] < _LEVEL]
    sentences = []
    for ranking, rows in found.groupby("ranking", sort=False):
        own = hits.loc[hits["ranking"] == ranking]
        words = RANKINGS.get(str(ranking), str(ranking).replace("_", " "))
        n_types = count(rows["tumour_type"].nunique(), "tumour type")
        sentences.append(
            f"{words[:1].upper() + words[1:]}: {count(len(own), 'set')} at q < {_LEVEL}, in "
            f"{own['tumour_type'].nunique()} of {n_types}."
        )
    keys = ["tumour_type", "gene_set"]
    first, second = (hits.loc[hits["ranking"] == ranking, keys] for ranking in (TESTED, _CONTROL))
    return [
        *sentences,
        f"{RANKINGS[TESTED]} and {RANKINGS[_CONTROL]} find {len(first.merge(second))} of these sets for "
        "the same type.",
    ]


def judge_places(located: pd.DataFrame) -> str:
    """Say how many sets lie together on the image, and how closely, beside random genes."""
    close = located.loc[located["q_value"] < _LEVEL]
    nearest = (located["nearest"] / located["random_nearest"]).median()
    distance = (located["distance"] / located["random_distance"]).median()
    return (
        f"On the image the genes of {len(close):,} of {count(len(located), 'set')} have another one of their "
        f"set nearer by than random genes have (q < {_LEVEL}). In the median of all sets it is "
        f"{nearest:.2f} times as far off as in random sets of the same size, and any two are "
        f"{distance:.2f} times as far from each other: a set may lie in several places."
    )


def _draw(
    run: FinishedRun, tested: pd.DataFrame, best: pd.DataFrame, on_map: Mapping[str, np.ndarray]
) -> list[Picture]:
    types = sorted(tested["tumour_type"].unique())
    sets = list(dict.fromkeys(best["gene_set"]))
    return [
        run.show_winners(
            draw_enrichment(tested, sets, types),
            "Scores and q-values of the strongest gene sets, by tumour type",
            f"The {_N_PER_TYPE} strongest sets of every type, in all types. Red: the set's genes mark the "
            "type by being high; blue: by being low. A dot is larger the smaller q is, and has a rim below "
            f"{_LEVEL}. Of sets that share most of their genes one is shown.",
        ),
        run.show_winners(
            draw_set_places(run.layout.pixel, on_map, run.layout.shape),
            "Places of the genes of the strongest gene sets on the image",
            "Where the genes of the strongest sets lie on the image; the table below says how close.",
        ),
    ]


def _tabulate(best: pd.DataFrame, found: pd.DataFrame) -> Table:
    control = found.loc[found["ranking"] == _CONTROL].set_index(["tumour_type", "gene_set"])
    keys = pd.MultiIndex.from_frame(best[["tumour_type", "gene_set"]])
    rows = best[["tumour_type", "gene_set", "n_genes", "score", "q_value"]].assign(
        gene_set=best["gene_set"].map(lambda name: shorten(name, 90)),
        control_score=control["score"].reindex(keys).to_numpy(),
        control_q=control["q_value"].reindex(keys).to_numpy(),
        leading_genes=best["leading_genes"],
    )
    return Table(
        rows,
        "Strongest gene sets, by tumour type",
        "Leading genes: those that stand furthest on the set's side of the ranking.",
        headings={"n_genes": "Genes painted", "q_value": "q"}
        | {"control_score": "Score by fold change", "control_q": "q by fold change"},
        formats={"score": ".1f", "q_value": ".2g", "control_score": ".1f", "control_q": ".2g"},
    )


def _tabulate_places(located: pd.DataFrame) -> Table:
    rows = located.drop(columns=["positions", "p_value"])
    rows["gene_set"] = [shorten(name, 90) for name in rows["gene_set"]]
    rows.insert(0, "number", range(1, len(rows) + 1))
    distances = ["nearest", "random_nearest", "distance", "random_distance"]
    return Table(
        rows,
        "How close the genes of the sets above lie on the image",
        "Means in pixels. In random sets: of as many genes, drawn 199 times. q is that of the nearest genes, "
        "over all sets.",
        headings={"number": "On the map", "n_genes": "Genes painted", "q_value": "q"}
        | {"nearest": "To the nearest gene", "random_nearest": "In random sets"}
        | {"distance": "To any gene", "random_distance": "In random sets"},
        formats=dict.fromkeys(distances, ".1f") | {"q_value": ".2g"},
    )
