"""The chapter on images shows of a layout's score what could be told."""

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
    untold = {"Mean correlation of genes side by side", "Trustworthiness of the layout", "Score"}
    assert not untold & set(facts)
