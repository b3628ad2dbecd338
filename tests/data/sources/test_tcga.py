"""The TCGA source: every rule on small files of the true layout, and the real cohorts where at hand."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cohort_reading import find_rule, write_hgnc
from expressionist.data.cohort import Cohort
from expressionist.data.sources import tcga
from expressionist.errors import CohortError, ParamsError
from expressionist.params.parsing import parse

REAL = Path(__file__).parents[3].parent / "shared" / "data"
DEFAULTS = {
    "expression": "expression.tsv.gz",
    "samples": "samples.tsv",
    "positions": None,
    "unit": "RSEM",
    "sample_types": ["01", "03"],
    "more_sample_types": {"SKCM": ["06"]},
    "aliquots": "first",
    "missing": "drop",
    "unnamed": "keep",
    "smallest_type": 1,
}
GENES = ["?|10357", "SLC35E2|728661", "SLC35E2|9906", "TP53|7157", "hsa-let-7a-1"]
# Barcode, cancer type, platform; a value of gene g in column c is 10 c + g unless said otherwise.
ALIQUOTS = [
    ("TCGA-AA-0001-01A-11R-A001-07", "ACC", "HiSeq"),
    ("TCGA-AA-0002-01A-11R-A001-07", "ACC", "HiSeq"),
    ("TCGA-AA-0002-11A-11R-A001-07", "ACC", "HiSeq"),
    ("TCGA-BB-0003-03A-11R-A001-07", "LAML", "GA"),
    ("TCGA-BB-0004-03B-11R-A001-07", "LAML", "HiSeq"),
    ("TCGA-BB-0004-03A-11R-A001-07", "LAML", "HiSeq"),
    ("TCGA-CC-0005-06A-11R-A001-07", "SKCM", "HiSeq"),
    ("TCGA-CC-0005-01A-11R-A001-07", "SKCM", "GA"),
    ("TCGA-CC-0006-01A-11R-A001-07", "SKCM", "GA"),
    ("TCGA-CC-0006-01A-11R-A001-07", "SKCM", "HiSeq"),
    ("TCGA-AA-0007-06A-11R-A001-07", "ACC", "HiSeq"),
]


def write(
    raw: Path,
    *,
    values: Mapping[tuple[int, int], str] | None = None,
    genes: list[str] = GENES,
    aliquots: list[tuple[str, str, str]] = ALIQUOTS,
    labels: list[tuple[str, str, str]] | None = None,
    columns: str = "barcode\tcancer_type\tplatform",
) -> Path:
    """Write files of the true layout; `values` replaces cells by (gene, column)."""
    values = values or {}
    lines = ["\t".join(["gene_id", *(aliquot[0] for aliquot in aliquots)])]
    for g, gene in enumerate(genes):
        lines.append(
            "\t".join([gene, *(values.get((g, c), f"{10 * c + g}.0") for c in range(len(aliquots)))])
        )
    (raw / "expression.tsv.gz").write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    rows = aliquots if labels is None else labels
    n = columns.count("\t") + 1
    (raw / "samples.tsv").write_text("\n".join([columns, *("\t".join(row[:n]) for row in rows)]) + "\n")
    return raw


def read(raw: Path, **changed: object) -> tuple[Cohort, dict]:
    cohort, quality = tcga.read(parse(tcga.Options, DEFAULTS | changed, "cohort: tcga"), raw)
    assert json.loads(json.dumps(quality)) == quality
    return cohort, quality


def test_keeps_and_counts_by_the_stated_rules(tmp_path):
    cohort, quality = read(write(tmp_path))
    assert list(cohort.samples.index) == [
        "TCGA-AA-0001-01A-11R-A001-07",
        "TCGA-AA-0002-01A-11R-A001-07",
        "TCGA-BB-0003-03A-11R-A001-07",
        "TCGA-BB-0004-03A-11R-A001-07",
        "TCGA-CC-0005-06A-11R-A001-07",
        "TCGA-CC-0005-01A-11R-A001-07",
        "TCGA-CC-0006-01A-11R-A001-07",
    ]
    # Columns 0, 1, 3, 5, 6, 7 and, of the barcode that stands twice, 9: HiSeq is the commoner platform.
    np.testing.assert_array_equal(cohort.expression, np.add.outer([0, 10, 30, 50, 60, 70, 90], range(5)))
    assert cohort.expression.dtype == np.float32
    assert list(cohort.genes.index) == ["10357", "728661", "9906", "7157", "406881"]
    assert list(cohort.genes["symbol"]) == ["?", "SLC35E2", "SLC35E2", "TP53", "MIRLET7A1"]
    assert cohort.samples["platform"].iloc[-1] == "HiSeq"
    assert cohort.samples["patient"].iloc[-1] == "TCGA-CC-0006"
    assert cohort.samples["sample_type_code"].iloc[4] == "06"
    assert (cohort.name, cohort.unit, cohort.synthetic) == ("tcga-rsem-3", "RSEM", False)
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "sample type")["by_type"] == {"ACC": 2}
    assert find_rule(rules, "sample type")["by_code"] == {"06": 1, "11": 1}
    assert find_rule(rules, "further aliquot")["n"] == 2
    assert find_rule(rules, "further aliquot")["of_these_same_barcode"] == 1
    assert quality["samples"]["read"] - sum(entry["n"] for entry in rules) == quality["samples"]["kept"] == 7
    assert quality["types"]["kept"] == {"ACC": 2, "LAML": 2, "SKCM": 3}


def test_mean_of_aliquots(tmp_path):
    cohort, quality = read(write(tmp_path, values={(4, 4): "NA"}), aliquots="mean", missing="zero")
    assert list(cohort.samples.index)[3] == "TCGA-BB-0004-03A-11R-A001-07"
    np.testing.assert_array_equal(cohort.expression[3], [45, 46, 47, 48, 0])
    np.testing.assert_array_equal(cohort.expression[-1], [85, 86, 87, 88, 89])
    assert len(cohort.samples) == 7
    assert find_rule(quality["genes"]["rules"], "missing")["n_values"] == 1


def test_genes_are_called_as_a_table_of_their_own_says(tmp_path):
    write_hgnc(write(tmp_path) / "nomenclature.txt")
    cohort, _ = read(tmp_path, nomenclature="hgnc_complete_set.txt")
    assert cohort.genes.loc["7157", "ensembl"] == "ENSG00000141510"
    assert (cohort.genes["ensembl"] != "").sum() == 1


def test_barcode_with_one_row_labels_both_of_its_columns(tmp_path):
    labels = [row for row in ALIQUOTS if row != ("TCGA-CC-0006-01A-11R-A001-07", "SKCM", "HiSeq")]
    cohort, quality = read(write(tmp_path, labels=labels))
    assert quality["samples"]["read"] == len(ALIQUOTS)
    # Nothing tells the two columns apart, so the first of the file stays.
    np.testing.assert_array_equal(cohort.expression[-1], np.arange(80, 85))


def test_labels_without_expression_and_the_reverse_are_counted(tmp_path):
    labels = [
        ("TCGA-ZZ-0009-01A-11R-A001-07", "UVM", "GA"),
        ("TCGA-AA-0001-01A-11R-A001-07", "", "GA"),
        *ALIQUOTS[1:],
    ]
    cohort, quality = read(write(tmp_path, labels=labels))
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "without expression")["by_type"] == {"UVM": 1}
    assert find_rule(rules, "without a label")["examples"] == ["TCGA-AA-0001-01A-11R-A001-07"]
    assert "TCGA-AA-0001-01A-11R-A001-07" not in cohort.samples.index


def test_genes_missing_in_a_kept_sample_go_and_are_counted_by_type(tmp_path):
    # Column 2 is a normal: what only it lacks is not missing.
    cells = {(1, 2): "NA", (2, 3): "NA", (3, 3): "", (3, 6): "NaN"}
    cohort, quality = read(write(tmp_path, values=cells))
    assert list(cohort.genes.index) == ["10357", "728661", "406881"]
    np.testing.assert_array_equal(cohort.expression[0], [0, 1, 4])
    entry = find_rule(quality["genes"]["rules"], "missing")
    assert entry["by_type"] == {"LAML": 2, "SKCM": 1}
    assert entry["examples"] == ["9906", "7157"]
    assert quality["genes"]["read"] == 5


def test_missing_values_can_be_filled(tmp_path):
    cohort, quality = read(write(tmp_path, values={(2, 3): "NA", (3, 3): ""}), missing="zero")
    np.testing.assert_array_equal(cohort.expression[2], [30, 31, 0, 0, 34])
    assert find_rule(quality["genes"]["rules"], "missing")["n_values"] == 2


def test_small_types_go_before_missing_genes_are_looked_at(tmp_path):
    cohort, quality = read(
        write(tmp_path, values={(2, 3): "NA"}, aliquots=ALIQUOTS[:4] + ALIQUOTS[6:]), smallest_type=2
    )
    assert cohort.tumour_types == ["ACC", "SKCM"]
    assert len(cohort.genes) == len(GENES)
    assert find_rule(quality["samples"]["rules"], "fewer than 2")["by_type"] == {"LAML": 1}


def test_values_below_zero_become_zero(tmp_path):
    cohort, quality = read(write(tmp_path, values={(0, 0): "-0.6", (1, 2): "-9"}))
    assert cohort.expression[0, 0] == 0
    assert quality["values"]["rules"][0] == {
        "rule": "value below 0 set to 0",
        "n": 1,
        "lowest": pytest.approx(-0.6),
    }


TOIL = [f"TCGA-AA-{i:04}-01" for i in range(6)]


def write_toil(raw: Path) -> np.ndarray:
    """Write log2(TPM+0.001), many of it 0, as UCSC's Toil recompute is published; return the TPM."""
    rng = np.random.default_rng(3)
    tpm = 2.0 ** rng.normal(4, 3, (40, len(TOIL))) * (rng.random((40, len(TOIL))) < 0.6)
    logs = np.log2(tpm + 0.001).round(4)
    lines = ["\t".join([f"GENE{g}", *map(str, row)]) for g, row in enumerate(logs)]
    header = "\t".join(["sample", *TOIL])
    (raw / "expression.tsv.gz").write_bytes(gzip.compress("\n".join([header, *lines, ""]).encode()))
    labels = [f"{barcode}\t{'ACC' if i % 2 else 'UVM'}" for i, barcode in enumerate(TOIL)]
    (raw / "samples.tsv").write_text("\n".join(["barcode\tcancer_type", *labels, ""]))
    return tpm.T


