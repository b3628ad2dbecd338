"""A layout on disk: the same out as in."""

import numpy as np

from expressionist.painting.layout_file import read_layout, write_layout
from toy import make_cohort, make_layout, make_scale


def test_a_layout_comes_back_as_it_was(tmp_path):
    layout, scale, genes = make_layout(7, (4, 3)), make_scale(7), make_cohort(n_genes=7).genes
    write_layout(tmp_path / "layout", layout, scale, genes, {"unit": "counts", "cohort": "toy"})
    found, found_scale, found_genes, about = read_layout(tmp_path / "layout")
    assert found.genes.tolist() == layout.genes.tolist()
    assert found.pixel.tolist() == layout.pixel.tolist()
    assert (found.shape, found.method) == ((4, 3), "random")
    np.testing.assert_array_equal(found_scale.low, scale.low)
    np.testing.assert_array_equal(found_scale.span, scale.span)
    assert (found_genes["pixel"] == found_genes["row"] * 3 + found_genes["column"]).all()
    assert (about["unit"], about["cohort"]) == ("counts", "toy")
