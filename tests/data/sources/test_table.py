"""A user's own matrix: formats and orientations give one cohort. Bad files: readers/test_bad_input.py."""

import json
import re
import tempfile
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cohort_reading import find_rule, write_hgnc
from data.readers.bad_files import GOOD
from expressionist.data.cohort import Cohort
from expressionist.data.sources import table
from expressionist.data.units import AS_IS_UNIT
from expressionist.errors import CohortError, ParamsError
from expressionist.params.parsing import parse

DEFAULTS = {
    "expression": "lungs.csv",
    "genes_in": "columns",
    "ids": "auto",
    "labels": None,
    "sample_column": "sample",
    "label_column": "tumour_type",
    "patient_column": None,
    "positions": None,
    "unit": "TPM",
    "smallest_type": 1,
}
GENES = ["TP53|7157", "EGFR|1956", "?|10357"]
SAMPLES = ["s1", "s2", "s3", "s4"]
LABELS = pd.DataFrame({"tumour_type": ["A", "A", "B", "B"], "who": ["p1", "p1", "p2", "p3"]}, index=SAMPLES)
# What float32 cannot hold exactly in few decimals, the largest, the smallest, and a subnormal one.
VALUES = np.array(
    [[0.1, 3.4e38, 0], [1 / 3, 1e-40, 7], [2**24, 0.3, 1.17549435e-38], [12.5, 1, 2]], np.float32
)


def read(raw: Path, **changed: object) -> tuple[Cohort, dict]:
    cohort, quality = table.read(parse(table.Options, DEFAULTS | changed, "cohort: table"), raw)
    assert json.loads(json.dumps(quality)) == quality
    return cohort, quality


def frame() -> pd.DataFrame:
    return pd.DataFrame(VALUES, columns=GENES, index=pd.Index(SAMPLES, name="sample"))


def write_text(raw: Path, suffix: str, delimiter: str) -> dict:
    LABELS.join(frame()).rename_axis("sample").to_csv(raw / f"expression{suffix}", sep=delimiter)
    return {}


def write_transposed(raw: Path) -> dict:
    frame().T.rename_axis("gene").to_csv(raw / "expression.csv")
    LABELS.iloc[::-1].rename_axis("sample").to_csv(raw / "labels.tsv", sep="\t")
    return {"genes_in": "rows", "labels": "labels.tsv"}


def write_parquet(raw: Path) -> dict:
    LABELS.join(frame()).rename_axis("sample").to_parquet(raw / "expression.parquet")
    return {}


def write_transposed_parquet(raw: Path) -> dict:
    frame().T.rename_axis("gene").to_parquet(raw / "expression.parquet")
    LABELS.rename_axis("sample").reset_index().to_parquet(raw / "labels.parquet")
    return {"genes_in": "rows", "labels": "labels.parquet"}


def write_zstd(raw: Path) -> dict:
    text = LABELS.join(frame()).rename_axis("sample").to_csv()
    (raw / "expression.csv.zst").write_bytes(pa.compress(text.encode(), codec="zstd", asbytes=True))
    return {}


def write_feather(raw: Path) -> dict:
    LABELS.join(frame()).rename_axis("sample").reset_index().to_feather(raw / "expression.feather")
    return {}


def write_transposed_feather(raw: Path) -> dict:
    frame().T.rename_axis("gene").reset_index().to_feather(raw / "expression.feather")
    LABELS.rename_axis("sample").reset_index().to_feather(raw / "labels.feather")
    return {"genes_in": "rows", "labels": "labels.feather"}


def write_workbook(raw: Path) -> dict:
    LABELS.join(frame()).rename_axis("sample").to_excel(raw / "expression.xlsx")
    return {}


def write_transposed_workbook(raw: Path) -> dict:
    frame().T.rename_axis("gene").to_excel(raw / "expression.xlsx")
    LABELS.rename_axis("sample").to_excel(raw / "labels.xlsx")
    return {"genes_in": "rows", "labels": "labels.xlsx"}


