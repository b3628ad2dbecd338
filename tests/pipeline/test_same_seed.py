"""The same seed gives the same bytes, another seed does not; and every side has its share of samples."""

import pytest

from expressionist.data.split import read_split
from expressionist.files.digests import md5
from pipeline.checkout import copy_data, read_tree, run_stages, write_params


def test_same_seed_gives_the_same_files(tiny, tmp_path):
    write_params(tmp_path)
    run_stages(tmp_path, "fetch", "prepare", "lists", "split", "layout", "images")
    outputs = {"raw", "cohort", "lists", "split.tsv", "layout", "images"}
    first = {
        name: content for name, content in read_tree(tiny / "data").items() if name.split("/")[0] in outputs
    }
    assert {name.split("/")[0] for name in first} == outputs
    assert read_tree(tmp_path / "data") == first


@pytest.mark.parametrize(
    ("seed", "stages", "output"),
    [
        ("cohort.embedded", ("fetch", "prepare"), "cohort"),
        ("split.seed", ("split",), "split.tsv"),
        ("layout.seed", ("layout",), "layout"),
    ],
)
def test_another_seed_gives_something_else(tiny, tmp_path, seed, stages, output):
    changed = {seed: {"n_samples": 330, "n_genes": 400, "seed": 2} if seed == "cohort.embedded" else 2}
    made = []
    for folder, changes in ((tmp_path / "first", {}), (tmp_path / "second", changed)):
        copy_data(tiny, folder, "cohort", "split.tsv")
        # Of the layouts, one that draws.
        write_params(folder, **{"layout.method": "random"}, **changes)
        run_stages(folder, *stages)
        made.append(md5(folder / "data" / output))
    assert made[0] != made[1]


def test_every_sample_stands_on_a_side_and_every_side_has_some(tiny):
    split = read_split(tiny / "data/split.tsv")
    shares = split["split"].value_counts(normalize=True)
    assert sorted(shares.index) == ["test", "train", "validation"]
    assert shares[["validation", "test"]].between(0.07, 0.13).all()
    assert split.index.is_unique
