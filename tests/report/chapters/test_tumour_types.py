"""A type's attribution image adds up what the genes of a pixel account for."""

import numpy as np
from tests.report.made_up import make_types

from expressionist.report.chapters.tumour_types import sum_by_pixel, tell_stability


def test_a_pixel_shows_the_sum_of_its_genes() -> None:
    rng = np.random.default_rng(0)
    values, pixel = rng.normal(size=30), rng.integers(0, 12, 30)
    slow = np.zeros(12)
    for value, place in zip(values, pixel, strict=True):
        slow[place] += value
    assert np.allclose(sum_by_pixel(values, pixel, (3, 4)), slow.reshape(3, 4))


def test_a_type_says_how_many_genes_stay_where_that_is_known() -> None:
    assert tell_stability(make_types(), "T0") == ["2 of 3 genes stay with other samples"]
    assert tell_stability(make_types(), "T2") == []
