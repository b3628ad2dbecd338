"""Samples to predict: whatever the file, the same table, in the model's unit."""

import gzip
from contextlib import nullcontext
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse

from expressionist.data.cohort import Cohort
from expressionist.data.cohort_file import write_cohort
from expressionist.data.profiles import read_profiles
from expressionist.data.resources import read_resource
from expressionist.errors import CohortError

GENES = ["TP53", "KRAS", "EGFR"]
IDS = {
    "TP53": ("ENSG00000141510.18", "7157"),
    "KRAS": ("ENSG00000133703.14", "3845"),
    "EGFR": ("ENSG00000146648.19", "1956"),
}
FRAME = pd.DataFrame([[1.5, 2, 3], [4, 5, 6.25]], index=["01", "NA"], columns=GENES, dtype="float32")


def knows(names):
    return np.array(
        [
            name.strip().split("|")[0].split(".")[0]
            in {*GENES, *(i.split(".")[0] for pair in IDS.values() for i in pair)}
            for name in names
        ]
    )


def read(path, wanted="RSEM", **options):
    return read_profiles(path, knows, wanted, **options)


def text(frame, **options):
    return frame.to_csv(lineterminator="\n", **options).encode()


def german(frame):
    return text(frame, sep=";", decimal=",")


def as_r(frame):
    """As write.table writes it: all in quotes, and no name above the row names."""
    return text(frame.T, sep=" ", quoting=2).removeprefix(b'"" ')


def gct(frame):
    table = frame.T.rename_axis("Name")
    table.insert(0, "Description", table.index)
    return b"#1.2\n3\t2\n" + text(table, sep="\t")


def cbioportal(frame):
    table = frame.T.rename_axis("Hugo_Symbol")
    table.insert(0, "Entrez_Gene_Id", [IDS[name][1] for name in table.index])
    return text(table, sep="\t")


def gencode(frame):
    table = frame.T.set_axis([IDS[name][0] for name in GENES])
    table.insert(0, "gene_name", GENES)
    return b"# gene-model: GENCODE v36\n" + text(table.rename_axis("gene_id"), sep="\t")


def clinical(frame):
    table = frame.rename_axis("sample")
    table.insert(0, "stage", ["II", "IV"])
    return text(table.assign(age=[63, 71]))