@pytest.mark.parametrize("unit", ["log2(x+1)", "TPM", "ln(x+1)", "log2(TPM+1)"])
def test_more_values_below_zero_than_batch_correction_leaves_are_refused(tmp_path, unit):
    write_toil(tmp_path)
    with pytest.raises(
        CohortError, match=r"must be 0 or more, but got 4\d% .* like log2\(x\+0.001\)"
    ) as told:
        read(tmp_path, unit=unit)
    assert "State unit: log2(x+0.001), or log2(TPM+0.001) if x is TPM." in str(told.value)


def test_logarithms_of_a_linear_unit_are_kept_linear(tmp_path):
    tpm = write_toil(tmp_path)
    cohort, quality = read(tmp_path, unit="log2(tpm + 0.001)")
    assert (cohort.unit, cohort.name, quality["unit"]) == ("TPM", "tcga-tpm-2", "TPM")
    np.testing.assert_allclose(cohort.expression, tpm, rtol=1e-4, atol=2e-3)
    assert find_rule(quality["values"]["rules"], "converted from log2(TPM+0.001) to TPM")["n"] == tpm.size
    cohort, _ = read(tmp_path, unit="log2(x+0.001)")
    assert cohort.unit == "log2(x+1)"
    np.testing.assert_allclose(cohort.expression, np.log2(tpm + 1), atol=2e-3)


