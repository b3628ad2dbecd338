"""`expressionist inspect` says what is there and would be refused, prints params, and changes nothing."""

import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml

from cohort_reading import write_hgnc
from data.readers.bad_files import FRAME, GOOD, LABELS, ROWS, h5ad, parquet, tenx, xlsx
from expressionist.commands import app as command_line
from expressionist.data.inspection import describe_file, describe_inspection, inspect_files
from expressionist.data.readers.raw_files import find_file
from expressionist.data.sources import find_source
from expressionist.errors import CohortError
from expressionist.params.parsing import parse

TYPES = ["BRCA"] * 6 + ["LUAD"] * 6
SAMPLES = pd.DataFrame(
    {
        "patient": [f"p{i}" for i in range(12)],
        "tumour_type": TYPES,
        "sample_type": ["01", "06"] * 6,
        "age": range(40, 52),
    },
    index=pd.Index([f"s{i}" for i in range(12)], name="barcode"),
)


def draw(n_genes: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0 ** rng.normal(6, 3, n_genes), (12, n_genes)).astype(np.float32)
    return pd.DataFrame(counts, index=SAMPLES.index, columns=[f"GENE{i}" for i in range(n_genes)])


MEASURED = "1 to 8, whole numbers; median of what is not 0, in at most 127 samples: 4.5"


def paste(lines: list[str], folder: Path) -> tuple:
    """Read the cohort that the printed params describe, as `fetch` and `prepare` would from a folder."""
    pasted = yaml.safe_load("\n".join(lines[lines.index("cohort:") :]))["cohort"]
    source = find_source(pasted["source"])
    options = parse(source.Options, pasted[pasted["source"]], "cohort")
    raw = folder / "raw"
    raw.mkdir()
    assert pasted["folder"] == "data/incoming"
    for file in source.list_files(options):
        given = folder / getattr(options, file.option)
        (raw / (file.option + "".join(given.suffixes))).write_bytes(given.read_bytes())
        assert find_file(raw, file.option)
    return source.read(options, raw)[0], options


FORMS = {
    "labels beside": lambda folder, matrix: (
        SAMPLES[["patient", "tumour_type"]].join(matrix).to_csv(folder / "m.csv")
    ),
    "labels beside in Parquet": lambda folder, matrix: (
        SAMPLES[["patient", "tumour_type"]].join(matrix).to_parquet(folder / "m.parquet")
    ),
    "genes in columns": lambda folder, matrix: matrix.to_csv(folder / "m.tsv.gz", sep="\t"),
    "genes in rows": lambda folder, matrix: matrix.T.rename_axis("gene").to_csv(folder / "m.csv"),
    "genes in rows of a workbook": lambda folder, matrix: matrix.T.rename_axis("gene").to_excel(
        folder / "m.xlsx"
    ),
}


@pytest.mark.parametrize("unit", ["counts", "log2(x+1)", "TPM"])
@pytest.mark.parametrize("form", FORMS)
def test_the_params_it_prints_read_the_cohort(tmp_path, form, unit):
    matrix = draw()
    if unit != "counts":
        matrix = matrix.div(matrix.sum(axis=1), axis=0) * np.float32(1e6)
    matrix = np.log2(matrix + 1) if unit == "log2(x+1)" else matrix
    FORMS[form](tmp_path, matrix)
    (path,) = tmp_path.iterdir()
    labels = None if "beside" in form else tmp_path / "labels.tsv"
    if labels:
        SAMPLES.to_csv(labels, sep="\t")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    found = inspect_files(path, labels)
    assert found.problems == ()
    cohort, options = paste(describe_inspection(found), tmp_path)
    np.testing.assert_array_equal(cohort.expression, matrix.to_numpy(np.float32))
    assert list(cohort.samples["tumour_type"]) == TYPES
    assert list(cohort.samples["patient"]) == list(SAMPLES["patient"])
    assert (options.unit, options.sample_column) == (unit, "barcode")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()} == before


