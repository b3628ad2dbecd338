"""The Pan-Cancer Atlas: from files of the true layout to a cohort, with everything counted."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cohort_reading
from cohort_reading import find_rule, write_hgnc
from expressionist.data.sources import pancan_mirna, pancan_mrna, tcga
from expressionist.data.sources._pancan import ANNOTATIONS, CLINICAL
from expressionist.errors import CohortError, ParamsError
from pancan_files import (
    ALIQUOTS,
    CELLS,
    GA,
    HISEQ,
    MIRNAS,
    MORE,
    TYPES,
    write_annotations,
    write_clinical,
    write_expression,
    write_raw,
)

make_options = partial(cohort_reading.make_options, pancan_mrna)
read = partial(cohort_reading.read_cohort, pancan_mrna)


def test_the_published_files_are_those_of_the_manifest():
    mrna = {file.option: file for file in pancan_mrna.list_files(make_options())}
    mirna = {file.option: file for file in pancan_mirna.list_files(cohort_reading.make_options(pancan_mirna))}
    assert mrna["expression"].address == (
        "https://api.gdc.cancer.gov/data/3586c0da-64d0-4b74-a449-5ff4d9136611"
    )
    assert (mrna["expression"].size, mrna["expression"].md5) == (
        1882540959,
        "02e72c33071307ff6570621480d3c90b",
    )
    assert mrna["expression"].name == "expression.geneExp.tsv"
    assert mirna["expression"].address.endswith("/1c6174d9-8ffb-466e-b5ee-07b204c15cf8")
    assert (mirna["expression"].size, mirna["expression"].md5) == (
        67167640,
        "c7501dc3c505ca172a6a05b611bd11c3",
    )
    assert mirna["expression"].name == "expression.csv"
    assert mrna["annotations"] == mirna["annotations"]
    assert (ANNOTATIONS.size, ANNOTATIONS.md5) == (8463670, "05ddd2270fb1fb24fbdc2fe9bf7384e5")
    assert (CLINICAL.size, CLINICAL.md5) == (2945129, "a4591b2dcee39591f59e5e25a6ce75fa")
    assert mrna["clinical"].name == "clinical.xlsx"
    assert "positions" not in mrna


def test_a_mirror_or_files_can_be_given():
    options = make_options(mirror="https://mirror.example/x/", clinical="cdr.xlsx", positions="genes.gtf")
    files = {file.option: file for file in pancan_mrna.list_files(options)}
    assert files["annotations"].address == f"https://mirror.example/x/{ANNOTATIONS.address}"
    assert (files["clinical"].address, files["clinical"].md5) == ("cdr.xlsx", CLINICAL.md5)
    assert not files["clinical"].is_remote
    assert files["positions"].md5 is None


def test_verification_can_be_waived():
    files = pancan_mrna.list_files(make_options(verify=False))
    assert {(file.size, file.md5) for file in files} == {(None, None)}


def test_refuses_a_mirror_that_is_no_url():
    with pytest.raises(ParamsError, match="mirror must be an http or https URL, but got 'file:///etc'"):
        pancan_mrna.list_files(make_options(mirror="file:///etc"))


def test_mrna_is_kept_and_counted_by_the_stated_rules(tmp_path):
    cohort, quality = read(write_raw(tmp_path))
    assert list(cohort.samples.index) == [
        "TCGA-AA-0001-01A-11R-A001-07",
        "TCGA-AA-0002-01A-11R-A001-07",
        "TCGA-AB-0003-03A-11R-A001-07",
        "TCGA-AB-0004-03A-11R-A001-07",
        "TCGA-CC-0005-06A-11R-A001-07",
        "TCGA-CC-0006-01A-11R-A001-07",
        "TCGA-CC-0007-01A-11R-A001-07",
    ]
    # Of the aliquot on two platforms the column of HiSeq, the commoner one.
    columns = np.array([0, 2, 6, 7, 8, 10, 11])
    expected = np.add.outer(10.0 * columns, np.arange(5))
    expected[0, 0] = 0
    np.testing.assert_array_equal(cohort.expression, expected)
    assert list(cohort.genes.index) == ["10357", "728661", "9906", "7157", "7503"]
    assert (cohort.name, cohort.unit) == ("pancan-mrna-3", "RSEM")
    assert list(cohort.samples["tumour_type"]) == ["ACC", "ACC", "LAML", "LAML", "SKCM", "SKCM", "SKCM"]
    assert list(cohort.samples["platform"]) == [HISEQ, f"{GA} + {HISEQ}", GA, HISEQ, HISEQ, HISEQ, ""]
    assert set(cohort.samples) == {"patient", "tumour_type", "sample_type_code", "plate", "platform"}
    assert set(cohort.samples["plate"]) == {"A001"}
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "without annotation")["n_kept"] == 2
    assert find_rule(rules, "without a label")["examples"] == ["TCGA-ZZ-0010-01A-11R-A001-07"]
    assert find_rule(rules, "differ")["examples"] == [
        "TCGA-AA-0002-01A-11R-A001-07: ACC, not UVM",
        "TCGA-AA-0002-11A-11R-A001-07: ACC, not UVM",
    ]
    assert find_rule(rules, "several platforms")["examples"] == ["TCGA-AA-0002-01A-11R-A001-07"]
    assert find_rule(rules, "do_not_use")["by_type"] == {"ACC": 1}
    assert find_rule(rules, "excluded_by_awg")["examples"] == ["TCGA-AA-0009-01A-11R-A001-07"]
    assert find_rule(rules, "excluded_by_awg")["n_unknown"] == 3
    assert find_rule(rules, "sample type")["by_code"] == {"11": 1}
    assert find_rule(rules, "further aliquot")["n"] == 2
    assert find_rule(rules, "further aliquot")["of_these_same_barcode"] == 1
    dropped = sum(entry["n"] for entry in rules if "without a label" not in entry["rule"])
    assert quality["samples"]["read"] - dropped == quality["samples"]["kept"] == 7
    assert find_rule(quality["genes"]["rules"], "missing")["examples"] == ["1"]
    assert find_rule(quality["genes"]["rules"], "missing")["by_type"] == {"LAML": 1, "SKCM": 1}
    assert find_rule(quality["genes"]["rules"], "without a symbol")["n_kept"] == 1
    assert find_rule(quality["genes"]["rules"], "shares its symbol")["examples"] == [
        "SLC35E2 (728661)",
        "SLC35E2 (9906)",
    ]
    assert quality["values"]["rules"][0]["n"] == 1
    assert quality["types"]["read"] == {"ACC": 6, "LAML": 2, "SKCM": 4}


def test_verdicts_can_be_kept(tmp_path):
    cohort, quality = read(write_raw(tmp_path), do_not_use="keep", excluded_by_awg="keep")
    assert {"TCGA-AA-0008-01A-11R-A001-07", "TCGA-AA-0009-01A-11R-A001-07"} <= set(cohort.samples.index)
    assert find_rule(quality["samples"]["rules"], "do_not_use")["n_kept"] == 1
    assert find_rule(quality["samples"]["rules"], "do_not_use")["n"] == 0


def test_one_row_against_an_aliquot_of_several_counts(tmp_path):
    write_raw(tmp_path)
    bad = [(*row[:3], "True", row[4]) if row[1] and row == MORE[0] else row for row in MORE]
    write_annotations(tmp_path / "annotations.tsv", (*ALIQUOTS, *bad))
    cohort, _ = read(tmp_path)
    assert "TCGA-AA-0002-01A-11R-A001-07" not in cohort.samples.index


def test_a_patient_of_several_types_is_labelled_by_the_clinical_table(tmp_path):
    write_raw(tmp_path)
    torn = [(row[0], "UVM", *row[2:]) if row[0].startswith("TCGA-AA-0001-01B") else row for row in ALIQUOTS]
    write_annotations(tmp_path / "annotations.tsv", (*torn, *MORE))
    cohort, quality = read(tmp_path, aliquots="mean")
    assert cohort.samples["tumour_type"].iloc[0] == "ACC"
    assert find_rule(quality["samples"]["rules"], "several types")["examples"] == ["TCGA-AA-0001"]
    write_clinical(
        tmp_path / "clinical.xlsx", {name: t for name, t in TYPES.items() if name != "TCGA-AA-0001"}
    )
    cohort, quality = read(tmp_path)
    assert "TCGA-AA-0001" not in set(cohort.samples["patient"])
    assert find_rule(quality["samples"]["rules"], "without a label")["n"] == 3


@pytest.mark.parametrize("annotated", ["all", "none"])
def test_labels_where_all_or_none_are_annotated(tmp_path, annotated):
    write_raw(tmp_path)
    rows = [row if row[1] else (row[0], "SKCM", HISEQ, "False", "0") for row in ALIQUOTS]
    if annotated == "none":
        rows = [("TCGA-QQ-0001-01A-11R-A001-07", "ACC", HISEQ, "False", "0")]
        write_clinical(tmp_path / "clinical.xlsx", TYPES | {"TCGA-AA-0008": "UVM"})
    write_annotations(tmp_path / "annotations.tsv", rows)
    cohort, quality = read(tmp_path)
    n_lost = 0 if annotated == "all" else len({row[0] for row in ALIQUOTS})
    assert find_rule(quality["samples"]["rules"], "without annotation")["n_kept"] == n_lost
    expected = ["ACC", "LAML", "SKCM"] if annotated == "all" else ["ACC", "LAML", "SKCM", "UVM"]
    assert cohort.tumour_types == expected


def test_means_of_aliquots_and_filled_genes(tmp_path):
    cohort, quality = read(write_raw(tmp_path), aliquots="mean", missing="zero")
    np.testing.assert_allclose(cohort.expression[0], [5, 6, 7, 8, 9, 10])
    assert cohort.expression[3, 5] == 0
    assert find_rule(quality["genes"]["rules"], "missing")["n_values"] == 2


def test_mirna_skips_the_column_of_corrections_and_counts_it(tmp_path):
    cohort, quality = cohort_reading.read_cohort(pancan_mirna, write_raw(tmp_path, mirna=True))
    assert list(cohort.genes.index) == MIRNAS
    assert (cohort.name, cohort.unit) == ("pancan-mirna-3", "RPM")
    np.testing.assert_array_equal(cohort.expression[1], [20, 21, 22])
    assert cohort.expression[0, 0] == 0
    entry = find_rule(quality["genes"]["rules"], "column Correction")
    assert (entry["n"], entry["by_word"]) == (0, {"Corrected": 2, "Uncorrected": 1})


def test_positions_go_into_the_cohort_and_the_quality(tmp_path):
    write_raw(tmp_path)
    (tmp_path / "positions.v19.gtf").write_text(
        "##description: evidence-based annotation of the human genome (GRCh37), version 19 (Ensembl 74)\n"
        'chr17\tHAVANA\tgene\t7565097\t7590856\t.\t-\t.\tgene_id "ENSG00000141510.11"; gene_name "TP53";\n'
    )
    cohort, quality = read(tmp_path, positions="https://example.org/x.v19.gtf")
    assert cohort.genes.loc["7157", ["chromosome", "start"]].tolist() == ["17", 7565097.0]
    about = quality["genes"]["positions"]
    assert (about["format"], about["build"], about["unit"]) == ("GTF", "GRCh37", "base pairs")
    assert len(about["md5"]) == 32
    assert quality["genes"]["without_position"]["n"] == 4


@pytest.mark.parametrize(
    ("file", "write", "sentence"),
    [
        (
            "annotations.tsv",
            lambda path: write_annotations(path, [(*ALIQUOTS[0][:3], "perhaps", "0"), *ALIQUOTS[1:]]),
            "do_not_use in .* must be True, False, 1, 0 or NA, but got perhaps",
        ),
        (
            "annotations.tsv",
            lambda path: path.write_text("aliquot_barcode\tx\na\tb\n"),
            "must have the columns .* lacks patient_barcode, cancer type",
        ),
        ("clinical.xlsx", lambda path: path.write_text("<html>"), "must be an Excel workbook, but got"),
        (
            "clinical.xlsx",
            lambda path: write_annotations(path) or path.write_bytes(b"PK\x03\x04torn"),
            "must be an Excel workbook, but got",
        ),
        (
            "annotations.tsv",
            lambda path: (
                write_annotations(path, [(*row[:3], "True", "0") for row in ALIQUOTS[:-2]])
                or write_clinical(path.with_name("clinical.xlsx"), {"TCGA-QQ-0001": "ACC"})
            ),
            "Some aliquots must be free of verdicts",
        ),
        (
            "expression.geneExp.tsv",
            lambda path: write_expression(path, aliquots=[("TCGA-AA", "ACC", HISEQ, "0", "0")]),
            "must have 12 characters or more, the patient among them, but got TCGA-AA",
        ),
        (
            "expression.geneExp.tsv",
            lambda path: write_expression(path, cells=CELLS | {(3, 2): "many"}),
            "got 'many'",
        ),
    ],
)
def test_refuses_in_one_sentence(tmp_path, file, write, sentence):
    write_raw(tmp_path)
    write(tmp_path / file)
    with pytest.raises(CohortError, match=sentence) as refusal:
        read(tmp_path)
    assert "\n" not in str(refusal.value)


def test_refuses_a_workbook_without_the_columns(tmp_path):
    write_raw(tmp_path)
    pd.DataFrame({"patient": ["x"]}).to_excel(tmp_path / "clinical.xlsx")
    with pytest.raises(CohortError, match="lacks bcr_patient_barcode, type"):
        read(tmp_path)


def test_genes_are_called_as_a_table_of_their_own_says(tmp_path):
    write_hgnc(write_raw(tmp_path) / "nomenclature.txt")
    cohort, _ = read(tmp_path, nomenclature="hgnc_complete_set.txt")
    assert cohort.genes.loc["7157", "ensembl"] == "ENSG00000141510"
    assert (cohort.genes["ensembl"] != "").sum() == 1


def test_real_expression_gives_the_cohort_of_the_tcga_source(tmp_path):
    real = Path(__file__).parents[3].parent / "shared" / "data" / "tcga-mrna-5"
    if not real.is_dir():
        pytest.skip(f"no real data in {real}")
    (tmp_path / "expression.tsv.gz").symlink_to(real / "expression.tsv.gz")
    (tmp_path / "samples.tsv").symlink_to(real / "samples.tsv")
    table = pd.read_csv(real / "samples.tsv", sep="\t")
    rows = [(*row, HISEQ, "False", "0") for row in zip(table["barcode"], table["cancer_type"], strict=True)]
    write_annotations(tmp_path / "annotations.tsv", rows)
    write_clinical(tmp_path / "clinical.xlsx")
    cohort, quality = read(tmp_path)
    expected, counted = cohort_reading.read_cohort(tcga, tmp_path, smallest_type=5)
    np.testing.assert_array_equal(cohort.expression, expected.expression)
    assert cohort.samples.index.equals(expected.samples.index)
    assert cohort.genes.equals(expected.genes)
    assert quality["types"] == counted["types"]