def test_values_that_may_be_negative_are_not_clipped(tmp_path):
    cohort, _ = read(write(tmp_path, values={(1, 0): "-0.25"}), unit="as is")
    assert cohort.expression.min() == -0.25


@pytest.mark.parametrize("unit", ["log2(x+1)", "log2(TPM+0.001)"])
def test_toil_as_it_came(tmp_path, unit):
    """In `log2(x+1)` nearly half of its values would have become 0."""
    folder = REAL / "tables" / "08-toil-log2-tpm"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    (tmp_path / "expression.tsv").write_bytes((folder / "toil_tpm.tsv").read_bytes())
    (tmp_path / "samples.tsv").write_bytes((folder / "samples.tsv").read_bytes())
    if unit == "log2(x+1)":
        with pytest.raises(CohortError, match=r"46% of the values below 0, .* like log2\(x\+0.001"):
            read(tmp_path, unit=unit)
        return
    cohort, _ = read(tmp_path, unit=unit)
    assert cohort.unit == "TPM"
    assert np.mean(cohort.expression < 0.001) > 0.4


def test_unnamed_genes_can_go(tmp_path):
    cohort, quality = read(write(tmp_path), unnamed="drop")
    assert "?" not in set(cohort.genes["symbol"])
    assert find_rule(quality["genes"]["rules"], "without a symbol")["examples"] == ["10357"]
    assert find_rule(read(tmp_path)[1]["genes"]["rules"], "without a symbol")["n_kept"] == 1


