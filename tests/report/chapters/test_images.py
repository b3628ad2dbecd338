"""The chapter on images shows of a layout what could be told, and maps that say something."""

import numpy as np
import pandas as pd
from tests.report.made_up import make_run

from expressionist.painting.layout import Layout
from expressionist.painting.layout_score import score_layout
from expressionist.report.chapters import images


def test_report_shows_what_could_be_told():
    layout = Layout(np.array(["a", "b"]), np.array([0, 3]), (2, 2), "pca")
    scaled = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    score = score_layout(scaled, layout.pixel, layout.shape)
    about = {"n_genes": 2, "n_genes_of_cohort": 9, "n_without_position": 2, "score": score}
    genes = pd.DataFrame({"symbol": ["a", "b"]}, index=["a", "b"])
    facts = images.describe(make_run(layout=layout, genes=genes, about=about)).facts
    assert facts["Share of pixels with a gene"] == "0.500"
    assert facts["Share of genes alone on their pixel"] == "1.000"
    # No two genes are neighbours, and two are too few to speak of trust.
    untold = ("Mean correlation of genes side by side", "Trustworthiness of the layout", "Score")
    assert not [fact for fact in facts if fact.startswith(untold)]


def test_chromosomes_are_drawn_only_where_neighbours_share_them():
    names = np.repeat([str(number) for number in range(1, 11)], 10)
    rng = np.random.default_rng(0)
    drawn = []
    for chromosomes in (names, rng.permutation(names)):
        genes = pd.DataFrame({"symbol": "?", "chromosome": chromosomes}, index=[f"g{k}" for k in range(100)])
        layout = Layout(genes.index.to_numpy(str), np.arange(100), (10, 10), "pca")
        about = {"n_genes": 100, "n_genes_of_cohort": 100, "n_without_position": 0}
        pictures = images.describe(make_run(layout=layout, genes=genes, about=about)).pictures
        drawn.append([picture.caption for picture in pictures if "chromosome" in picture.alt])
    (caption,), nothing = drawn
    assert "in 50% of the pairs, where 9% would be by chance" in caption
    assert nothing == []


def test_positions_are_spoken_of_where_the_layout_goes_by_them():
    genes = pd.DataFrame({"symbol": ["a", "b"]}, index=["a", "b"])
    about = {"n_genes": 2, "n_genes_of_cohort": 9, "n_without_position": 2}
    told = "Genes without a known position"
    for method, said in (("pca", None), ("chromosome", "2")):
        layout = Layout(np.array(["a", "b"]), np.array([0, 3]), (2, 2), method)
        assert images.describe(make_run(layout=layout, genes=genes, about=about)).facts.get(told) == said


def test_markers_of_types_under_other_names_are_not_drawn():
    genes = pd.DataFrame({"symbol": ["TYR", "MLANA"]}, index=["7299", "2315"])
    layout = Layout(genes.index.to_numpy(str), np.array([0, 3]), (2, 2), "pca")
    about = {"n_genes": 2, "n_genes_of_cohort": 9, "n_without_position": 2}
    for types, shown in ((["ACC", "UVM"], True), (["ACC?", "uveal melanoma"], False)):
        split = pd.DataFrame({"tumour_type": types})
        part = images.describe(make_run(layout=layout, genes=genes, about=about, split=split))
        assert any("marker genes" in picture.alt for picture in part.pictures) == shown
        assert ("no type here is called so" in part.sentences[0]) != shown
