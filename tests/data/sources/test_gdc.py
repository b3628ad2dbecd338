"""The GDC source: from files as they are downloaded to a cohort, with everything counted."""

from functools import partial

import numpy as np
import pytest

import cohort_reading
from cohort_reading import find_rule, write_hgnc
from expressionist.data.sources import gdc
from expressionist.errors import CohortError, ParamsError
from gdc_files import SAMPLES, SHEET, SUFFIX, make_counts, name_file, name_id, write_counts, write_sheet

make_options = partial(cohort_reading.make_options, gdc)
read = partial(cohort_reading.read_cohort, gdc)


def write_raw(raw, samples=SAMPLES, header=SHEET, **written):
    """Write a raw folder, as `fetch` leaves it."""
    write_counts(raw / "counts", **written)
    write_sheet(raw / "sample_sheet.tsv", samples, header)
    return raw


def test_keeps_labels_and_counts(tmp_path):
    cohort, quality = read(write_raw(tmp_path))
    assert list(cohort.samples.index) == [
        "TCGA-OR-A5J1-01A",
        "TCGA-OR-A5J2-01A",
        "TCGA-V4-A9E5-01A",
        "TARGET-20-PABLDZ-03A",
    ]
    assert list(cohort.samples["tumour_type"]) == ["ACC", "ACC", "UVM", "TARGET-AML"]
    assert list(cohort.samples["patient"])[-2:] == ["TCGA-V4-A9E5", "TARGET-20-PABLDZ"]
    assert cohort.samples["file"].iloc[2] == name_file(3)
    assert (cohort.name, cohort.unit) == ("gdc-tpm-3", "TPM")
    counts = np.add.outer([1, 2, 4, 6], 100 * np.arange(5))
    np.testing.assert_allclose(cohort.expression, counts / 2)
    assert list(cohort.genes["symbol"]) == ["TSPAN6", "TNMD", "TP53", "XIST", "CD99"]
    assert cohort.genes.index[2] == "ENSG00000141510"
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "sample type")["by_code"] == {"11": 1}
    assert find_rule(rules, "further aliquot")["examples"] == ["TCGA-V4-A9E5-01B"]
    assert quality["samples"]["read"] - sum(entry["n"] for entry in rules) == quality["samples"]["kept"]
    assert find_rule(quality["genes"]["rules"], "_PAR_Y")["examples"] == ["ENSG00000002586.20_PAR_Y"]
    assert find_rule(quality["genes"]["rules"], "reads without a gene")["n"] == 4
    assert (quality["genes"]["read"], quality["genes"]["kept"]) == (10, 5)


@pytest.mark.parametrize(
    ("column", "unit", "by"),
    [("unstranded", "counts", 1), ("fpkm_unstranded", "FPKM", 4), ("fpkm_uq_unstranded", "FPKM-UQ", 8)],
)
def test_the_column_says_the_unit(tmp_path, column, unit, by):
    cohort, _ = read(write_raw(tmp_path), column=column)
    assert (cohort.unit, cohort.name) == (unit, f"gdc-{unit.lower()}-3")
    np.testing.assert_allclose(cohort.expression[0] * by, [1, 101, 201, 301, 401], atol=1e-2)


def test_genes_that_code_for_proteins_only(tmp_path):
    cohort, quality = read(write_raw(tmp_path), gene_types="protein_coding")
    assert list(cohort.genes["symbol"]) == ["TSPAN6", "TNMD", "TP53", "CD99"]
    np.testing.assert_allclose(cohort.expression[0], [0.5, 50.5, 100.5, 200.5])
    assert find_rule(quality["genes"]["rules"], "than protein_coding")["examples"] == ["ENSG00000229807"]


def test_normal_tissue_and_the_mean_of_aliquots(tmp_path):
    write_raw(tmp_path)
    normals = gdc.read_normals(make_options(), tmp_path)
    assert list(normals.samples.index) == ["TCGA-OR-A5J2-11A"]
    cohort, _ = read(tmp_path, aliquots="mean")
    np.testing.assert_allclose(cohort.expression[2], (4.5 + 100 * np.arange(5)) / 2)


def test_genes_are_called_as_a_table_of_their_own_says(tmp_path):
    write_hgnc(write_raw(tmp_path) / "nomenclature.txt")
    cohort, _ = read(tmp_path, nomenclature="hgnc_complete_set.txt")
    assert cohort.genes.loc["ENSG00000141510", "entrez"] == "90071"
    assert (cohort.genes["entrez"] != "").sum() == 1


def test_tells_how_many_files_are_read(tmp_path):
    told = []
    gdc.read(make_options(), write_raw(tmp_path), {}, lambda *n: told.append(n))
    assert told == [(n, 4) for n in range(1, 5)]


def test_packed_files_are_found_in_a_sheet_that_names_them_unpacked(tmp_path):
    cohort, _ = read(write_raw(tmp_path, packed=True))
    assert len(cohort.samples) == 4


def test_files_without_a_row_and_rows_without_a_file_are_counted(tmp_path):
    write_raw(tmp_path, n_files=4)
    (tmp_path / "counts" / f"z{SUFFIX}").write_bytes(make_counts(0))
    _, quality = read(tmp_path)
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "row of the sample sheet without a file")["by_type"] == {
        "TARGET-AML": 1,
        "UVM": 1,
    }
    assert find_rule(rules, "file without a row")["examples"] == [f"z{SUFFIX}"]


