"""Merged types: renamed before they are counted, whatever the source, or refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort, write_cohort
from expressionist.data.merged_types import merge_types
from expressionist.data.sources import embedded, gdc, table
from expressionist.data.sources.embedded import Options
from expressionist.errors import CohortError
from expressionist.params.parsing import parse
from gdc_files import write_counts, write_sheet
from toy import shipped_options

CRC = {"CRC": ("COAD", "READ")}


def label(*types: str) -> pd.DataFrame:
    names = [f"S{number}" for number in range(len(types))]
    return pd.DataFrame({"patient": names, "tumour_type": types}, index=names)


def test_labels_are_renamed_and_counted_by_what_they_were():
    samples, (entry,) = merge_types(label("COAD", "ACC", "READ", "COAD"), CRC)
    assert samples["tumour_type"].tolist() == ["CRC", "ACC", "CRC", "CRC"]
    assert entry["rule"] == "tumour type of COAD + READ, called CRC (merge_types)"
    assert (entry["n"], entry["n_kept"], entry["by_type"]) == (0, 3, {"COAD": 2, "READ": 1})
    # The name of one of those merged may stay.
    assert (
        merge_types(label("COAD", "ACC", "READ"), {"COAD": ["COAD", "READ"]})[0]["tumour_type"][2] == "COAD"
    )


@pytest.mark.parametrize(
    ("merged", "said"),
    [
        ({"CRC": ["COAD", "REED"]}, "but got REED. Choose from ACC, COAD, READ"),
        ({"ACC": ["COAD", "READ"]}, "that of another type, but got ACC"),
        # Renamed away is not free: a name that changes hands would be read wrongly.
        ({"COAD": ["READ"], "X": ["COAD"]}, "that of another type, but got COAD"),
        ({"all": ["COAD", "READ", "ACC"]}, "leave two tumour types or more, but got all alone"),
    ],
)
def test_what_cannot_be_merged_is_refused(merged, said):
    with pytest.raises(CohortError, match=said):
        merge_types(label("COAD", "ACC", "READ"), merged)


def test_types_too_small_alone_are_kept_together(tmp_path):
    expression = pd.DataFrame(np.arange(24.0).reshape(8, 3), columns=["TP53", "KRAS", "MYC"])
    expression.insert(0, "sample", [f"S{number}" for number in range(8)])
    expression["tumour_type"] = ["COAD", "READ"] * 2 + ["ACC"] * 4
    expression.to_csv(tmp_path / "mine.csv", index=False)
    options = parse(table.Options, shipped_options("table", expression="mine.csv", smallest_type=3), "table")
    with pytest.raises(CohortError, match="but got 1"):
        table.read_files(options, {"expression": tmp_path / "mine.csv"})
    cohort, quality = table.read_files(options, {"expression": tmp_path / "mine.csv"}, CRC)
    assert quality["types"] == {"read": {"ACC": 4, "CRC": 4}, "kept": {"ACC": 4, "CRC": 4}}
    assert "called CRC (merge_types)" in [
        rule["rule"].partition(", ")[2] for rule in quality["samples"]["rules"]
    ]
    write_cohort(tmp_path / "cohort.h5ad", cohort)
    assert read_cohort(tmp_path / "cohort.h5ad").merged == {"CRC": ["COAD", "READ"]}


def test_a_tcga_cohort_is_named_after_the_types_left(tmp_path):
    write_counts(tmp_path / "counts")
    write_sheet(tmp_path / "sample_sheet.tsv")
    options = parse(gdc.Options, shipped_options("gdc", smallest_type=1), "gdc")
    cohort, _ = gdc.read(options, tmp_path, {"solid": ["ACC", "UVM"]})
    assert (cohort.name, cohort.tumour_types) == ("gdc-tpm-2", ["TARGET-AML", "solid"])


def test_a_simulated_cohort_keeps_its_markers_and_its_truth():
    options = Options(n_samples=264, n_genes=300, seed=5)
    apart, _ = embedded.read(options, Path())
    cohort, quality = embedded.read(options, Path(), {**CRC, "glioma": ["GBM", "LGG"]})
    assert len(quality["merged_types"]) == 2
    assert {"COAD", "READ", "GBM", "LGG"}.isdisjoint(cohort.tumour_types)
    owners = cohort.genes["marker_of"][apart.genes["marker_of"].str.contains("COAD|READ")]
    assert all(each.split(",").count("CRC") == 1 for each in owners)
    effect, before, n = (
        cohort.truth["effect"],
        apart.truth["effect"],
        apart.samples["tumour_type"].value_counts(),
    )
    assert sorted(effect) == cohort.tumour_types == sorted(cohort.truth["effect_kind"])
    assert effect["ACC"].equals(before["ACC"])
    # From each type's mean above that of all samples: that of two types is the mean over their samples.
    total, joint = n.sum(), n["GBM"] + n["LGG"]
    above = sum(before[name].astype(float) * (total - n[name]) / total * n[name] for name in ("GBM", "LGG"))
    np.testing.assert_allclose(effect["glioma"], above / joint * total / (total - joint), atol=1e-5)
    raised = effect["CRC"] > 1
    assert (before.loc[raised, ["COAD", "READ"]].max(axis=1) > 0.5).all()
    assert raised.any()
