import numpy as np
import pandas as pd
import pytest

from expressionist.evaluation.footprint import Footprint
from expressionist.evaluation.novelty import Novelty
from expressionist.evaluation.shift import align_ranks, tabulate_shift

N_GENES = 30
GENES = pd.DataFrame({"symbol": [f"G{k}" for k in range(N_GENES)]}, index=[f"g{k}" for k in range(N_GENES)])


def draw(seed: int, types: np.ndarray) -> np.ndarray:
    """Three types that differ by 6 in ten genes each."""
    markers = np.repeat(np.eye(3), N_GENES // 3, axis=1)
    noise = np.random.default_rng(seed).normal(scale=0.3, size=(len(types), N_GENES))
    return (5 + 6 * markers[types] + noise).astype(np.float32)


@pytest.fixture(scope="module")
def footprint() -> Footprint:
    types = np.arange(120) % 3
    log2 = draw(0, types)
    novelty = Novelty.fit(log2, types, None, rng=np.random.default_rng(0))
    return Footprint.leave(log2, types, 4, [], novelty)


def test_a_gene_that_is_measured_otherwise_leads_also_where_types_are_few(footprint: Footprint) -> None:
    types = np.zeros(40, int)
    log2 = draw(1, types)
    log2[:, 7] += 4
    table, facts = tabulate_shift(footprint, log2, types, GENES)
    assert table["gene"].tolist()[0] == "g7"
    assert table["shift"].iloc[0] == pytest.approx(4, abs=0.2)
    assert table["shift"].iloc[1:].abs().max() < 0.5
    assert facts["n_matched"] == 40
    assert facts["n_shifted"] == 1


def test_without_known_types_the_medians_are_compared(footprint: Footprint) -> None:
    log2 = draw(1, np.zeros(40, int))
    table, facts = tabulate_shift(footprint, log2, np.full(40, -1), GENES)
    found = table.set_index("gene")
    assert facts["n_matched"] == 0
    assert found.loc["g0", "shift"] == pytest.approx(
        found.loc["g0", "median"] - found.loc["g0", "trained_median"]
    )
    # Its one type raises ten genes.
    assert set(table["gene"][:10]) == {f"g{k}" for k in range(10)}


def test_a_type_without_training_samples_is_left_out_of_the_means(footprint: Footprint) -> None:
    log2 = draw(1, np.zeros(40, int))
    table, facts = tabulate_shift(footprint, log2, np.r_[np.zeros(30, int), np.full(10, 3)], GENES)
    assert facts["n_matched"] == 30
    assert np.isfinite(table["shift"]).all()


def test_ranks_take_away_what_moves_all_genes_of_a_sample(footprint: Footprint) -> None:
    log2 = draw(2, np.arange(30) % 3).astype(np.float64)
    depth = np.random.default_rng(3).uniform(0.5, 2, (30, 1))
    aligned = align_ranks(depth * log2 + 1, footprint.profile)
    np.testing.assert_array_equal(aligned, align_ranks(log2, footprint.profile))
    np.testing.assert_allclose(np.sort(aligned, axis=1), np.tile(footprint.profile, (30, 1)), rtol=1e-6)
    assert aligned.dtype == np.float32


def test_a_sample_is_aligned_alike_whatever_comes_with_it(footprint: Footprint) -> None:
    log2 = draw(2, np.arange(30) % 3)
    alone = np.concatenate([align_ranks(log2[k : k + 1], footprint.profile) for k in range(30)])
    np.testing.assert_array_equal(alone, align_ranks(log2, footprint.profile))