def test_labels_may_lie_in_another_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    draw().to_csv(tmp_path / "m.csv")
    SAMPLES.to_csv(tmp_path / "elsewhere" / "labels.csv")
    found = inspect_files(tmp_path / "m.csv", tmp_path / "elsewhere" / "labels.csv")
    assert paste(describe_inspection(found), tmp_path)[0].tumour_types == ["BRCA", "LUAD"]


def say(path: Path, labels: Path | None = None) -> dict[str, str]:
    found = inspect_files(path, labels)
    told = {"Refused": " / ".join(found.problems), "Fill in": " / ".join(found.lacking)}
    return dict(found.facts) | told


def test_it_says_what_it_sees(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    said = say(tmp_path / "m.csv")
    assert said["File"] == ".csv, 69 bytes, UTF-8 with byte order mark, Windows line ends, not packed"
    assert said["Matrix"] == "4 samples × 2 genes, genes in columns"
    assert said["Samples"] == "s1, s2, s3, s4"
    assert said["Genes"] == "g1, g2: ids of kind other"
    assert said["Values"] == MEASURED
    assert said["Unit"] == "counts (all values are whole numbers)"
    assert said["Tumour types"] == "2 in 'tumour_type': A 2, B 2"
    assert said["Refused"].startswith("At least two tumour types must have 5 patients or more")


@pytest.mark.parametrize(
    ("name", "content", "labels", "matrix"),
    [
        ("m.csv", ROWS.encode(), LABELS, "4 samples × 2 genes, genes in rows"),
        ("m.h5ad", h5ad(), None, "4 samples × 2 genes, genes in columns"),
        ("m.h5", tenx(), LABELS, "4 samples × 2 genes, genes in columns"),
        ("m.parquet", parquet(FRAME), None, "4 samples × 2 genes, genes in columns"),
        ("m.xlsx", xlsx(FRAME), None, "4 samples × 2 genes, genes in columns"),
    ],
)
def test_it_sees_into_every_format(tmp_path, name, content, labels, matrix):
    (tmp_path / name).write_bytes(content)
    if labels:
        (tmp_path / "labels.csv").write_text(labels)
    said = say(tmp_path / name, tmp_path / "labels.csv" if labels else None)
    assert said["Matrix"] == matrix
    assert said["Values"] == MEASURED
    assert said["Tumour types"] == "2 in 'tumour_type': A 2, B 2"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must hold a table, but got an empty file"),
        (GOOD.replace("5", "high"), "line 4: column 'g1' of row 's3' must be a number, but got 'high'"),
        (GOOD.replace("5", "1e99"), "must be finite, but got inf for gene g1 in sample s3"),
        (GOOD.replace("g1", "1-Mar"), "which Excel makes of MARCH1"),
    ],
)
def test_problems_are_told_and_no_error(tmp_path, text, problem):
    (tmp_path / "m.csv").write_text(text)
    assert problem in say(tmp_path / "m.csv")["Refused"]


def test_genes_that_lack_values_are_to_be_dropped(tmp_path):
    matrix = draw()
    matrix.iloc[3, 7] = np.nan
    SAMPLES[["patient", "tumour_type"]].astype(str).join(matrix).to_csv(tmp_path / "m.csv")
    found = inspect_files(tmp_path / "m.csv", None)
    assert (found.problems, found.options.missing) == ((), "drop")
    assert ("", "gene missing in some kept sample (missing: drop): 1") in found.facts


def test_missing_zero_and_negative_values_are_counted(tmp_path):
    (tmp_path / "m.csv").write_text(GOOD.replace("5", "NA").replace("6", "0").replace("7", "-7"))
    said = say(tmp_path / "m.csv")
    assert said[""] == "1 missing, 1 zero, 1 negative"
    assert said["Unit"].endswith("the few values below 0, as batch correction leaves them, become 0)")


