"""The Xena source: matrices and phenotype tables as hubs serve them, made up small."""

import gzip
from functools import partial

import numpy as np
import pytest

import cohort_reading
from cohort_reading import find_rule, write_hgnc
from expressionist.data.resources import read_resource
from expressionist.data.sources import xena
from expressionist.errors import CohortError

make_options = partial(cohort_reading.make_options, xena)
read = partial(cohort_reading.read_cohort, xena)
SYMBOLS = ["TP53", "TSPAN6", "XIST"]
ENSEMBL = ["ENSG00000141510.16", "ENSG00000000003.14", "ENSG00000229807.10"]
# Sample, abbreviation, disease.
SAMPLES = [
    ("TCGA-OR-A5J1-01", "ACC", "adrenocortical cancer"),
    ("TCGA-OR-A5J2-01", "ACC", "adrenocortical cancer"),
    ("TCGA-AB-2803-03", "LAML", "acute myeloid leukemia"),
    ("TCGA-BA-4074-11", "HNSC", "head & neck squamous cell carcinoma"),
    ("TCGA-V4-A9E5-01", "UVM", "uveal melanoma"),
    ("TCGA-V4-A9E5-06", "UVM", "uveal melanoma"),
]
OTHERS = [
    ("GTEX-S4Q7-0003-SM-3NM8M", "", "Whole Blood"),
    ("TARGET-20-PABLDZ-03", "", "Acute Myeloid Leukemia"),
]
LINEAR = np.array([[8.0, 3.0, 0.0, 5.0, 1.0, 7.0, 2.0, 9.0]]) * [[1.0], [10.0], [100.0]] + [
    [0.0],
    [1.0],
    [0.5],
]


def write(raw, samples=SAMPLES, genes=SYMBOLS, *, of=lambda x: np.log2(x + 1), corner="sample", cells=None):
    """Write a raw folder, as `fetch` leaves it: packed files, whatever their names."""
    values = of(LINEAR)
    lines = ["\t".join([corner, *(sample for sample, *_ in samples)])]
    for g, gene in enumerate(genes):
        words = [(cells or {}).get((g, s), f"{values[g, s]:.4f}") for s in range(len(samples))]
        lines.append("\t".join([gene, *words]))
    (raw / "expression.tsv").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    table = ["sample\tcancer type abbreviation\t_primary_disease\t_PATIENT\tOS"]
    table += [f"{sample}\t{code}\t{name}\t{sample[:12]}\t1" for sample, code, name in samples]
    # Not in UTF-8, and with a quote that is none.
    table.append('TCGA-ZZ-0001-01\tSARC\tsarcoma\tTCGA-ZZ-0001\tEwing\xb4s "')
    (raw / "phenotype.tsv").write_bytes("\n".join([*table, ""]).encode("latin1"))
    return raw


def test_keeps_labels_and_counts(tmp_path):
    cohort, quality = read(write(tmp_path))
    kept = [0, 1, 2, 4]
    assert list(cohort.samples.index) == [SAMPLES[place][0] for place in kept]
    assert list(cohort.samples["tumour_type"]) == ["ACC", "ACC", "LAML", "UVM"]
    assert list(cohort.samples["patient"])[0] == "TCGA-OR-A5J1"
    assert list(cohort.genes.index) == list(cohort.genes["symbol"]) == SYMBOLS
    assert (cohort.name, cohort.unit) == ("xena-rsem-3", "RSEM")
    np.testing.assert_allclose(cohort.expression, LINEAR.T[kept], atol=0.05)
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "without expression")["by_type"] == {"SARC": 1}
    assert find_rule(rules, "sample type")["by_code"] == {"06": 1, "11": 1}
    assert quality["samples"]["read"] - sum(entry["n"] for entry in rules[2:]) == quality["samples"]["kept"]
    normals = xena.read_normals(make_options(), tmp_path)
    assert list(normals.samples.index) == ["TCGA-BA-4074-11"]