def write_unnamed_index(raw: Path) -> dict:
    """As pandas writes a frame whose index has no name: the first column is called nothing."""
    frame().rename_axis(None).to_csv(raw / "expression.csv")
    LABELS.rename_axis("sample").to_csv(raw / "labels.csv")
    return {"labels": "labels.csv"}


def write_10x(
    raw: Path, *, group: str = "matrix", ids: str = "features/id", names: str = "features/name"
) -> dict:
    sparse = scipy.sparse.csr_matrix(VALUES)
    with h5py.File(raw / "expression.h5", "w") as file:
        for name in ("data", "indices", "indptr"):
            file[f"{group}/{name}"] = getattr(sparse, name)
        file[f"{group}/shape"] = VALUES.shape[::-1]
        file[f"{group}/barcodes"] = np.array(SAMPLES, "S")
        file[f"{group}/{ids}"] = np.array(GENES, "S")
        file[f"{group}/{names}"] = np.array(["TP53", "EGFR", "?"], "S")
    LABELS.rename_axis("sample").to_csv(raw / "labels.csv")
    return {"labels": "labels.csv"}


def write_old_10x(raw: Path) -> dict:
    return write_10x(raw, group="GRCh37", ids="genes", names="gene_names")


def write_h5ad(raw: Path) -> dict:
    anndata.AnnData(VALUES, obs=LABELS, var=pd.DataFrame(index=GENES)).write_h5ad(raw / "expression.h5ad")
    return {}


def write_transposed_sparse_h5ad(raw: Path) -> dict:
    sparse = scipy.sparse.csr_matrix(VALUES.T)
    anndata.AnnData(sparse, obs=pd.DataFrame(index=GENES), var=LABELS).write_h5ad(raw / "expression.h5ad")
    return {"genes_in": "rows"}


WRITERS = {
    "csv": lambda raw: write_text(raw, ".csv", ","),
    "csv.gz": lambda raw: write_text(raw, ".csv.gz", ","),
    "tsv": lambda raw: write_text(raw, ".tsv", "\t"),
    "txt.gz": lambda raw: write_text(raw, ".txt.gz", "\t"),
    "csv.zst": write_zstd,
    "transposed csv": write_transposed,
    "csv with an index without name": write_unnamed_index,
    "parquet": write_parquet,
    "transposed parquet": write_transposed_parquet,
    "feather": write_feather,
    "transposed feather": write_transposed_feather,
    "xlsx": write_workbook,
    "transposed xlsx": write_transposed_workbook,
    "10x": write_10x,
    "10x before version 3": write_old_10x,
    "h5ad": write_h5ad,
    "transposed sparse h5ad": write_transposed_sparse_h5ad,
}


@pytest.mark.parametrize("genes_in", ["stated", "auto"])
@pytest.mark.parametrize("form", WRITERS)
def test_every_format_gives_the_same_cohort_bit_for_bit(tmp_path, form, genes_in):
    changed = WRITERS[form](tmp_path)
    stated = changed.get("genes_in", "columns")
    changed |= {"genes_in": "auto"} if genes_in == "auto" else {}
    cohort, quality = read(tmp_path, patient_column="who", **changed)
    assert cohort.expression.tobytes() == VALUES.tobytes()
    assert cohort.expression.dtype == np.float32
    assert list(cohort.samples.index) == SAMPLES
    assert list(cohort.samples["tumour_type"]) == ["A", "A", "B", "B"]
    assert list(cohort.samples["patient"]) == ["p1", "p1", "p2", "p3"]
    assert list(cohort.genes.index) == ["7157", "1956", "10357"]
    assert list(cohort.genes["symbol"]) == ["TP53", "EGFR", "?"]
    assert (cohort.name, cohort.unit, cohort.synthetic) == ("lungs", "TPM", False)
    assert quality["types"]["kept"] == {"A": 2, "B": 2}
    assert quality["read"]["genes_in"] == stated
    assert quality["read"]["ids"] == "SYMBOL|ENTREZ"
    assert (quality["read"]["because"] == "stated") == (genes_in == "stated" and "10x" not in form)