@pytest.fixture
def annotated():
    """Logarithms as scanpy takes them, and the counts they are of."""
    obs = SAMPLES[["patient", "tumour_type"]].astype(str)
    counts = draw().to_numpy()
    data = anndata.AnnData(np.log1p(counts), obs=obs, var=pd.DataFrame(index=draw().columns))
    data.layers["counts"], data.uns["log1p"] = counts, {"base": None}
    return data


def test_it_says_what_an_h5ad_has_and_that_scanpy_took_logarithms(tmp_path, annotated):
    annotated.write_h5ad(tmp_path / "m.h5ad")
    said = say(tmp_path / "m.h5ad")
    assert said["Parts"] == "X, layers/counts; X is read"
    assert said["Unit"] == "ln(x+1) (the file says so, in uns['log1p'])"
    assert said["Refused"] == ""


def test_scaled_genes_are_told_with_what_to_take_instead(tmp_path, annotated):
    annotated.X = (annotated.X - annotated.X.mean(axis=0)) / np.maximum(annotated.X.std(axis=0), 1e-3)
    annotated.write_h5ad(tmp_path / "m.h5ad")
    said = say(tmp_path / "m.h5ad")
    assert said["Unit"].startswith("as is (genes have a mean of 0 and a standard deviation of 1: scaled")
    assert said["Fill in"].endswith("State as matrix what was not scaled: layers/counts.")
    assert said["Refused"] == ""


def test_it_tells_encodings(tmp_path):
    (tmp_path / "m.tsv").write_bytes("Größe\tx\r".encode("latin-1"))
    assert describe_file(tmp_path / "m.tsv") == ".tsv, 8 bytes, not UTF-8, old Mac line ends, not packed"
    (tmp_path / "m.tsv").write_bytes("Größe\tx\n".encode())
    assert describe_file(tmp_path / "m.tsv") == ".tsv, 10 bytes, UTF-8, Unix line ends, not packed"


def test_files_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(CohortError, match="must be a file, but got none"):
        inspect_files(tmp_path / "m.csv", None)


SYMBOLS = ["TP53", "KRAS", "EGFR", "PTEN", "BRAF", "MYC", "RB1", "APC", "ATM", "NF1"]


@pytest.mark.parametrize("beside", [[], ["Hugo_Symbol"], ["description"]])
@pytest.mark.parametrize("called", ["TCGA-OR-A5J{}-01", "PATIENT{}", "{}"])
@pytest.mark.parametrize("genes", [SYMBOLS, ["7157", "3845", "1956", "5728", "673", "4609", "5925"]])
def test_genes_in_rows_are_told_by_their_names_without_labels(tmp_path, genes, called, beside):
    matrix = draw(len(genes)).set_axis(genes, axis=1).set_axis([called.format(n) for n in range(12)])
    rows = matrix.T.rename_axis("gene")
    for name in beside:
        rows.insert(0, name, SYMBOLS[: len(genes)])
    rows.to_csv(tmp_path / "rows.csv")
    matrix.rename_axis("sample").to_csv(tmp_path / "columns.csv")
    for side in ("rows", "columns"):
        found = inspect_files(tmp_path / f"{side}.csv", None)
        assert dict(found.facts)["Matrix"] == f"12 samples × {len(genes)} genes, genes in {side}"
        assert found.options.sample_column == ("?" if side == "rows" else "sample")
        assert (found.options.labels, found.options.label_column) == ("?", "?")
        assert "`expressionist predict` reads the file as it is" in found.lacking[0]
        assert found.problems == ()


def test_samples_called_by_numbers_are_no_genes_where_labels_stand_beside_them(tmp_path):
    proteins = draw(10).set_axis([f"pS6_{n}" for n in range(10)], axis=1).set_axis(range(1, 13))
    proteins.insert(0, "diagnosis", TYPES)
    proteins.rename_axis("sample").to_csv(tmp_path / "m.csv")
    assert say(tmp_path / "m.csv")["Tumour types"] == "2 in 'diagnosis': BRCA 6, LUAD 6"


