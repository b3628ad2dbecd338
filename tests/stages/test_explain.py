"""Which samples the cross-check of the stage `explain` takes."""

import numpy as np
import pytest

from expressionist.stages.explain import _draw_types

TYPES = np.repeat(np.arange(20), 2)


def draw(types, seed):
    return _draw_types(types, np.random.default_rng(seed))


def test_types_of_the_whole_alphabet_are_drawn_each_once():
    drawn = [TYPES[draw(TYPES, seed)] for seed in range(60)]
    assert all(len(set(each)) == len(each) == 6 for each in drawn)
    assert set(np.concatenate(drawn)) == set(TYPES)


def test_the_seed_alone_decides():
    assert draw(TYPES, 3).tolist() == draw(TYPES, 3).tolist()
    assert draw(TYPES, 3).tolist() != draw(TYPES, 4).tolist()


@pytest.mark.parametrize("n_types", [1, 6])
def test_as_many_types_as_there_are_are_taken(n_types):
    types = TYPES[: 2 * n_types]
    assert draw(types, 0).tolist() == list(range(0, 2 * n_types, 2))