def test_without_a_patient_column_every_sample_is_a_patient(tmp_path):
    (tmp_path / "expression.csv").write_text(GOOD)
    cohort, quality = read(tmp_path)
    assert list(cohort.samples["patient"]) == SAMPLES
    assert quality["n_patients"] == 4


def test_labels_may_say_more_and_name_more_samples(tmp_path):
    write_transposed(tmp_path)
    more = pd.concat([LABELS.assign(age=["1", "", "3", "4"]), LABELS.iloc[:1].set_axis(["s9"])])
    more.rename_axis("sample").to_csv(tmp_path / "labels.tsv", sep="\t")
    cohort, quality = read(tmp_path, genes_in="rows", labels="labels.tsv")
    assert list(cohort.samples["age"]) == ["1", "", "3", "4"]
    assert quality["samples"]["rules"][0]["examples"] == ["s9"]


def test_columns_of_words_beside_the_genes_are_left_out_and_counted(tmp_path):
    more = LABELS.assign(site=["Bonn", None, "Köln", "Bonn"], batch=["b1", "b2", "b1", ""])
    more.join(frame()).rename_axis("sample").to_csv(tmp_path / "expression.csv")
    cohort, quality = read(tmp_path, patient_column="who")
    assert list(cohort.genes.index) == ["7157", "1956", "10357"]
    np.testing.assert_array_equal(cohort.expression, VALUES)
    rule = next(each for each in quality["genes"]["rules"] if "words" in each["rule"])
    assert rule["examples"] == ["site", "batch"]


@pytest.mark.parametrize("cells", [["one", "2", "3", "4"], ["1,5", "2,5", "3", "4"], ["-", "-", "-", "-"]])
def test_what_may_be_a_gene_with_wrong_cells_is_refused(tmp_path, cells):
    LABELS.assign(g=cells).join(frame()).rename_axis("sample").to_csv(tmp_path / "expression.csv")
    with pytest.raises(CohortError, match="column 'g' of row 's1' must be a number"):
        read(tmp_path, patient_column="who")


def test_small_types_are_dropped_and_counted(tmp_path):
    (tmp_path / "expression.csv").write_text(GOOD + "s5,C,9,9\n")
    cohort, quality = read(tmp_path, smallest_type=2)
    assert cohort.tumour_types == ["A", "B"]
    np.testing.assert_array_equal(cohort.expression[-1], [7, 8])
    assert quality["samples"]["rules"][-1]["by_type"] == {"C": 1}


def test_entrez_ids_take_symbol_and_place_from_positions(tmp_path):
    (tmp_path / "expression.csv").write_text(GOOD.replace("g1", "7157").replace("g2", "1956"))
    (tmp_path / "positions.tsv").write_text("entrez\tsymbol\tchromosome\tstart\n7157\tTP53\t17\t7565097\n")
    cohort, quality = read(tmp_path, positions="positions.tsv")
    assert cohort.genes.loc["7157", ["symbol", "chromosome", "start"]].tolist() == ["TP53", "17", 7565097.0]
    assert quality["genes"]["without_position"]["examples"] == ["1956"]


ENSEMBL = "sample,tumour_type,ENSG00000141510.18,ENSG00000146648.5\ns1,A,1,2\ns2,B,3,4\n"


def test_versions_are_cut_off_ensembl_ids_and_kept(tmp_path):
    (tmp_path / "expression.csv").write_text(ENSEMBL)
    cohort, quality = read(tmp_path)
    assert list(cohort.genes.index) == ["ENSG00000141510", "ENSG00000146648"]
    assert list(cohort.genes["id_with_version"]) == ["ENSG00000141510.18", "ENSG00000146648.5"]
    assert quality["read"]["ids"] == "ensembl"
    assert quality["genes"]["rules"][-1]["n"] == 2


def test_other_ids_are_taken_as_they_are(tmp_path):
    (tmp_path / "expression.csv").write_text(ENSEMBL.replace("ENSG00000146648.5", "1-Mar"))
    cohort, quality = read(tmp_path, ids="other")
    assert list(cohort.genes.index) == ["ENSG00000141510.18", "1-Mar"]