def test_the_column_of_samples_may_be_called_otherwise_in_the_labels(tmp_path):
    draw().rename_axis("sample").to_csv(tmp_path / "m.csv")
    SAMPLES.rename_axis("Sample ID").to_csv(tmp_path / "labels.csv")
    found = inspect_files(tmp_path / "m.csv", tmp_path / "labels.csv")
    assert (found.problems, found.lacking) == ((), ())
    assert paste(describe_inspection(found), tmp_path)[0].tumour_types == ["BRCA", "LUAD"]


def write_aliquots(folder: Path, names: dict[str, str]) -> None:
    """Write a matrix as the Pan-Cancer Atlas has it: batch corrected, with gaps and normal tissue."""
    rng = np.random.default_rng(3)
    barcodes = [f"TCGA-AA-{n:04d}-{'11' if n % 6 == 5 else '01'}A-11R-A000-07" for n in range(18)]
    genes = [f"{symbol}|{n}" for n, symbol in enumerate(SYMBOLS * 10, start=1)]
    values = np.round(2.0 ** rng.normal(6, 3, (len(genes), len(barcodes))), 4)
    values[0, :4], values[1, 3] = -0.5, np.nan
    pd.DataFrame(values, pd.Index(genes, name="gene_id"), barcodes).to_csv(folder / "m.tsv", sep="\t")
    types = ["BRCA" if n < 9 else "LUAD" for n in range(len(barcodes))]
    samples = pd.DataFrame({"barcode": barcodes, "cancer_type": types}).rename(columns=names)
    samples.to_csv(folder / "samples.tsv", sep="\t", index=False)


def test_aliquots_of_tcga_are_for_the_source_of_that_name(tmp_path):
    write_aliquots(tmp_path, {})
    found = inspect_files(tmp_path / "m.tsv", tmp_path / "samples.tsv")
    assert (found.problems, found.lacking) == ((), ())
    assert "become 0" in dict(found.facts)["Unit"]
    cohort, options = paste(describe_inspection(found), tmp_path)
    assert (found.source, options.unit, cohort.expression.shape) == ("tcga", "RSEM", (15, 99))
    shipped = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))
    stated = {"expression": "m.tsv", "samples": "samples.tsv"}
    assert options == parse(type(options), shipped["cohort"]["tcga"] | stated, "tcga")


def test_aliquots_that_lack_what_that_source_needs_are_told_of(tmp_path):
    write_aliquots(tmp_path, {"barcode": "sample", "cancer_type": "type"})
    found = inspect_files(tmp_path / "m.tsv", tmp_path / "samples.tsv")
    said = dict(found.facts)["TCGA"]
    assert "columns barcode and cancer_type, are read by source: tcga" in said
    assert "patient_column is empty" in said
    assert (found.source, found.options.missing) == ("table", "drop")
    (refused,) = found.problems
    assert "got 3 of normal tissue by their TCGA barcodes among BRCA, LUAD (TCGA-AA-0005-11A" in refused