TEXTS = {
    "t.csv": text,
    "t.tsv": lambda frame: text(frame, sep="\t"),
    "rows.csv": lambda frame: text(frame.T),
    "rows.txt.gz": lambda frame: gzip.compress(text(frame.T, sep="\t")),
    "t.csv.zst": lambda frame: pa.compress(text(frame), codec="zstd", asbytes=True),
    "german.csv": german,
    "german rows.csv": lambda frame: german(frame.T),
    "r.txt": as_r,
    "excel's.csv": lambda frame: b"\xef\xbb\xbf" + text(frame).replace(b"\n", b"\r\n"),
    "t.gct": gct,
    "data_mrna_seq_v2_rsem.txt": cbioportal,
    "gencode.tsv": gencode,
    "clinical.csv": clinical,
    "tabs.csv": lambda frame: text(frame, sep="\t"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_table_is_read_however_it_is_written(tmp_path, name):
    (tmp_path / name).write_bytes(TEXTS[name](FRAME))
    found = read(tmp_path / name)
    assert found.table.index.tolist() == ["01", "NA"]
    assert [knows([gene])[0] for gene in found.table.columns] == [True] * 3
    np.testing.assert_array_equal(found.table.to_numpy(), FRAME.to_numpy())
    assert found.said.startswith(f"{name}: 2 samples × 3 genes, genes in ")


def test_what_was_decided_is_said(tmp_path):
    (tmp_path / "t.csv").write_bytes(german(FRAME))
    assert read(tmp_path / "t.csv").said == (
        "t.csv: 2 samples × 3 genes, genes in columns (3 names in the header are genes), separated by "
        "semicolons, decimal commas; in RSEM, as the model takes it."
    )


@pytest.mark.parametrize("transposed", [False, True])
def test_the_same_of_parquet_feather_excel_and_anndata(tmp_path, transposed):
    frame = FRAME.T if transposed else FRAME
    frame.to_parquet(tmp_path / "t.parquet")
    frame.rename_axis("id").reset_index().to_feather(tmp_path / "t.feather")
    frame.to_excel(tmp_path / "t.xlsx")
    anndata.AnnData(frame).write_h5ad(tmp_path / "t.h5ad")
    for name in ("t.parquet", "t.feather", "t.xlsx", "t.h5ad"):
        np.testing.assert_array_equal(read(tmp_path / name).table[GENES].loc[["01", "NA"]], FRAME, name)


def test_a_cohort_says_its_own_unit(tmp_path):
    samples = pd.DataFrame({"patient": ["a", "b"], "tumour_type": ["A", "B"]}, index=FRAME.index)
    genes = pd.DataFrame({"symbol": GENES}, index=GENES)
    write_cohort(tmp_path / "cohort.h5ad", Cohort("c", FRAME.to_numpy(), samples, genes, "log2(x+1)"))
    found = read(tmp_path / "cohort.h5ad", "TPM")
    np.testing.assert_allclose(found.table, np.exp2(FRAME) - 1, rtol=1e-5)
    assert found.said.endswith("; in log2(x+1), as the file says converted to TPM.")


def test_samples_of_an_anndata_go_by_their_own_names(tmp_path):
    data = anndata.AnnData(FRAME, obs=pd.DataFrame({"sample": ["donor", "donor"]}, index=FRAME.index))
    data.write_h5ad(tmp_path / "t.h5ad")
    assert read(tmp_path / "t.h5ad").table.index.tolist() == ["01", "NA"]


def test_row_numbers_of_an_anndata_are_no_entrez_ids(tmp_path):
    genes = pd.DataFrame({"gene_symbols": GENES}, index=["1", "2", "7157"])
    anndata.AnnData(FRAME.to_numpy(), FRAME[[]], genes).write_h5ad(tmp_path / "t.h5ad")
    assert read(tmp_path / "t.h5ad").table.columns.tolist() == GENES


@pytest.mark.parametrize(
    ("replicates", "expected"), [("first", [[1.5, 2, 3], [4, 5, 6.25]]), ("mean", [[3, 2, 3], [4, 5, 6.25]])]
)
@pytest.mark.parametrize("transposed", [False, True])
def test_samples_that_stand_twice(tmp_path, replicates, expected, transposed):
    frame = pd.concat([FRAME, pd.DataFrame([[4.5, 2, 3]], index=["01"], columns=GENES)])
    (tmp_path / "t.csv").write_bytes(text(frame.T if transposed else frame))
    found = read(tmp_path / "t.csv", replicates=replicates)
    assert found.table.index.tolist() == ["01", "NA"]
    assert found.table.to_numpy().tolist() == expected
    assert "of a sample" in found.said
    with pytest.raises(CohortError, match="must stand once, but got more often: 01"):
        read(tmp_path / "t.csv", replicates="refuse")


def test_a_total_needs_genes_that_the_model_does_not_know(tmp_path):
    table = pd.DataFrame([[1, 2, 3, 94, 60]], index=["s"], columns=[*GENES, "MYC", "age"])
    (tmp_path / "t.csv").write_bytes(text(table))
    found = read(tmp_path / "t.csv", "RPM", unit="counts")
    assert found.table[GENES].to_numpy().tolist() == [[10_000, 20_000, 30_000]]
    assert "1 samples × 4 genes" in found.said
    assert "column whose name is that of no gene today, nor of the model (left out): 1" in found.said


def test_reads_without_a_gene_are_no_part_of_a_total(tmp_path):
    table = pd.DataFrame({"s": [900, 25, 25, 50, 7]}, index=["N_unmapped", *GENES, "__no_feature"])
    (tmp_path / "t.csv").write_bytes(text(table))
    found = read(tmp_path / "t.csv", "RPM", unit="counts").table
    assert found[GENES].to_numpy().tolist() == [[250_000, 250_000, 500_000]]


@pytest.mark.parametrize(("name", "whole"), [("EGFR", 200), ("Total", 100)])
def test_a_row_of_totals_is_no_part_of_a_total(tmp_path, name, whole):
    """The last row has as much as the others together, and is a gene unless it is called otherwise."""
    table = pd.DataFrame({"s": [25, 75, 100], "t": [1, 2, 3]}, index=["TP53", "KRAS", name])
    (tmp_path / "t.csv").write_bytes(text(table))
    found = read(tmp_path / "t.csv", "RPM", unit="counts")
    assert found.table["TP53"].iloc[0] == 25 / whole * 1e6
    assert ("row that is the total of the others (left out): 1" in found.said) == (name == "Total")


def test_what_is_missing_stays_missing_and_batch_correction_is_undone(tmp_path):
    (tmp_path / "t.csv").write_text("sample,TP53,KRAS,EGFR\na,1.5,NA,-0.25\nb,2,3,4\n")
    np.testing.assert_array_equal(read(tmp_path / "t.csv").table, [[1.5, np.nan, 0], [2, 3, 4]])


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (
            "a,b\nx,1\n",
            {},
            "t.csv must have genes of the model on one side, but got 0 of 2 names in the header",
        ),
        ("TP53,KRAS\n1,2\n", {}, "must have sample ids in its first column, but got the gene TP53"),
        (
            "s,TP53,KRAS\nx,1,2\n",
            {"genes_in": "diagonal"},
            "genes_in must be one of auto, columns, rows, but",
        ),
        (
            "s,TP53,KRAS\nx,1,2\n",
            {"replicates": "last"},
            "replicates must be one of refuse, first, mean, but",
        ),
        (
            "s,TP53,KRAS\nx,1,2.5\n",
            {"unit": "counts"},
            "counts must be whole numbers, but got 2.5 for gene KRAS",
        ),
        ("s,TP53,KRAS\nx,1,2\n", {"unit": "TPM"}, "What is to become RSEM must be RSEM or counts or RPM"),
        (
            "s,TP53,KRAS\nx,1,2000.5\n",
            {"wanted": "counts"},
            "Nothing else becomes counts, which the model takes: give the counts themselves.",
        ),
        (
            "s,TP53,KRAS\nx,1,2.5\n",
            {"wanted": "counts", "unit": "RSEM"},
            "but got RSEM. Give the counts themselves.",
        ),
        ("s,TP53,KRAS\nx,1,2\n", {"unit": "reads"}, "The unit must be one of"),
        ("s,TP53,KRAS\nx,0,0\n", {}, "must have some expression, but got 0 for all genes in 1 of 1: x."),
        (
            "TP53,12\nKRAS,7\nEGFR,9\n",
            {},
            "must begin with a header that names its samples, but got the row of",
        ),
        (
            "target_id,length,est_counts,tpm\nTP53,900,1,2.5\nKRAS,900,2,3.5\n",
            {},
            "but got what a quantifier says of one sample (est_counts, tpm)",
        ),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_one_line(tmp_path, content, options, said):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(CohortError) as refusal:
        read(tmp_path / "t.csv", **options)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


STAR = (
    "# gene-model: GENCODE v36\n"
    "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded"
    "\tfpkm_unstranded\tfpkm_uq_unstranded\n"
    "N_unmapped\t\t\t500\t500\t500\t\t\t\n"
) + "".join(
    f"{IDS[name][0]}\t{name}\tprotein_coding\t{n}\t0\t0\t{n}.5\t{n}.25\t{n}.75\n"
    for n, name in enumerate(GENES, 1)
)


@pytest.mark.parametrize(("wanted", "expected"), [("counts", [1, 2, 3]), ("TPM", [1.5, 2.5, 3.5])])
def test_star_counts_give_the_column_that_the_model_takes(tmp_path, wanted, expected):
    (tmp_path / "uuid").mkdir()
    for name in ("a.rna_seq.augmented_star_gene_counts.tsv", "uuid/b.rna_seq.augmented_star_gene_counts.tsv"):
        (tmp_path / name).write_text(STAR)
    found = read(tmp_path, wanted)
    assert found.table.index.tolist() == ["a", "b"]
    assert found.table.to_numpy().tolist() == [expected, expected]
    one = read(tmp_path / "a.rna_seq.augmented_star_gene_counts.tsv", wanted)
    pd.testing.assert_frame_equal(one.table, found.table[:1])


def write_star(folder, names, counts):
    """Write files of STAR counts, each in a folder of its own as the GDC leaves them."""
    for place, name in enumerate(names):
        (folder / f"uuid-{place}").mkdir(parents=True)
        body = STAR.replace("\t1\t0", f"\t{counts[place]}\t0", 1)
        (folder / f"uuid-{place}" / f"{name}.rna_seq.augmented_star_gene_counts.tsv").write_text(body)


def write_sheet(path, names, samples):
    rows = [
        f"{name}.rna_seq.augmented_star_gene_counts.tsv\tTCGA-ACC\tcase\t{sample}"
        for name, sample in zip(names, samples, strict=True)
    ]
    path.write_text("\n".join(["File Name\tProject ID\tCase ID\tSample ID", *rows]) + "\n")


@pytest.mark.parametrize("place", ["gdc", "."])
def test_a_sample_sheet_names_the_samples_of_star_counts(tmp_path, place):
    write_star(tmp_path / "gdc", "abcd", [1, 3, 9, 7])
    ids = ["TCGA-OR-A5J1-01A", "TCGA-OR-A5J2-01A", "TCGA-OR-A5J1-01A"]
    write_sheet(tmp_path / place / "gdc_sample_sheet.2026-01-01.tsv", "abc", ids)
    found = read(tmp_path / "gdc", "counts")
    assert found.table.index.tolist() == [*ids[:2], "d"]
    assert found.table.iloc[:, 0].tolist() == [1, 3, 7]
    assert "3 of 4 files named by gdc_sample_sheet.2026-01-01.tsv, further column or row of a" in found.said
    mean = read(tmp_path / "gdc", "counts", replicates="mean")
    assert mean.table.iloc[:, 0].tolist() == [5, 3, 7]
    with pytest.raises(CohortError, match="must stand once, but got more often: TCGA-OR-A5J1-01A"):
        read(tmp_path / "gdc", "counts", replicates="refuse")


def test_a_sheet_in_the_folder_comes_before_one_beside_it_and_two_are_refused(tmp_path):
    write_star(tmp_path / "gdc", "a", [1])
    write_sheet(tmp_path / "gdc_sample_sheet.tsv", "x", ["X"])
    with pytest.raises(CohortError, match="must be named in .*gdc_sample_sheet.tsv, but got a.rna_seq"):
        read(tmp_path / "gdc", "counts")
    write_sheet(tmp_path / "gdc/gdc_sample_sheet.tsv", "a", ["A"])
    assert read(tmp_path / "gdc", "counts").table.index.tolist() == ["A"]
    write_sheet(tmp_path / "gdc/gdc_sample_sheet.2.tsv", "a", ["B"])
    with pytest.raises(CohortError, match="One sample sheet must name the files of .* but got gdc_sample_sh"):
        read(tmp_path / "gdc", "counts")


LENGTHS = {
    "two.tsv": "gene\tlength\n{rows}",
    "headless.tsv": "{rows}",
    "featurecounts.txt": "# Program:featureCounts v2.0.3\nGeneid\tLength\tx.bam\n{rows}",
}


@pytest.fixture
def many(tmp_path):
    """Counts of more genes than TPM need, by symbol."""
    known = read_resource("hgnc.tsv.gz").query("ensembl != '' and entrez != ''").head(10_200)
    counts = np.random.default_rng(0).negative_binomial(2, 0.01, (2, len(known)))
    pd.DataFrame(counts.T, known["symbol"], ["x", "y"]).to_csv(tmp_path / "counts.csv")
    return known, counts


@pytest.mark.parametrize("kind", LENGTHS)
def test_counts_become_tpm_by_the_lengths_of_genes_whatever_they_are_called(tmp_path, many, kind):
    known, counts = many
    lengths = np.random.default_rng(1).integers(200, 9000, len(known))
    lengths[:100] = 0
    beside = "\t7" if kind.startswith("f") else ""
    rows = [f"{name}.3\t{n}{beside}" for name, n in zip(known["ensembl"], lengths, strict=True)]
    (tmp_path / kind).write_text(LENGTHS[kind].format(rows="\n".join(rows[::-1])) + "\n")
    path, knows = tmp_path / "counts.csv", lambda names: pd.Index(names).isin(known["symbol"])
    found = read_profiles(path, knows, "TPM", unit="counts", gene_lengths=tmp_path / kind)
    rates = counts[:, 100:] / lengths[100:]
    assert found.table.columns.tolist() == known["symbol"].iloc[100:].tolist()
    np.testing.assert_allclose(found.table, rates / rates.sum(axis=1, keepdims=True) * 1e6, rtol=1e-4)
    assert found.said.endswith("converted to TPM by the lengths of 10,100 of 10,200 genes.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("gene\tlength\nTP53\tlong\n", "the length of TP53 must be a number, but got 'long'"),
        ("gene\tbases\tname\nTP53\t9\tx\n", "must have two columns, gene id and length, or one called Len"),
        ("gene\tlength\nTP53\t9\nTP53\t8\n", "must stand once, but got more often: TP53"),
        ("gene\tlength\nXYZ1\t9\nXYZ2\t8\n", "must have lengths of the table's genes, such as"),
        ("gene\tlength\nA1BG\t9\nA1CF\t8\n", "to become TPM, at least 10,000, but got 2"),
    ],
)
def test_lengths_that_cannot_be_are_refused(tmp_path, many, content, said):
    (tmp_path / "lengths.tsv").write_text(content)
    known = many[0]["symbol"]
    with pytest.raises(CohortError) as refusal:
        read_profiles(
            tmp_path / "counts.csv",
            lambda names: pd.Index(names).isin(known),
            "TPM",
            unit="counts",
            gene_lengths=tmp_path / "lengths.tsv",
        )
    assert said in str(refusal.value)


@pytest.mark.parametrize("path", [Path("tcga-mirna-32"), Path("tcga-mrna-7")], ids=str)
def test_real_files_are_read_as_they_are(path):
    """Barcodes that stand twice, gaps of whole cohorts, and what batch correction left below 0."""
    file = Path(__file__).parents[3] / "shared/data" / path / "expression.tsv.gz"
    if not file.is_file():
        pytest.skip(f"{file.parent} is not here")
    from expressionist.data.nomenclature import load_nomenclature

    found = read_profiles(file, lambda names: load_nomenclature().find(names) >= 0, "RSEM")
    assert found.table.index.is_unique
    assert np.nanmin(found.table.to_numpy()) == 0


def write_groups(folder, frame):
    """Write samples so that some can be read without the others."""
    frame.to_parquet(folder / "t.parquet", row_group_size=3)
    anndata.AnnData(frame).write_h5ad(folder / "dense.h5ad")
    sparse = anndata.AnnData(scipy.sparse.csr_matrix(frame), frame[[]], frame.T[[]])
    sparse.write_h5ad(folder / "sparse.h5ad")
    return [folder / name for name in ("t.parquet", "dense.h5ad", "sparse.h5ad")]


@pytest.fixture
def few(monkeypatch):
    """Judge two samples at a time."""
    monkeypatch.setattr("expressionist.data.readers.row_source._N_ROWS", 2)


def draw(n_samples, values=(1.5, 2.0, 300.0)):
    index = [f"S{number}" for number in range(n_samples)]
    return pd.DataFrame(np.arange(1, n_samples + 1)[:, None] * np.array(values), index, GENES, "float32")


def test_what_can_be_sliced_is_not_in_memory_and_gives_any_samples(tmp_path, few):
    frame = draw(10)
    for path in write_groups(tmp_path, frame):
        found = read(path)
        assert found.source.array is None
        pd.testing.assert_frame_equal(found.read(4, 9), frame.iloc[4:9], check_names=False)
        pd.testing.assert_frame_equal(found.table, frame, check_names=False)


@pytest.mark.parametrize("replicates", ["first", "mean"])
def test_replicates_are_found_wherever_they_stand(tmp_path, few, replicates):
    frame = draw(9).set_axis(["a", "b", "c", "d", "a", "e", "b", "f", "a"])
    frame.to_csv(tmp_path / "t.csv")
    expected = read(tmp_path / "t.csv", replicates=replicates)
    means = (
        frame.groupby(level=0, sort=False).mean() if replicates == "mean" else frame.iloc[[0, 1, 2, 3, 5, 7]]
    )
    np.testing.assert_allclose(expected.table, means)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=3)
    found = read(tmp_path / "t.parquet", replicates=replicates)
    pd.testing.assert_frame_equal(found.table, expected.table, check_names=False)
    pd.testing.assert_frame_equal(found.read(0, 2), expected.table.iloc[:2], check_names=False)