@pytest.mark.parametrize(
    ("names", "kind", "stated"),
    [
        (["TP53", "C1orf112", "HLA-A"], "symbol", "symbol"),
        (["7157", "1956", "3105"], "entrez", "entrez"),
        (["ENSG00000141510", "ENSG00000146648", "ENSMUSG00000059552"], "ensembl", "ensembl"),
        (["hsa-let-7a-1", "hsa-mir-21", "MIMAT0000076"], "mirna", "mirna"),
        (["14-3-3_epsilon", "4E-BP1_pS65", "ATM"], "other", "symbol"),
    ],
)
def test_kinds_of_ids_are_told_and_may_be_stated(tmp_path, names, kind, stated):
    text = f"sample,tumour_type,{','.join(names)}\ns1,A,1,2,3\ns2,B,4,5,6\n"
    (tmp_path / "expression.csv").write_text(text)
    for ids in ("auto", stated):
        cohort, quality = read(tmp_path, ids=ids)
        assert quality["read"]["ids"] == kind
        assert list(cohort.genes.index) == names
    if kind != "other":
        with pytest.raises(CohortError, match="must be of the stated kind"):
            read(tmp_path, ids="mirna" if kind != "mirna" else "ensembl")


def test_a_few_strays_among_ids_are_kept_and_counted(tmp_path):
    names = [f"ENSG{n:011d}" for n in range(199)] + ["ERCC-00002"]
    rows = "".join(
        f"s{i},{kind},{','.join(str(i + n) for n in range(200))}\n" for i, kind in enumerate("AB", 1)
    )
    (tmp_path / "expression.csv").write_text(f"sample,tumour_type,{','.join(names)}\n{rows}")
    _, quality = read(tmp_path)
    assert quality["read"]["ids"] == "ensembl"
    assert quality["genes"]["rules"][3] == {
        "rule": "gene id of another kind than the rest (kept)",
        "n": 1,
        "examples": ["ERCC-00002"],
    }


def test_ids_of_several_kinds_are_translated_by_a_table_of_their_own(tmp_path):
    write_hgnc(tmp_path / "nomenclature.tsv")
    rows = "s1,A,1,2\ns2,B,3,5\n"
    (tmp_path / "expression.csv").write_text(f"sample,tumour_type,NEWNAME2,ENSG00000133703\n{rows}")
    cohort, _ = read(tmp_path, nomenclature="hgnc.tsv")
    assert list(cohort.genes.index) == ["90071", "ENSG00000133703"]


@pytest.mark.parametrize("genes_in", ["rows", "columns"])
def test_a_row_of_totals_is_no_gene(tmp_path, genes_in):
    values = pd.DataFrame(
        {"TP53": [1, 3, 5, 7], "KRAS": [2, 4, 6, 8.25], "Total": [3, 7, 11, 15.25]}, index=SAMPLES
    )
    matrix = values.T if genes_in == "rows" else values
    matrix.to_csv(tmp_path / "expression.csv", index_label="sample")
    LABELS.to_csv(tmp_path / "labels.csv", index_label="sample")
    cohort, quality = read(tmp_path, labels="labels.csv", genes_in=genes_in)
    assert list(cohort.genes.index) == ["TP53", "KRAS"]
    assert find_rule(quality["genes"]["rules"], "the total")["examples"] == ["Total"]


def test_star_counts_with_the_rows_of_reads_without_a_gene(tmp_path):
    (tmp_path / "expression.csv").write_text(
        "gene,s1,s2,s3,s4\nN_unmapped,9,9,9,9\nENSG00000141510.18,1,3,5,7\nENSG00000182378.15_PAR_Y,0,0,0,0\n"
        "N_ambiguous,8,8,8,8\nENSG00000182378.15,2,4,6,8\n"
    )
    (tmp_path / "labels.csv").write_text("sample,tumour_type\ns1,A\ns2,A\ns3,B\ns4,B\n")
    cohort, quality = read(tmp_path, labels="labels.csv", genes_in="rows", smallest_type=2)
    assert list(cohort.genes.index) == ["ENSG00000141510", "ENSG00000182378"]
    np.testing.assert_array_equal(cohort.expression, [[1, 2], [3, 4], [5, 6], [7, 8]])
    assert (quality["genes"]["read"], quality["genes"]["kept"]) == (5, 2)
    assert [entry["n"] for entry in quality["genes"]["rules"][:2]] == [2, 1]
    assert cohort.genes.loc["ENSG00000141510", ["symbol", "entrez"]].tolist() == ["TP53", "7157"]


