"""The quality page says what was kept, what was missing, and what the samples differ by."""

from dataclasses import replace

import numpy as np
from tests.toy import make_cohort

from expressionist.data.cohort_file import write_cohort
from expressionist.data.units import AS_IS_UNIT
from expressionist.files.store import write_json
from expressionist.report.page import build_page
from expressionist.report.quality_page import describe_quality
from expressionist.stages import quality

MISSING = {"rule": "gene missing", "by_type": {"T0": 366, "T2": 2}, "n": 368, "fate": "They were dropped."}
QUALITY = {
    "samples": {"read": 70, "kept": 60, "rules": []},
    "genes": {"read": 1071, "kept": 40, "rules": [MISSING]},
    "types": {"read": {"T0": 30, "T1": 20, "T2": 20}, "kept": {"T0": 20, "T1": 20, "T2": 20}},
}


def test_missing_values_are_named_by_type_with_what_became_of_them():
    content = describe_quality(make_cohort(), QUALITY)
    (sentence,) = content.missing.sentences
    assert sentence == (
        "368 genes of 1,071 had no value in some sample kept, most of them in T0 (366) and T2 (2). "
        "They were dropped."
    )
    assert len(content.missing.pictures) == 1


def test_a_cohort_without_missing_values_says_so():
    whole = {**QUALITY, "genes": {"read": 40, "kept": 40, "rules": [{**MISSING, "by_type": {}, "n": 0}]}}
    part = describe_quality(make_cohort(), whole).missing
    assert (part.sentences, part.pictures) == (["No gene of 40 lacks a value in any sample kept."], ())


def test_what_a_source_does_not_count_is_left_out():
    content = describe_quality(make_cohort(), {"n_samples_per_type": {"T0": 20}})
    assert content.missing is None
    assert 'id="missing"' not in build_page(content)
    assert 'id="limits"' not in build_page(content)


def test_library_sizes_are_sums_of_linear_expression():
    cohort = make_cohort()
    sizes = (2.0 ** cohort.expression.astype(float) - 1).sum(axis=1)
    expected = {"Smallest": sizes.min(), "Median": np.median(sizes), "Largest": sizes.max()}
    facts = describe_quality(cohort, QUALITY).library_sizes.facts
    assert facts == {name: f"{size:,.0f}" for name, size in expected.items()}


def test_levels_that_are_taken_as_they_are_have_no_library_size():
    assert describe_quality(replace(make_cohort(), unit=AS_IS_UNIT), QUALITY).library_sizes is None


def test_components_stand_beside_what_they_go_with():
    cohort = make_cohort()
    platform = np.where(np.arange(60) % 2, "GA", "HiSeq")
    cohort = replace(cohort, samples=cohort.samples.assign(platform=platform, plate="A1"))
    (table,) = describe_quality(cohort, QUALITY).components.tables
    assert list(table.rows) == ["component", "variance", "tumour type", "platform"]
    first = table.rows.iloc[0]
    assert first["tumour type"] > 0.9
    assert first["platform"] < 0.2


def test_the_stage_writes_one_page_that_says_synthetic(tmp_path):
    (tmp_path / "cohort").mkdir()
    write_cohort(tmp_path / "cohort" / "cohort.h5ad", make_cohort())
    write_json(tmp_path / "cohort" / "quality.json", QUALITY)
    quality.run(cohort=tmp_path / "cohort", out=tmp_path / "quality")
    page = (tmp_path / "quality" / "quality.html").read_text(encoding="utf-8")
    assert "SYNTHETIC" in page
    assert page.count('src="data:image/png;base64,') == 4
    assert "http://" not in page
    assert "https://" not in page
