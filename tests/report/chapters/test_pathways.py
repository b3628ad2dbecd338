"""Pathways are judged by the numbers, and sets that are nearly one are shown once."""

import numpy as np
import pandas as pd
from tests.report.made_up import make_run

from expressionist.painting.layout import Layout
from expressionist.report.chapters.pathways import choose_distinct, describe, judge_pathways
from expressionist.report.chapters.recovery import TESTED

MEMBERS = {
    "Wide%WikiPathways_20220613%WP1%Homo sapiens": np.arange(20),
    "narrow": np.arange(10),
    "half": np.arange(15, 25),
    "other": np.arange(30, 40),
}


def make_pathways() -> pd.DataFrame:
    p_values = {TESTED: [1e-5, 1e-6, 0.004, 0.5], "fold_change": [0.9, 1e-5, 0.9, 1e-3]}
    rows = [
        {"tumour_type": name, "ranking": ranking, "gene_set": gene_set, "n_genes": len(MEMBERS[gene_set])}
        | {"score": -3.0 if gene_set == "half" else 4.0, "leading_genes": "A, B"}
        | {"p_value": p if name == "T0" else 0.9, "q_value": min(4 * p, 1) if name == "T0" else 0.95}
        for ranking, each in p_values.items()
        for name in ("T0", "T1")
        for gene_set, p in zip(MEMBERS, each, strict=True)
    ]
    return pd.DataFrame(rows)


def make_gene_sets() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gene_set": list(MEMBERS),
            "n_genes": [len(places) for places in MEMBERS.values()],
            "nearest": [1.0, 2.0, 3.0, 4.0],
            "random_nearest": 4.0,
            "distance": 5.0,
            "random_distance": 10.0,
            "p_value": 0.005,
            "q_value": [0.02, 0.04, 0.06, 0.9],
            "positions": [",".join(places.astype(str)) for places in MEMBERS.values()],
        }
    )


def test_sets_that_share_most_genes_are_shown_once() -> None:
    first = make_pathways().query("tumour_type == 'T0' and ranking == @TESTED")
    assert choose_distinct(first, MEMBERS, 2)["gene_set"].tolist() == ["narrow", "half"]
    assert choose_distinct(first, MEMBERS, 9)["gene_set"].tolist() == ["narrow", "half", "other"]


def test_rankings_are_judged_by_the_numbers() -> None:
    first, second, both = judge_pathways(make_pathways())
    assert first == "Integrated Gradients: 3 sets at q < 0.05, in 1 of 2 tumour types."
    assert second.startswith("Plain fold change: 2 sets at q < 0.05")
    assert "find 1 of these sets for the same type" in both


def test_the_chapter_shows_each_type_beside_fold_change_and_where_sets_lie() -> None:
    layout = Layout(np.array([f"g{place}" for place in range(49)]), np.arange(49), (7, 7), "random")
    part = describe(make_run(pathways=make_pathways(), gene_sets=make_gene_sets(), layout=layout))
    assert part is not None
    strongest, places = (table.rows for table in part.tables)
    assert strongest.loc[strongest["tumour_type"] == "T0", "gene_set"].tolist() == ["narrow", "half", "other"]
    np.testing.assert_allclose(strongest["control_q"].iloc[:3], [4e-5, 1, 4e-3])
    assert places["gene_set"].tolist() == ["narrow", "half", "other"]
    assert "genes of 2 of 4 sets" in part.sentences[-1]
    assert "it is 0.62 times" in part.sentences[-1]
    titles = [axes.get_title(loc="left") for axes in part.pictures[1].image.axes]
    assert titles == ["1  narrow", "2  half", "3  other"]


def test_without_gene_sets_there_is_no_chapter() -> None:
    assert describe(make_run()) is None