def test_proteins_may_be_negative(tmp_path):
    (tmp_path / "expression.csv").write_text(GOOD.replace("8", "-0.5"))
    cohort, _ = read(tmp_path, unit="as is")
    assert cohort.expression[3].tolist() == [7, -0.5]


@pytest.mark.parametrize(
    ("missing", "left"), [("drop", [[2], [4], [6], [8]]), ("zero", [[1, 2], [3, 4], [0, 6], [7, 8]])]
)
def test_genes_that_lack_values_are_dropped_or_filled_as_stated(tmp_path, missing, left):
    (tmp_path / "expression.csv").write_text(GOOD.replace("5", "NA"))
    cohort, quality = read(tmp_path, missing=missing)
    assert cohort.expression.tolist() == left
    assert len(cohort.genes) == quality["genes"]["kept"] == len(left[0])
    entry = quality["genes"]["rules"][-1]
    assert (quality["genes"]["read"], entry["n"], entry["by_type"]) == (2, 1, {"B": 1})


def test_a_few_values_below_0_become_0_and_are_counted(tmp_path):
    (tmp_path / "expression.csv").write_text(GOOD.replace("8", "-0.5"))
    cohort, quality = read(tmp_path)
    assert cohort.expression[3].tolist() == [7, 0]
    assert quality["values"]["rules"][-1] == {"rule": "value below 0 set to 0", "n": 1, "lowest": -0.5}


def test_a_constant_gene_is_kept_and_counted(tmp_path):
    (tmp_path / "expression.csv").write_text("sample,tumour_type,g1,g2\ns1,A,1,2\ns2,B,1,4\n")
    cohort, quality = read(tmp_path)
    assert cohort.expression.shape == (2, 2)
    assert quality["values"]["rules"][0]["examples"] == ["g1"]


