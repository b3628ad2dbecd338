"""A cohort on disk: the same out as in, read where it lies, and nothing taken for one that is none."""

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort, write_cohort
from expressionist.errors import CohortError
from toy import make_cohort


def test_a_cohort_comes_back_as_it_was(tmp_path: Path) -> None:
    cohort = make_cohort()
    write_cohort(tmp_path / "cohort.h5ad", cohort)
    found = read_cohort(tmp_path / "cohort.h5ad")
    assert not found.expression.flags.owndata, "it is to stay in the file"
    assert (found.name, found.unit, found.synthetic) == (cohort.name, cohort.unit, True)
    np.testing.assert_array_equal(found.expression, cohort.expression)
    pd.testing.assert_frame_equal(found.samples, cohort.samples, check_names=False)
    pd.testing.assert_frame_equal(found.genes, cohort.genes, check_names=False)


def test_the_truth_is_in_varm(tmp_path: Path) -> None:
    cohort = make_cohort()
    effect = pd.DataFrame({"T0": np.arange(40, dtype=np.float32), "T1": np.float32(0)}, cohort.genes.index)
    kind = pd.DataFrame({"T0": pd.Categorical(["", "own"] * 20), "T1": ""}, cohort.genes.index).astype(
        "category"
    )
    write_cohort(tmp_path / "cohort.h5ad", replace(cohort, truth={"effect": effect, "effect_kind": kind}))
    found = read_cohort(tmp_path / "cohort.h5ad").truth
    pd.testing.assert_frame_equal(found["effect"], effect, check_names=False)
    pd.testing.assert_frame_equal(found["effect_kind"], kind, check_names=False)
    assert anndata.read_h5ad(tmp_path / "cohort.h5ad").varm["effect"].loc["g7", "T0"] == 7


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_cohort_opens_backed_however_it_lay_in_memory(tmp_path: Path, order: str) -> None:
    cohort = make_cohort(n_per_type=100)
    lying = replace(cohort, expression=np.asarray(cohort.expression, order=order))
    write_cohort(tmp_path / "cohort.h5ad", lying)
    data = anndata.read_h5ad(tmp_path / "cohort.h5ad", backed="r")
    np.testing.assert_array_equal(data.X[[0, 255, 256, 299]], cohort.expression[[0, 255, 256, 299]])
    assert list(data.obs_names) == list(cohort.samples.index)


def test_an_h5ad_of_somebody_else_is_refused(tmp_path: Path) -> None:
    anndata.AnnData(np.ones((2, 3), np.float32)).write_h5ad(tmp_path / "cohort.h5ad")
    with pytest.raises(CohortError, match="must hold a cohort with its unit"):
        read_cohort(tmp_path / "cohort.h5ad")


@pytest.mark.parametrize("name", ["", "_index", "sample_id", ".", "..", "/", "a/b", "é ß", " ", '"', "0"])
def test_a_column_may_be_called_anything(tmp_path: Path, name: str) -> None:
    cohort = make_cohort()
    samples = cohort.samples.assign(**{name: "x"}).rename_axis("sample_id")
    write_cohort(tmp_path / "cohort.h5ad", replace(cohort, samples=samples))
    found = read_cohort(tmp_path / "cohort.h5ad").samples
    # What has no name is the row numbers of whoever wrote the table.
    assert found.shape[1] == cohort.samples.shape[1] + (name != "")
    assert name == "" or (found.iloc[:, -1] == "x").all()
