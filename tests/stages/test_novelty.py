"""The stage `novelty` finds normal tissue beside the cohort, and does without."""

import numpy as np
import pandas as pd
import pytest

import toy
from expressionist.data.cohort_file import write_cohort
from expressionist.data.split import write_split
from expressionist.evaluation.footprint import Footprint
from expressionist.files.store import read_arrays, read_json
from expressionist.painting.layout import Layout
from expressionist.painting.layout_file import write_layout
from expressionist.params.sections import EvaluationParams
from expressionist.stages import novelty

EVALUATION = EvaluationParams(n_resamples=1, level=0.95, answered_accuracy=0.9, false_alarms=0.05, seed=1)


@pytest.mark.parametrize("with_normals", [True, False])
def test_normal_tissue_is_read_where_it_lies(tmp_path, with_normals):
    cohort = toy.make_cohort()
    write_cohort(tmp_path / "cohort.h5ad", cohort)
    if with_normals:
        write_cohort(tmp_path / "normals.h5ad", cohort)
    sides = np.resize(["train", "train", "validation", "test"], len(cohort.samples))
    write_split(tmp_path / "split.tsv", cohort, pd.Series(sides, cohort.samples.index))
    genes = cohort.genes.iloc[:30]
    layout = Layout(genes.index.to_numpy(str), np.arange(30), (5, 6), "random")
    write_layout(tmp_path / "layout", layout, toy.make_scale(30), genes, {})
    paths = {name: tmp_path / name for name in ("layout", "out")}
    novelty.run(EVALUATION, cohort=tmp_path, split=tmp_path / "split.tsv", **paths)
    facts = read_json(tmp_path / "out" / "novelty.json")
    footprint = Footprint(**read_arrays(tmp_path / "out" / "training.npz"))
    for known, among in (
        (footprint.recognise, sides != "test"),
        (footprint.recognise_tested, sides == "test"),
    ):
        assert set(cohort.samples["patient"][among]) == set(
            cohort.samples["patient"][known(cohort.samples["patient"])]
        )
    assert facts["n_normals_shown"] == (30 if with_normals else 0)
    assert ("normal" in facts["flagged"]) is with_normals
    assert set(facts["flagged_normals"]) == ({"T0", "T1", "T2"} if with_normals else set())