TODAY = (*SHEET[:-1], "Tissue Type", "Tumor Descriptor", "Specimen Type", "Preservation Method")


def test_a_sheet_of_today_and_listed_portions(tmp_path):
    """Sheets have two columns instead of the sample type, and list every portion of a file."""
    kinds = [
        ("Tumor", "Primary"),
        ("Tumor", "Metastatic"),
        ("Normal", "Not Applicable"),
        ("Unknown", "Unknown"),
    ]
    samples = [
        ("CPTAC-3", f"C3L-{n}, C3L-{n}", f"C3L-{n}-01, C3L-{n}-01", *kinds[n], "x", "y") for n in range(4)
    ]
    samples.append(("TCGA-UVM", "TCGA-V4-A9E5", "TCGA-V4-A9E5-06A", "Tumor", "Primary", "x", "y"))
    write_raw(tmp_path, samples, TODAY)
    cohort, quality = read(tmp_path, sample_types=["01", "06"], more_sample_types={})
    assert list(cohort.samples["patient"]) == ["C3L-0", "C3L-1", "TCGA-V4-A9E5"]
    assert list(cohort.samples.index)[0] == "C3L-0-01"
    assert list(cohort.samples["sample_type_code"]) == ["01", "06", "06"]
    assert find_rule(quality["samples"]["rules"], "sample type")["by_code"] == {"00": 1, "11": 1}


def test_a_sheet_of_other_files_is_refused(tmp_path):
    write_raw(tmp_path)
    sheet = tmp_path / "sample_sheet.tsv"
    sheet.write_text(sheet.read_text().replace(SUFFIX, ".htseq.counts.gz"))
    with pytest.raises(
        CohortError, match="must be named in .*sample_sheet.tsv, but got 00000000.* of the same cart"
    ):
        read(tmp_path)


def test_a_file_of_another_release_is_refused_by_name(tmp_path):
    write_raw(tmp_path)
    path = tmp_path / "counts" / name_file(3)
    path.write_bytes(path.read_bytes().replace(b".18\t", b".17\t"))
    with pytest.raises(CohortError, match=f"ENSG00000141510.17 for .*{name_file(3)}"):
        read(tmp_path)


@pytest.mark.parametrize("nested", [False, True])
def test_the_files_of_a_folder(tmp_path, nested):
    write_counts(tmp_path / "mine" / "counts", nested=nested)
    files = gdc.list_many(make_options(counts="mine/counts"), tmp_path)
    assert [file.name for file in files] == [f"counts/{name_file(place)}" for place in range(len(SAMPLES))]
    assert all((tmp_path / file.address).is_file() and file.option == "counts" for file in files)


def test_a_raw_folder_without_files_is_refused(tmp_path):
    write_sheet(tmp_path / "sample_sheet.tsv")
    with pytest.raises(CohortError, match="counts must be a folder of files, but got none"):
        read(tmp_path)


def test_a_folder_without_files_or_with_one_twice_is_refused(tmp_path):
    with pytest.raises(CohortError, match="counts must be a folder in .* but got none in counts"):
        gdc.list_many(make_options(), tmp_path)
    write_counts(tmp_path / "counts", nested=True)
    write_counts(tmp_path / "counts" / "again", packed=True, n_files=1)
    with pytest.raises(CohortError, match=f"must stand once, but got more often: {name_file(0)}"):
        gdc.list_many(make_options(), tmp_path)


@pytest.mark.parametrize(
    ("rows", "came"),
    [
        ([], "no such row"),
        (
            [(name_id(0), name_file(0), "0" * 31, "9", "released")],
            f"{name_id(0)} {name_file(0)} {'0' * 31} 9",
        ),
        ([("..", name_file(0), "0" * 32, "9", "released")], ".. "),
        ([(name_id(0), f"a/{name_file(0)}", "0" * 32, "9", "released")], f"{name_id(0)} a/"),
        ([(name_id(0), name_file(0), "0" * 32, "many", "released")], f"{name_id(0)} {name_file(0)}"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, rows, came):
    head = [("id", "filename", "md5", "size", "state"), (name_id(9), "slide.svs", "0" * 32, "9", "released")]
    (tmp_path / "manifest.txt").write_text("\n".join("\t".join(row) for row in [*head, *rows]) + "\n")
    with pytest.raises(CohortError, match=f"must have a UUID, a name, .* but got {came}"):
        gdc.list_many(make_options(counts=None, manifest="manifest.txt"), tmp_path)


def test_a_manifest_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CohortError, match="cohort.gdc.manifest must be a file, but got .*manifest.txt"):
        gdc.list_many(make_options(counts=None, manifest="manifest.txt"), tmp_path)


@pytest.mark.parametrize("changed", [{"counts": None}, {"manifest": "manifest.txt"}])
def test_one_of_counts_and_manifest_is_given(changed):
    with pytest.raises(ParamsError, match="One of counts and manifest must be given, but got"):
        make_options(**changed)