def test_positions_by_entrez_then_by_symbol(tmp_path):
    (tmp_path / "positions.csv").write_text(
        "entrez,symbol,chromosome,start\n7157,OTHER,17,7565097\n1,SLC35E2,1,1656277\n2,SLC35E2,2,5\n9906,,X,NA\n"
    )
    cohort, quality = read(write(tmp_path), positions="genes.csv")
    places = cohort.genes[["chromosome", "start"]].T.to_dict("list")
    assert places["7157"] == ["17", 7565097.0]
    assert places["728661"] == places["9906"] == ["1", 1656277.0]
    assert cohort.genes.loc["7157", "symbol"] == "TP53"
    assert cohort.genes["start"].isna().sum() == 2
    assert quality["genes"]["without_position"]["examples"] == ["10357", "406881"]
    about = quality["genes"]["positions"]
    assert (about["format"], about["build"], about["file"]) == ("table", None, "positions.csv")


def test_genes_that_share_a_symbol_stay_and_are_counted(tmp_path):
    _, quality = read(write(tmp_path))
    entry = find_rule(quality["genes"]["rules"], "shares its symbol")
    assert (entry["n"], entry["n_kept"]) == (0, 2)
    assert entry["examples"] == ["SLC35E2 (728661)", "SLC35E2 (9906)"]


def test_genes_go_from_a_matrix_of_more_rows_than_a_block(tmp_path):
    aliquots = [(f"TCGA-AA-{i:04d}-01A-11R-A001-07", f"T{i % 2}", "x") for i in range(600)]
    cells = {(1, 5): "NA", (3, 7): "NA"}
    cohort, _ = read(write(tmp_path, aliquots=aliquots, values=cells))
    np.testing.assert_array_equal(cohort.expression, np.add.outer(10.0 * np.arange(600), [0, 2, 4]))


def test_columns_of_the_samples_table_win_over_the_barcode_unless_empty(tmp_path):
    whole = "TCGA-AA-0001-01A"
    aliquots = [
        ("a", "ACC", "p1", "1"),
        ("b", "UVM", "p2", "1"),
        ("c", "UVM", "p2", "11"),
        (whole, "UVM", "", ""),
    ]
    columns = "barcode\tcancer_type\tpatient\tsample_type_code"
    cohort, _ = read(write(tmp_path, aliquots=aliquots, columns=columns))
    assert list(cohort.samples["patient"]) == ["p1", "p2", "TCGA-AA-0001"]
    assert list(cohort.samples["sample_type_code"]) == ["01", "01", "01"]


TYPED = [("TCGA-AA-0001-01A", "ACC", "x"), ("TCGA-AA-0001-01A", "UVM", "x"), ("TCGA-AA-0003-01A", "UVM", "x")]