@pytest.mark.parametrize(("column", "source"), [("cancer_type", "tcga"), ("subtype", "table")])
def test_a_stated_label_column_is_not_left_aside_for_that_source(tmp_path, column, source):
    write_aliquots(tmp_path, {})
    path = tmp_path / "samples.tsv"
    samples = pd.read_csv(path, sep="\t", dtype=str)
    samples.assign(subtype=["basal", "luminal"] * (len(samples) // 2)).to_csv(path, sep="\t", index=False)
    assert inspect_files(tmp_path / "m.tsv", path, label_column=column).source == source


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["expressionist", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_the_command_tells_by_its_exit_code_whether_the_files_would_do(tmp_path, call):
    SAMPLES[["tumour_type"]].join(draw()).to_csv(tmp_path / "m.csv")
    code, said, wrong = call("inspect", "m.csv")
    assert (code, wrong) == (0, "")
    assert "12 samples × 60 genes" in said
    assert said.splitlines()[-1] == "    nomenclature:"
    (tmp_path / "m.csv").write_text(GOOD.replace("5", ""))
    code, said, wrong = call("inspect", "m.csv")
    assert (code, wrong) == (1, "")
    assert "Refused" in said
    code, said, wrong = call("inspect", "n.csv")
    assert (code, said) == (2, "")
    assert wrong.count("\n") == 1


def test_a_table_of_names_is_read_and_named(tmp_path, call):
    write_hgnc(tmp_path / "hgnc.txt")
    names = ["NEWNAME2", *(f"XNAME{n}" for n in range(29)), *(str(999_000_000 + n) for n in range(30))]
    SAMPLES[["tumour_type"]].join(draw().set_axis(names, axis=1)).to_csv(tmp_path / "m.csv")
    assert "must be of one kind, or known to HGNC" in call("inspect", "m.csv")[1]
    code, said, _ = call("inspect", "m.csv", "--nomenclature", "hgnc.txt")
    assert code == 0, said
    assert said.splitlines()[-1] == "    nomenclature: hgnc.txt"
    assert call("inspect", "m.csv", "--nomenclature", "other.txt")[2].endswith("Name a file that is there.\n")


@pytest.mark.parametrize("column", ["tumour_type", "tumour", "entity"])
def test_a_file_sorted_by_type_shows_its_label_column_all_the_same(tmp_path, column):
    rows = [
        f"S{k},P{k // 2},{2.5 * k % 7 + 90 * (k % 3)},{k + 0.5},{'LUAD' if k < 100 else 'LUSC'}"
        for k in range(200)
    ]
    (tmp_path / "m.csv").write_text("\n".join([f"sample,patient,TP53,KRAS,{column}", *rows]) + "\n")
    found = inspect_files(tmp_path / "m.csv", None)
    assert (found.options.label_column, found.options.patient_column) == (column, "patient")
    assert found.problems == ()


@pytest.mark.parametrize("beside", [True, False])
def test_a_stated_label_column_is_taken_and_one_that_is_not_there_refused(call, tmp_path, beside):
    labelled = SAMPLES.drop(columns="tumour_type").assign(subtype=["basal", "luminal"] * 6)
    (labelled.join(draw()) if beside else draw()).to_csv(tmp_path / "m.csv")
    labelled.to_csv(tmp_path / "labels.csv")
    files = ["m.csv", *([] if beside else ["--labels", "labels.csv"])]
    code, said, _ = call("inspect", *files, "--label-column", "subtype")
    assert code == 0, said
    assert "    label_column: subtype" in said.splitlines()
    code, said, _ = call("inspect", *files, "--label-column", "grade")
    assert code == 1
    assert "The column 'grade' must have the tumour types, but got" in said


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("entity", ["LUAD", "normal"])
def test_normal_tissue_under_a_tumours_name_is_refused(tmp_path, beside, entity):
    """By their barcodes, whatever the columns are called; a type of their own is somebody's choice."""
    codes = ["01"] * 10 + ["11"] * 2
    names = pd.Index([f"TCGA-AB-{k:04}-{code}A" for k, code in enumerate(codes)], name="sample")
    labels = pd.DataFrame({"entity": [*TYPES[:10], entity, entity]}, index=names)
    matrix = draw().set_axis(names)
    (labels.join(matrix) if beside else matrix).to_csv(tmp_path / "m.csv")
    labels.to_csv(tmp_path / "labels.csv")
    problems = inspect_files(tmp_path / "m.csv", None if beside else tmp_path / "labels.csv").problems
    told = [said for said in problems if "normal tissue" in said]
    if entity == "normal":
        assert not told
    else:
        (said,) = told
        assert "got 2 of normal tissue by their TCGA barcodes among LUAD (TCGA-AB-0010-11A, " in said
