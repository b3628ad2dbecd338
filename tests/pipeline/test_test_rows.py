"""Nothing is fitted on test samples: other expression in their rows changes nothing that was fitted or
chosen."""

import numpy as np
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.data.split import read_split
from expressionist.files.store import read_arrays, read_json, read_table
from pipeline.checkout import BACKBONE, read_tree, read_weights, without_times

BASELINES = ("logistic_regression", "linear_svm", "kernel_svm", "random_forest", "k_nearest_neighbours")


def test_only_the_test_rows_differ(tiny, scrambled):
    before, after = (read_cohort(folder / "data/cohort/cohort.h5ad") for folder in (tiny, scrambled))
    sides = read_split(tiny / "data/split.tsv").loc[before.samples.index, "split"]
    differs = (before.expression != after.expression).any(axis=1)
    assert differs.tolist() == (sides == "test").tolist()


def test_genes_scale_and_layout_stay(tiny, scrambled):
    assert read_tree(scrambled / "data/layout") == read_tree(tiny / "data/layout")


@pytest.mark.parametrize("side", ["train", "validation"])
def test_images_stay(tiny, scrambled, side):
    file = f"data/images/{side}.npy"
    assert (scrambled / file).read_bytes() == (tiny / file).read_bytes()


def test_preview_stays(tiny, scrambled):
    file = "data/images/preview.png"
    assert (scrambled / file).read_bytes() == (tiny / file).read_bytes()


def test_test_images_differ(tiny, scrambled):
    before, after = (np.load(folder / "data/images/test.npy") for folder in (tiny, scrambled))
    assert (before != after).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("baseline", BASELINES)
def test_baselines_stay(tiny, scrambled, baseline):
    before, after = (read_table(folder / f"data/baselines/{baseline}.tsv") for folder in (tiny, scrambled))
    validation = before["split"] == "validation"
    assert after[validation].equals(before[validation])
    assert not after[~validation].equals(before[~validation])


def test_choices_of_the_baselines_stay(tiny, scrambled):
    before, after = (read_json(folder / "data/baselines/baselines.json") for folder in (tiny, scrambled))
    assert tuple(before) == BASELINES
    assert without_times(after) == without_times(before)


def test_search_stays(tiny, scrambled):
    before, after = (read_json(folder / f"data/search/{BACKBONE}.json") for folder in (tiny, scrambled))
    assert [trial["depth"] for trial in before["trials"]] != []
    # What DVC calls the images, of all three sides: said, and read by nothing that is fitted.
    digests = [record.pop("digests") for record in (before, after)]
    assert [name for name in digests[0] if digests[0][name] != digests[1][name]] == ["images"]
    assert without_times(after) == without_times(before)


def test_training_stays(tiny, scrambled):
    before, after = (
        read_json(folder / f"data/models/{BACKBONE}/training.json") for folder in (tiny, scrambled)
    )
    assert without_times(after) == without_times(before)


def test_weights_stay(tiny, scrambled):
    before, after = read_weights(tiny), read_weights(scrambled)
    assert len(before) == len(after)
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_temperature_threshold_and_all_that_is_known_of_validation_samples_stay(tiny, scrambled):
    before, after = (
        read_json(folder / f"data/evaluation/{BACKBONE}/probabilities.json") for folder in (tiny, scrambled)
    )
    assert before["temperature"] != 1
    for name in ("temperature", "abstain_below", "validation"):
        assert after[name] == before[name]
    assert after["test"] != before["test"]


def test_the_novelty_score_stays(tiny, scrambled):
    before, after = (read_arrays(folder / "data/novelty/novelty.npz") for folder in (tiny, scrambled))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
