import numpy as np
import pytest

from expressionist.evaluation.footprint import Footprint, name_patients, place_samples
from expressionist.evaluation.novelty import Novelty
from expressionist.files.store import read_arrays, write_arrays


def draw(n_samples: int = 60, n_genes: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    types = np.arange(n_samples) % 3
    return (rng.normal(size=(n_samples, n_genes)) + 3 * np.eye(3, n_genes)[types]).astype(np.float32), types


def leave(log2: np.ndarray, types: np.ndarray, patients: list[str]) -> tuple[Footprint, Novelty]:
    novelty = Novelty.fit(log2, types, None, rng=np.random.default_rng(0))
    return Footprint.leave(log2, types, 4, patients, novelty), novelty


def test_it_holds_the_means_and_quantiles_of_training_samples() -> None:
    log2, types = draw()
    footprint, _ = leave(log2, types, ["P"])
    np.testing.assert_allclose(footprint.means[1], log2[types == 1].mean(axis=0), rtol=1e-5)
    assert np.isnan(footprint.means[3]).all()
    np.testing.assert_allclose(footprint.quantiles[1], np.median(log2, axis=0), rtol=1e-5)
    np.testing.assert_allclose(footprint.by_type[1, 2], np.median(log2[types == 1], axis=0), rtol=1e-5)
    assert (np.diff(footprint.by_type[:3], axis=1) >= 0).all()
    assert np.isnan(footprint.by_type[3]).all()
    np.testing.assert_allclose(
        footprint.profile[[0, -1]], [log2.min(1).mean(), log2.max(1).mean()], rtol=1e-5
    )


def test_training_samples_lie_where_they_are_placed_anew() -> None:
    log2, types = draw()
    footprint, novelty = leave(log2, types, ["P"])
    np.testing.assert_array_equal(place_samples(novelty, log2), footprint.points)
    # The first component of the standardised samples holds most of the variance.
    assert footprint.points.var(axis=0)[0] >= footprint.points.var(axis=0)[1] > 0


def test_three_training_samples_still_have_two_coordinates() -> None:
    log2, types = draw(3)
    footprint, _ = leave(log2, types, ["P"])
    assert footprint.points.shape == (3, 2)


@pytest.mark.parametrize(
    ("patient", "known"),
    [
        ("TCGA-OR-A5J1", True),
        ("TCGA-OR-A5J1-11A-11R-A29S-07", True),
        ("TCGA-OR-A5J2-01", False),
        ("P1", True),
        ("P11", False),
        ("TCGA-OR-A5J12", False),
    ],
)
def test_patients_are_recognised_by_their_digests(patient: str, *, known: bool) -> None:
    footprint, _ = leave(*draw(), ["P1", "TCGA-OR-A5J1-01A-11R-A29S-07"])
    assert footprint.recognise([patient]).tolist() == [known]
    assert not any(b"P1" in digest or b"TCGA" in digest for digest in footprint.patients)


def test_patients_of_test_samples_are_told_from_those_of_training() -> None:
    log2, types = draw()
    novelty = Novelty.fit(log2, types, None, rng=np.random.default_rng(0))
    footprint = Footprint.leave(log2, types, 4, ["P1"], novelty, tested=["P2"])
    assert footprint.recognise_tested(["P1", "P2", "P3"]).tolist() == [False, True, False]
    older = Footprint(**{name: each for name, each in footprint.to_arrays().items() if name != "tested"})
    assert older.recognise_tested(["P2"]).tolist() == [False]


def test_a_name_that_only_begins_like_a_barcode_is_kept() -> None:
    assert name_patients(["TCGA-OR-A5J", "TCGA-OR-A5J1X"]) == ["TCGA-OR-A5J", "TCGA-OR-A5J1X"]


def test_it_is_read_as_it_was_written(tmp_path) -> None:
    footprint, _ = leave(*draw(), ["P1", "P2"])
    write_arrays(tmp_path / "x.npz", **footprint.to_arrays())
    found = Footprint(**read_arrays(tmp_path / "x.npz"))
    assert found.recognise(["P2", "P3"]).tolist() == [True, False]
    for name, array in footprint.to_arrays().items():
        np.testing.assert_array_equal(getattr(found, name), array)


def test_one_that_was_left_without_quantiles_of_types_is_still_read(tmp_path) -> None:
    arrays = dict(leave(*draw(), ["P1"])[0].to_arrays())
    del arrays["by_type"]
    write_arrays(tmp_path / "x.npz", **arrays)
    older = Footprint(**read_arrays(tmp_path / "x.npz"))
    assert older.by_type is None
    assert set(older.to_arrays()) == set(arrays)
