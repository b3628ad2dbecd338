"""Nothing is fitted on test samples: other expression in their rows changes nothing fitted or chosen."""

from pathlib import Path

import numpy as np
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.data.split import read_split
from expressionist.files.store import read_arrays, read_json, read_table
from pipeline.checkout import BACKBONE, read_tree, read_weights, without_times

BASELINES = ("logistic_regression", "linear_svm", "kernel_svm", "random_forest", "k_nearest_neighbours")


@pytest.fixture
def read_both(tiny, scrambled):
    """Read an output as it is, and as it is with other test rows."""
    return lambda read, path: [read(folder / "data" / path) for folder in (tiny, scrambled)]


def test_only_the_test_rows_differ(tiny, read_both):
    before, after = read_both(read_cohort, "cohort/cohort.h5ad")
    sides = read_split(tiny / "data/split.tsv").loc[before.samples.index, "split"]
    differs = (before.expression != after.expression).any(axis=1)
    assert differs.tolist() == (sides == "test").tolist()


def test_genes_scale_and_layout_stay(read_both):
    before, after = read_both(read_tree, "layout")
    assert after == before


@pytest.mark.parametrize("name", ["train.npy", "validation.npy", "preview.png"])
def test_images_stay(read_both, name):
    before, after = read_both(Path.read_bytes, f"images/{name}")
    assert after == before


def test_test_images_differ(read_both):
    before, after = read_both(np.load, "images/test.npy")
    assert (before != after).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("baseline", BASELINES)
def test_baselines_stay(read_both, baseline):
    before, after = read_both(read_table, f"baselines/{baseline}.tsv")
    validation = before["split"] == "validation"
    assert after[validation].equals(before[validation])
    assert not after[~validation].equals(before[~validation])


def test_choices_of_the_baselines_stay(read_both):
    before, after = read_both(read_json, "baselines/baselines.json")
    assert tuple(before) == BASELINES
    assert without_times(after) == without_times(before)


def test_search_stays(read_both):
    before, after = read_both(read_json, f"search/{BACKBONE}.json")
    assert [trial["depth"] for trial in before["trials"]] != []
    # What DVC calls the images, of all three sides: said, and read by nothing that is fitted.
    digests = [record.pop("digests") for record in (before, after)]
    assert [name for name in digests[0] if digests[0][name] != digests[1][name]] == ["images"]
    assert without_times(after) == without_times(before)


def test_training_and_weights_stay(tiny, scrambled, read_both):
    before, after = read_both(read_json, f"models/{BACKBONE}/training.json")
    assert without_times(after) == without_times(before)
    weights = zip(read_weights(tiny), read_weights(scrambled), strict=True)
    assert all(np.array_equal(*pair) for pair in weights)


def test_what_is_registered_stays(tiny, scrambled, read_both):
    before, after = read_both(read_json, f"refit/models/{BACKBONE}/training.json")
    assert without_times(after) == without_times(before)
    found = [read_weights(folder, f"data/refit/models/{BACKBONE}") for folder in (tiny, scrambled)]
    assert all(np.array_equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("folder", ["evaluation", "refit/evaluation"])
def test_temperature_threshold_and_all_that_is_known_of_held_out_samples_stay(read_both, folder):
    before, after = read_both(read_json, f"{folder}/{BACKBONE}/probabilities.json")
    assert before["temperature"] != 1
    for name in ("temperature", "abstain_below", "validation"):
        assert after[name] == before[name]
    assert after["test"] != before["test"]


@pytest.mark.parametrize("file", ["novelty/novelty.npz", "novelty/training.npz", "baselines/linear.npz"])
def test_what_judges_other_samples_stays(read_both, file):
    before, after = read_both(read_arrays, file)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
