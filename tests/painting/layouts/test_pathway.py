"""The layout that is made of gene sets."""

import numpy as np
import pandas as pd
import pytest
from tests.painting.layouts.made_up import draw_modules

from expressionist.painting.layouts._curve import trace_curve
from expressionist.painting.layouts.pathway import place

N_MODULES, SIZE = 6, 16
GENES = pd.DataFrame(
    {"symbol": [f"S{number}" for number in range(N_MODULES * SIZE)]},
    index=[f"g{number:03d}" for number in np.random.default_rng(1).permutation(N_MODULES * SIZE)],
)


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("shape", [(8, 12), (10, 10), (1, 96), (5, 7)])
def test_sets_are_runs_of_the_curve_and_the_rest_is_the_last(shape):
    module = np.random.default_rng(3).permutation(np.repeat(np.arange(N_MODULES), SIZE))
    expression = draw_modules(np.zeros(N_MODULES * SIZE, int))
    expression[:, module == 2] = 0.1
    sets = {str(number): GENES["symbol"][module == number].tolist() for number in range(N_MODULES - 1)}
    pixel = place(expression, GENES, shape, rng(), gene_sets=sets)
    step = np.argsort(trace_curve(shape))[pixel]
    for number in range(N_MODULES):
        own, other = step[module == number], step[module != number]
        # Where genes share pixels, the first and last pixel of a set may be shared with another's genes.
        assert not ((other > own.min()) & (other < own.max())).any()
    assert step[module == N_MODULES - 1].min() >= step[module != N_MODULES - 1].max()


def test_like_sets_and_like_genes_stand_together():
    # Sets of eight genes each; two sets share a programme, and within a set two halves have one each.
    half = np.repeat(np.arange(12), 8)
    expression = draw_modules(np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5])[half])
    sets = {str(number): GENES.index[half // 2 == number].tolist() for number in range(6)}
    shuffled = np.random.default_rng(4).permutation(96)
    pixel = place(expression[:, shuffled], GENES.iloc[shuffled], (1, 96), rng(), gene_sets=sets)
    programme = (half % 6)[shuffled][np.argsort(pixel)]
    # 12 runs of one programme each, of which those at the joints of sets may be one.
    assert np.count_nonzero(np.diff(programme)) <= 11
    order = (half // 2)[shuffled][np.argsort(pixel)][::16]
    # Sets 0 and 3, 1 and 4, 2 and 5 have the same programmes.
    assert [abs(a - b) for a, b in order.reshape(3, 2)] == [3, 3, 3]


def test_constant_genes_come_last_in_their_set():
    expression = draw_modules(np.zeros(96, int))
    expression[:, [5, 50]] = 0.1
    sets = {"one": GENES.index[:48].tolist(), "two": GENES.index[48:].tolist()}
    pixel = place(expression, GENES, (1, 96), rng(), gene_sets=sets)
    assert pixel[5] == pixel[:48].max()
    assert pixel[50] == pixel[48:].max()