@pytest.mark.parametrize(
    ("written", "changed", "sentence"),
    [
        (
            {"values": {(1, 3): "many"}},
            {},
            r"line 3: column 'TCGA-BB-0003.*' of row 'SLC35E2\|728661' .* got 'many'",
        ),
        (
            {"values": {(1, 3): "1\t2"}},
            {},
            "line 3: every row must have 12 cells, like the header, but got 13",
        ),
        (
            {"values": {(3, 5): "inf"}},
            {},
            "must be finite, but got inf for gene 7157 in sample TCGA-BB-0004-03A",
        ),
        ({"genes": ["TP53|7157", "P53|7157"]}, {}, "gene in .* must stand once, but got more often: 7157"),
        ({"genes": ["TP53|7157", ""]}, {}, "gene in .* must have an id, but got none for 1: number 2"),
        ({"genes": []}, {}, "expression.tsv.gz must have rows below its header"),
        (
            {"columns": "barcode\ttype\tplatform"},
            {},
            "samples.tsv must have the columns .* lacks cancer_type",
        ),
        (
            {"aliquots": [("TCGA-AA", "ACC", "x")]},
            {},
            "must have 12 characters or more, the patient among them, but got TCGA-AA",
        ),
        ({"labels": ALIQUOTS[:0] + [("TCGA-ZZ-0009-01A", "UVM", "x")]}, {}, "but got none in common"),
        ({"aliquots": TYPED}, {}, "must agree on tumour_type, but got differing ones for TCGA-AA-0001-01A"),
        (
            {"aliquots": ALIQUOTS[:3]},
            {},
            r"At least two tumour types .* but got 1 \(patients by type: ACC \(2\)\)",
        ),
        (
            {},
            {"sample_types": ["20"], "more_sample_types": {}},
            "of the types 20, but got only 01, 03, 06, 11",
        ),
        ({"values": {(g, 0): "NA" for g in range(5)}}, {}, r"Some gene must have a value .* by type: ACC 5"),
        ({"genes": ["?|1", "?|2"]}, {"unnamed": "drop"}, "Some gene must have a symbol"),
        ({}, {"positions": "x.tsv"}, "must hold one file positions"),
    ],
)
def test_refuses_in_one_sentence(tmp_path, written, changed, sentence):
    write(tmp_path, **written)
    with pytest.raises(CohortError, match=sentence) as refusal:
        read(tmp_path, **changed)
    assert "\n" not in str(refusal.value)


def test_refuses_more_sample_types_that_are_no_lists():
    with pytest.raises(ParamsError, match="more_sample_types: SKCM must be a list, but got '06'"):
        parse(tcga.Options, DEFAULTS | {"more_sample_types": {"SKCM": "06"}}, "cohort: tcga")


def link(raw: Path, name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"no real data in {REAL}")
    for file in ("expression.tsv.gz", "samples.tsv"):
        (raw / file).symlink_to(REAL / name / file)
    (raw / "positions.tsv.gz").symlink_to(REAL / "gene_positions_grch37.tsv.gz")
    return raw


def test_real_mrna_cohort(tmp_path):
    cohort, quality = read(
        link(tmp_path, "tcga-mrna-5"), positions="gene_positions_grch37.tsv.gz", smallest_type=5
    )
    assert cohort.expression.shape == (300, 20531)
    assert cohort.tumour_types == ["ACC", "CHOL", "DLBC", "UCS", "UVM"]
    assert find_rule(quality["samples"]["rules"], "sample type")["by_type"] == {"CHOL": 9}
    assert find_rule(quality["genes"]["rules"], "without a symbol")["n_kept"] == 29
    assert cohort.genes["start"].notna().sum() == 20164


def test_real_mirna_cohort(tmp_path):
    cohort, quality = read(link(tmp_path, "tcga-mirna-32"), unit="RPM", smallest_type=5)
    # 9,336 columns: 567 normals and 61 tumours of types not kept leave 8,708; 22 of them repeat a sample.
    assert cohort.expression.shape == (8686, 680)
    assert len(cohort.tumour_types) == 32
    assert "GBM" not in cohort.tumour_types
    rules = quality["samples"]["rules"]
    assert find_rule(rules, "sample type")["by_code"] == {"02": 29, "05": 8, "06": 24, "11": 567}
    assert (find_rule(rules, "aliquot")["n"], find_rule(rules, "aliquot")["of_these_same_barcode"]) == (
        22,
        13,
    )
    lacking = find_rule(quality["genes"]["rules"], "missing")["by_type"]
    assert {name for name, n in lacking.items() if n == 366} == {"COAD", "LAML", "OV", "READ"}
    assert set(lacking.values()) == {25, 366}
