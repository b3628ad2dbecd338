"""The same seed gives the same bytes, another seed does not; and no patient stands on two sides."""

import pytest

from expressionist.data.split import read_split
from expressionist.files.digests import md5
from pipeline.checkout import copy_data, read_tree, run_stages, write_params

FIRST = ("fetch", "prepare", "split", "layout", "images")


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    write_params(folder)
    run_stages(folder, *FIRST)
    return folder


@pytest.mark.parametrize("output", ["cohort/quality.json", "split.tsv"])
def test_same_seed_gives_the_same_file(tiny, again, output):
    assert (again / "data" / output).read_bytes() == (tiny / "data" / output).read_bytes()


@pytest.mark.parametrize("output", ["raw", "cohort", "layout", "images"])
def test_same_seed_gives_the_same_folder(tiny, again, output):
    first = read_tree(tiny / "data" / output)
    assert first
    assert read_tree(again / "data" / output) == first


@pytest.mark.parametrize(
    ("seed", "stages", "output"),
    [
        ("cohort.embedded", ("fetch", "prepare"), "cohort"),
        ("split.seed", ("split",), "split.tsv"),
        ("layout.seed", ("layout",), "layout"),
    ],
)
def test_another_seed_gives_something_else(tiny, tmp_path, seed, stages, output):
    copy_data(tiny, tmp_path, "cohort", "split.tsv")
    changes = {seed: {"n_samples": 330, "n_genes": 400, "seed": 2} if seed == "cohort.embedded" else 2}
    # Of the layouts, one that draws.
    write_params(tmp_path, **changes, **{"layout.method": "random"} if output == "layout" else {})
    if output == "layout":
        copied = tmp_path / "first"
        copy_data(tiny, copied, "cohort", "split.tsv")
        write_params(copied, **{"layout.method": "random"})
        run_stages(copied, "layout")
        first = copied / "data/layout"
    else:
        first = tiny / "data" / output
    run_stages(tmp_path, *stages)
    assert md5(tmp_path / "data" / output) != md5(first)


def test_no_patient_stands_on_two_sides(tiny):
    split = read_split(tiny / "data/split.tsv")
    # A patient with several samples is what could go wrong.
    assert split["patient"].duplicated().any()
    assert (split.groupby("patient")["split"].nunique() == 1).all()


def test_every_sample_stands_on_a_side_and_every_side_has_some(tiny):
    split = read_split(tiny / "data/split.tsv")
    shares = split["split"].value_counts(normalize=True)
    assert sorted(shares.index) == ["test", "train", "validation"]
    assert shares[["validation", "test"]].between(0.07, 0.13).all()
    assert split.index.is_unique