def test_byte_order_mark_windows_lines_and_quotes(tmp_path):
    text = GOOD.replace("\n", "\r\n").replace("s1", '"s1"').replace("g1", '"g,1"')
    (tmp_path / "expression.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    cohort, _ = read(tmp_path)
    assert list(cohort.samples.index) == SAMPLES
    assert list(cohort.genes.index) == ["g,1", "g2"]


def test_refuses_no_file_and_two_files(tmp_path):
    with pytest.raises(CohortError, match=r"must hold one file expression\.\*, but got no expression"):
        read(tmp_path)
    for name in ("expression.csv", "expression.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(CohortError, match=r"but got expression\.csv, expression\.tsv"):
        read(tmp_path)


def test_refuses_hdf5_that_is_no_anndata(tmp_path):
    with h5py.File(tmp_path / "expression.h5ad", "w") as file:
        file["X"] = VALUES
    with pytest.raises(CohortError, match="must be an AnnData file with X, obs and var, but lacks obs, var"):
        read(tmp_path)


COUNTS = np.array([[0, 5, 100], [3, 40, 7], [12, 0, 1], [90, 2, 2]], np.float32)


def write_parts(raw: Path, x: np.ndarray, **uns: object) -> None:
    data = anndata.AnnData(x, obs=LABELS, var=pd.DataFrame(index=GENES), layers={"counts": COUNTS}, uns=uns)
    more = pd.DataFrame(index=[*GENES, "MYC|4609"])
    data.raw = anndata.AnnData(np.hstack([COUNTS, COUNTS[:, :1] + 1]), obs=LABELS, var=more)
    data.write_h5ad(raw / "expression.h5ad")


def test_a_part_of_an_h5ad_is_read(tmp_path):
    write_parts(tmp_path, VALUES)
    cohort, _ = read(tmp_path, matrix="layers/counts", unit="counts")
    np.testing.assert_array_equal(cohort.expression, COUNTS)
    cohort, _ = read(tmp_path, matrix="raw/X", unit="counts")
    assert list(cohort.genes.index) == ["7157", "1956", "10357", "4609"]
    np.testing.assert_array_equal(cohort.expression[:, 3], COUNTS[:, 0] + 1)
    with pytest.raises(
        CohortError, match="lacks layers/tpm. State one that is there as matrix: X or layers/cou"
    ):
        read(tmp_path, matrix="layers/tpm")


def test_only_an_h5ad_has_parts(tmp_path):
    write_text(tmp_path, ".csv", ",")
    with pytest.raises(
        CohortError, match="matrix must be X where the expression is no .h5ad, but got 'raw/X'"
    ):
        read(tmp_path, matrix="raw/X")
    with pytest.raises(ParamsError, match="matrix must be X, raw/X or layers/<name>, but got 'obsm/pca'"):
        read(tmp_path, matrix="obsm/pca")


@pytest.mark.parametrize(
    ("base", "said", "denied"),
    [
        ({}, "ln(x+1)", ["TPM", "log2(x+1)", "log2(TPM+1)"]),
        ({"base": 2}, "log2(x+1)", ["RSEM", "ln(x+1)"]),
    ],
)
def test_what_scanpy_says_of_x_counts(tmp_path, base, said, denied):
    logs = np.log1p(COUNTS) / np.float32(np.log(base.get("base", np.e)))
    write_parts(tmp_path, logs, log1p=base)
    for unit in denied:
        with pytest.raises(CohortError, match=re.escape(f"says that it is {said}. State unit: {said}, or")):
            read(tmp_path, unit=unit)
    cohort, _ = read(tmp_path, unit=said)
    assert cohort.unit == "log2(x+1)"
    np.testing.assert_allclose(cohort.expression, np.log2(COUNTS + 1), rtol=1e-6)
    cohort, _ = read(tmp_path, unit=said.replace("x", "counts"))
    np.testing.assert_array_equal(cohort.expression, COUNTS)
    assert read(tmp_path, matrix="layers/counts", unit="counts")[0].unit == "counts"


def test_counts_put_back_into_x_are_counts(tmp_path):
    write_parts(tmp_path, COUNTS, log1p={})
    assert read(tmp_path, unit="counts")[0].unit == "counts"


LARGEST = float(np.finfo(np.float32).max)
CELLS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
    elements=st.floats(-LARGEST, LARGEST, width=32),
    # A cohort in which nothing varies is refused.
).filter(lambda values: bool((values.min(axis=0) < values.max(axis=0)).any()))


@settings(deadline=None)
@given(CELLS, st.sampled_from([".csv", ".tsv", ".tsv.gz", ".parquet", ".feather", ".xlsx"]), st.booleans())
def test_values_survive(values, suffix, transposed):
    samples = pd.Index([f"s{i}" for i in range(len(values))], name="sample")
    labels = pd.DataFrame({"tumour_type": ["A", *["B"] * (len(values) - 1)]}, index=samples)
    matrix = pd.DataFrame(values, index=samples, columns=[f"g{i}" for i in range(values.shape[1])])
    matrix = matrix.T.rename_axis("gene") if transposed else matrix
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder)
        if suffix == ".parquet":
            matrix.to_parquet(raw / "expression.parquet")
        elif suffix == ".feather":
            matrix.reset_index().to_feather(raw / "expression.feather")
        elif suffix == ".xlsx":
            matrix.to_excel(raw / "expression.xlsx")
        else:
            matrix.to_csv(raw / f"expression{suffix}", sep="," if suffix == ".csv" else "\t")
        labels.to_csv(raw / "labels.csv")
        genes_in = "rows" if transposed else "columns"
        cohort, _ = read(raw, labels="labels.csv", genes_in=genes_in, unit=AS_IS_UNIT)
    # -0.0 is 0 all the same.
    np.testing.assert_array_equal(cohort.expression, values)
    assert list(cohort.samples.index) == list(samples)
    assert list(cohort.genes.index) == [f"g{i}" for i in range(values.shape[1])]