def test_all_samples_are_judged_before_any_is_given(tmp_path, few):
    odd = draw(10, (1, 2, 300))
    odd.iloc[9, 2] += 0.5
    for path in write_groups(tmp_path, odd):
        with pytest.raises(
            CohortError, match=r"must be whole numbers, but got 3000\.5 for gene EGFR in sample S9"
        ):
            read(path, unit="counts")
    odd.iloc[9, 2] = np.inf
    for path in write_groups(tmp_path, odd):
        with pytest.raises(CohortError, match="must be finite, but got inf for gene EGFR in sample S9"):
            read(path)


def test_a_share_of_values_below_0_is_that_of_the_whole_table(tmp_path, few):
    """Two samples that are below 0 throughout are 60 of 600 values: too many; as many of 2,000 are not."""
    names = [f"g{number}" for number in range(30)]
    for n_samples, is_refused in ((20, True), (70, False)):
        frame = pd.DataFrame(5.5, [f"S{k}" for k in range(n_samples)], names, "float32")
        frame.iloc[:2] = -2.0
        frame.iloc[:2, 0] = 3.0
        for path in write_groups(tmp_path, frame):
            context = (
                pytest.raises(CohortError, match="of the values below 0") if is_refused else nullcontext()
            )
            with context:
                read_profiles(path, lambda given: np.isin(given, names), "RSEM")


def test_what_is_missing_counts_as_the_lowest_value_of_the_whole_table(tmp_path, few, monkeypatch):
    """FPKM become TPM by their sum, which samples that are read together must not change."""
    monkeypatch.setattr("expressionist.data.units._FEWEST_GENES", {})
    frame = draw(8)
    frame.iloc[7, 0] = np.nan
    for path in write_groups(tmp_path, frame):
        found = read(path, "TPM", unit="FPKM")
        assert found.has_gaps
        kept = 1e6 * frame.iloc[7, 1:] / (frame.iloc[7, 1:].sum() + 1.5)
        np.testing.assert_allclose(found.read(7, 8).iloc[0], [np.nan, *kept], rtol=1e-6)


def test_a_file_that_changes_between_two_reads_is_refused(tmp_path):
    for path in write_groups(tmp_path, draw(10)):
        found = read(path)
        path.write_bytes(path.read_bytes() + b"more")
        with pytest.raises(CohortError, match="must stay as it is while it is read"):
            found.read(0, 2)
