"""One split of the patients: what is fitted and chosen on it hangs on no test sample."""

from dataclasses import replace

import numpy as np
import pytest
from tests.toy import make_cohort, network_params, training_params

from expressionist.files.code_digest import digest_code
from expressionist.params import sections
from expressionist.pipeline import Recipe, SplitFitter, digest_pipeline
from expressionist.stages.repeats import split_again

N_GENES = 30
SEARCH = {"n_trials": 1, "epochs": 1, "folds": 2, "depths": (0,), "learning_rate": None, "dropout": None}
SEARCH |= {"objective": "f1_macro", "prune": False, "storage": None, "seed": 1}
RECIPE = Recipe(
    sections.ExpressionParams(N_GENES),
    sections.LayoutParams("coexpression", 1, {}),
    sections.WeightsParams("random", "none", required=False, seed=1),
    network_params(magnify=0, side=32, strides=(8, 32), dropout=0.2, gene_dropout=0.2),
    training_params(epochs=2),
    sections.SearchParams(**SEARCH),
    sections.BaselinesParams(("logistic_regression",), 1),
)


@pytest.fixture(scope="module")
def split():
    return split_again(make_cohort().samples, sections.SplitParams(validation=0.2, test=0.2, seed=1), 2)


@pytest.fixture(scope="module")
def fitters(split, tmp_path_factory):
    """The same split twice: as it is, and with other expression in its test rows."""
    cohort = make_cohort()
    test = (split == "test").to_numpy()
    expression = cohort.expression.copy()
    # Of another variance per gene, and higher than anything seen: scale, choice, order of genes would move.
    rng = np.random.default_rng(0)
    expression[test] = rng.uniform(0, rng.uniform(5, 30, expression.shape[1]), (test.sum(), 40))
    given = (cohort, replace(cohort, expression=expression))
    folders = (tmp_path_factory.mktemp(name) for name in ("before", "after"))
    return [
        (each, SplitFitter(each, split, RECIPE, lists=folder, folder=folder, cache_gigabytes=1.0))
        for each, folder in zip(given, folders, strict=True)
    ]


def test_no_test_sample_reaches_the_fitter(fitters, split):
    for _, fitter in fitters:
        assert set(fitter.known.samples.index) == set(split.index[split != "test"])
        assert set(fitter.split) == {"train", "validation"}


def test_other_test_rows_change_no_gene_scale_or_pixel(fitters):
    (_, before), (_, after) = fitters
    assert before.layout.genes.tolist() == after.layout.genes.tolist()
    assert len(before.layout.genes) == N_GENES
    np.testing.assert_array_equal(before.layout.pixel, after.layout.pixel)
    for part in ("low", "span"):
        np.testing.assert_array_equal(getattr(before.scale, part), getattr(after.scale, part))


@pytest.mark.parametrize("kind", ["baseline", "network"])
def test_other_test_rows_change_neither_choice_nor_fit(fitters, split, kind):
    told = []
    fitted = [
        fitter.fit_baseline("logistic_regression")
        if kind == "baseline"
        else fitter.fit_network("mobilenet", told.append)
        for _, fitter in fitters
    ]
    assert fitted[0].choice == fitted[1].choice
    # What was fitted is a function; it is the same one on samples that nobody has seen.
    anything = np.random.default_rng(1).uniform(0, 9, (7, 40)).astype(np.float32)
    np.testing.assert_array_equal(*(each.predict(anything) for each in fitted))
    np.testing.assert_allclose(fitted[0].predict(anything).sum(axis=1), 1, atol=1e-6)
    validation = [fitter.validate(each) for (_, fitter), each in zip(fitters, fitted, strict=True)]
    assert validation[0] == validation[1]
    scores = []
    for (cohort, fitter), each in zip(fitters, fitted, strict=True):
        scores.append(each.score(cohort.take((split == "test").to_numpy()), fitter.tumour_types))
    assert scores[0]["log_loss"] != scores[1]["log_loss"]
    assert fitted[0].choice["temperature"] != 1
    if kind == "network":
        assert [trial["depth"] for trial in told] == [0, 0]


def test_what_only_one_model_needs_can_be_deleted(fitters):
    (_, fitter), _ = fitters
    (fitter.folder / "mobilenet" / "prefix").mkdir(parents=True, exist_ok=True)
    fitter.clear("mobilenet")
    fitter.clear("mobilenet")
    assert not (fitter.folder / "mobilenet").exists()
    assert (fitter.folder / "layout").exists()


def test_what_is_kept_on_disk_tells_methods_and_kinds_of_model_apart() -> None:
    kinds = [("pca", True), ("pca", False), ("random", True), ("random", False)]
    digests = {digest_pipeline(method, networks=networks) for method, networks in kinds}
    assert len({*digests, digest_code("training.finetuner"), digest_code("training.depth_search")}) == 6