def test_toil_has_other_samples_and_ensembl_ids(tmp_path):
    samples = [*SAMPLES, *OTHERS]
    write(tmp_path, samples, ENSEMBL, of=lambda x: np.log2(x + 0.001))
    cohort, quality = read(tmp_path, unit="log2(TPM+0.001)", label_column="_primary_disease")
    assert list(cohort.samples["tumour_type"]) == ["ACC", "ACC", "LAML", "UVM"]
    assert list(cohort.genes.index) == [name.split(".")[0] for name in ENSEMBL]
    assert list(cohort.genes["id_with_version"]) == ENSEMBL
    assert cohort.unit == "TPM"
    np.testing.assert_allclose(cohort.expression, LINEAR.T[[0, 1, 2, 4]], atol=0.05)
    rules = quality["samples"]["rules"]
    dropped = find_rule(rules, "none of TCGA")
    assert dropped["examples"] == [sample for sample, *_ in OTHERS]
    assert dropped["by_type"] == {"Acute Myeloid Leukemia": 1, "Whole Blood": 1}
    assert find_rule(rules, "name of a tumour type")["examples"] == [
        "adrenocortical cancer: ACC",
        "acute myeloid leukemia: LAML",
        "head & neck squamous cell carcinoma: HNSC",
        "uveal melanoma: UVM",
        "sarcoma: SARC",
    ]


def test_samples_with_a_vial_and_projects(tmp_path):
    """As the GDC hub has them."""
    samples = [(f"{sample}A", f"TCGA-{code}", "x") for sample, code, _ in SAMPLES]
    write(tmp_path, samples, ENSEMBL, corner="Ensembl_ID")
    cohort, _ = read(tmp_path, unit="log2(FPKM+1)", patient_column="_PATIENT")
    assert list(cohort.samples.index)[0] == "TCGA-OR-A5J1-01A"
    assert cohort.tumour_types == ["ACC", "LAML", "UVM"]
    assert cohort.unit == "FPKM"


def test_genes_are_called_as_a_table_of_their_own_says(tmp_path):
    write_hgnc(write(tmp_path) / "nomenclature.txt")
    cohort, _ = read(tmp_path, nomenclature="hgnc_complete_set.txt")
    assert list(cohort.genes["entrez"]) == ["90071", "", ""]


def test_words_that_are_no_study_stay_and_missing_genes_go(tmp_path):
    samples = [(sample, "Squamous" if code == "ACC" else code, name) for sample, code, name in SAMPLES]
    write(tmp_path, samples, cells={(1, 0): "NA", (2, 3): "NA"})
    cohort, _ = read(tmp_path)
    assert cohort.tumour_types == ["LAML", "Squamous", "UVM"]
    # What only a normal sample lacks is not missing.
    assert list(cohort.genes.index) == ["TP53", "XIST"]


def test_every_name_and_project_of_a_study_becomes_its_code():
    names = xena._list_names()
    assert set(names.values()) == set(read_resource("tumour_types.tsv")["code"])
    assert names["tcga-acc"] == names["adrenocortical cancer"] == names["adrenocortical carcinoma"] == "ACC"


def test_files_of_hubs_have_any_name(tmp_path):
    files = xena.list_files(make_options(expression="https://example.org/download/HiSeqV2.gz"))
    assert [file.name for file in files] == ["expression.tsv", "phenotype.tsv"]
    assert files[0].address == "https://example.org/download/HiSeqV2.gz"


@pytest.mark.parametrize(
    ("changed", "samples", "sentence"),
    [
        (
            {"label_column": "disease"},
            SAMPLES,
            "must have the columns sample, disease, but lacks disease",
        ),
        ({"patient_column": "case"}, SAMPLES, "lacks case .* State sample_column, label_column"),
        (
            {"label_column": "_primary_disease"},
            OTHERS,
            "must be called as TCGA does, .* but got GTEX-S4Q7",
        ),
    ],
)
def test_refuses_in_one_sentence(tmp_path, changed, samples, sentence):
    write(tmp_path, samples)
    with pytest.raises(CohortError, match=sentence) as refusal:
        read(tmp_path, **changed)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("body", [b"", b"sample\tx\na\tb\nc\td\te\n"])
def test_a_phenotype_that_is_no_table_is_refused(tmp_path, body):
    write(tmp_path)
    (tmp_path / "phenotype.tsv").write_bytes(body)
    with pytest.raises(CohortError, match="phenotype.tsv must be a table separated by tabs, but got"):
        read(tmp_path)
