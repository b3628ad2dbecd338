"""A small backbone, and what is painted for it."""

import numpy as np
import pytest

import toy
from network.parts import N_GENES, SHAPE


@pytest.fixture
def backbone():
    return toy.make_backbone((10, 8))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).normal(size=(3, 10, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def layout():
    return toy.make_layout(N_GENES, SHAPE)


@pytest.fixture(scope="module")
def scale():
    return toy.make_scale(N_GENES)
