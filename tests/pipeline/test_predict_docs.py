"""The page "From your file to a prediction": its commands as written, on files as people have them."""

import gzip
import re
import shlex
import shutil
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from expressionist.data.resources import read_resource
from expressionist.files.store import read_json, read_table, write_json
from expressionist.tracking.model_folder import seal
from expressionist.tracking.store import open_store
from pipeline.checkout import finish, kill_when

PAGE = Path(__file__).parents[2] / "docs" / "predict.md"
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
]
SAMPLES = ["S1", "S2", "S3"]
(LOGGING,) = (line for line in COMMANDS if "--log" in line)
STAR = "gene_id gene_name gene_type unstranded stranded_first stranded_second tpm_unstranded fpkm_unstranded"


def change_unit(checkout, model, unit):
    """Make a registered model another: the seal that its version has is that of the changed folder."""
    write_json(model / "model.json", read_json(model / "model.json") | {"unit": unit})
    open_store(checkout).client.set_model_version_tag("tumour-type", "1", "sealed", seal(model))


@pytest.fixture(scope="module")
def outside(published, tmp_path_factory):
    """A checkout whose model is of TCGA's RSEM and real genes, and files of three samples from anywhere."""
    folder = shutil.copytree(published, tmp_path_factory.mktemp("outside") / "checkout")
    known = read_resource("hgnc.tsv.gz")
    known = known[(known["entrez"] != "") & (known["ensembl"] != "")].drop_duplicates("ensembl").head(10_500)
    for path in folder.glob("mlruns/**/artifacts/*/genes.tsv"):
        genes = read_table(path)
        own = known.head(len(genes))
        genes = genes.assign(gene=own["entrez"].array, symbol=own["symbol"].array)
        genes.assign(entrez=own["entrez"].array, ensembl=own["ensembl"].array).to_csv(
            path, sep="\t", index=False
        )
        change_unit(folder, path.parent, "RSEM")
    values = np.random.default_rng(0).negative_binomial(2, 0.002, (len(known), len(SAMPLES)))
    write_files(folder, known, pd.DataFrame(values, known["symbol"], SAMPLES))
    return folder


def write_files(folder, known, counts):
    """Write the counts as GDC, Xena, R and scanpy do, and as RSEM for cBioPortal and Excel."""
    (folder / "gdc_download/uuid").mkdir(parents=True)
    sheet = ["File Name\tProject ID\tCase ID\tSample ID"]
    versions = known["ensembl"] + ".5"
    for sample in SAMPLES:
        rows = [
            f"{i}\t{s}\tprotein_coding\t{n}\t0\t0\t0\t0\t0"
            for i, s, n in zip(versions, counts.index, counts[sample], strict=True)
        ]
        head = ["# gene-model: GENCODE v36", "\t".join([*STAR.split(), "fpkm_uq_unstranded"])]
        name = f"uuid/a{sample}.rna_seq.augmented_star_gene_counts.tsv"
        sheet.append(f"{name[5:]}\tTCGA-ACC\tcase\t{sample}")
        (folder / "gdc_download" / name).write_text(
            "\n".join([*head, "N_unmapped\t\t\t9\t9\t9\t\t\t", *rows]) + "\n"
        )
    (folder / "gdc_sample_sheet.2026-01-01.tsv").write_text("\n".join(sheet) + "\n")
    columns = {"previous": "prev_symbol", "alias": "alias_symbol", "ensembl": "ensembl_gene_id"}
    hgnc = known.rename(columns=columns | {"entrez": "entrez_id"})
    hgnc.to_csv(folder / "hgnc_complete_set.txt", sep="\t", index=False)
    xena = np.log2(counts + 1).set_axis(versions.array).rename_axis("Ensembl_ID").to_csv(sep="\t")
    (folder / "TCGA-ACC.star_counts.tsv.gz").write_bytes(gzip.compress(xena.encode()))
    as_r = counts.to_csv(sep=" ", quoting=2).removeprefix('"symbol" ')
    (folder / "counts.txt").write_text(as_r)
    anndata.AnnData(counts.T.astype("float32")).write_h5ad(folder / "pseudobulk.h5ad")
    rsem = counts / np.quantile(counts.to_numpy()[(counts > 0).all(axis=1)], 0.75) * 1000
    portal = rsem.rename_axis("Hugo_Symbol")
    portal.insert(0, "Entrez_Gene_Id", known["entrez"].array)
    portal.to_csv(folder / "data_mrna_seq_v2_rsem.txt", sep="\t")
    rsem.T.to_csv(folder / "table.csv")
    rsem.iloc[:400].to_excel(folder / "expression.xlsx")
    rsem.T.to_csv(folder / "expression_german.csv", sep=";", decimal=",")
    labels = pd.DataFrame({"sample": SAMPLES, "tumour_type": ["ACC", "BRCA", "ependymoma"]})
    labels.to_csv(folder / "labels.csv", index=False)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[-3])
def test_a_command_of_the_page_does_what_it_says(call, outside, command):
    program, *words = shlex.split(command)
    assert program == "expressionist"
    (outside / "predictions.tsv").unlink(missing_ok=True)
    if words[0] == "drift":
        assert call(outside, *shlex.split(LOGGING)[1:])[0] == 0
    code, _, said = call(outside, *words)
    assert code == 0, said
    if words[0] == "predict":
        found = read_table(outside / "predictions.tsv")
        assert found["sample"].tolist() == SAMPLES
        assert (found["n_missing_genes"] == 0).all()
        assert ": 3 samples × " in said


def test_a_log_is_held_against_the_versions_own_samples(call, outside):
    """Three samples are too few; ninety that are no tumours are shown to be others."""
    shutil.rmtree(outside / "log", ignore_errors=True)
    assert call(outside, *shlex.split(LOGGING)[1:])[0] == 0
    drift = ("drift", "log", "--model", "models:/tumour-type@challenger")
    assert "3 predictions are too few to claim anything" in call(outside, *drift)[1]
    table = pd.read_csv(outside / "table.csv", index_col=0)
    noise = np.random.default_rng(3).permuted(np.tile(table, (30, 1)), axis=1)
    pd.DataFrame(noise, [f"N{n}" for n in range(90)], table.columns).to_csv(outside / "noise.csv")
    words = shlex.split(LOGGING.replace("table.csv", "noise.csv").replace("predictions.tsv", "noise.tsv"))
    assert call(outside, *words[1:])[0] == 0
    code, said, _ = call(outside, *drift)
    assert code == 0
    facts = read_json(outside / "drift/drift.json")
    assert facts["all"]["n_samples"] == 93
    assert sum(row["n_samples"] for row in facts["types"]) == 93
    answers = read_table(next(outside.glob("mlruns/**/artifacts/*/answers.tsv")))
    assert facts["own"]["n_samples"] == len(answers)
    assert "unlike_training" in facts["own"]
    assert "More samples unlike the training samples" in said
    assert (outside / "drift/drift.html").exists()
    assert "S1" not in "".join(path.read_text() for path in (outside / "log").iterdir())


def test_a_prediction_that_was_killed_goes_on_to_the_same_table(outside):
    table = pd.read_csv(outside / "table.csv", index_col=0)
    values = np.random.default_rng(2).permuted(np.tile(table, (500, 1)), axis=0)
    frame = pd.DataFrame(values, [f"S{number}" for number in range(1_500)], table.columns, "float32")
    frame.iloc[:, :500].to_parquet(outside / "many.parquet", row_group_size=400)
    words = [sys.executable, "-m", "expressionist", "predict", "--model", "models:/tumour-type@challenger"]
    words += ["many.parquet", "--out"]
    kill_when(outside, [*words, "killed.tsv"], lambda: any(outside.glob(".killed.tsv-*/000000256")))
    assert not (outside / "killed.tsv").exists()
    for name in ("killed.tsv", "whole.tsv"):
        finish(outside, *words, name)
    assert (outside / "killed.tsv").read_bytes() == (outside / "whole.tsv").read_bytes()
    assert not list(outside.glob(".killed.tsv-*"))


def test_counts_give_the_same_however_they_came(call, outside):
    """Ensembl ids with versions, symbols; files, folders; logarithms, counts."""
    found = []
    for command in [line for line in COMMANDS if "count" in line or "gdc" in line or "pseudobulk" in line]:
        assert call(outside, *shlex.split(command)[1:])[0] == 0
        found.append(read_table(outside / "predictions.tsv").filter(like="p_").to_numpy(float))
    assert len(found) == 4
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-4)


@pytest.fixture
def tpm(outside):
    """The same model, of TPM."""
    (path,) = outside.glob("mlruns/**/artifacts/*/model.json")
    change_unit(outside, path.parent, "TPM")
    yield outside
    change_unit(outside, path.parent, "RSEM")


def test_counts_for_a_model_of_tpm_need_the_lengths_of_genes(call, tpm):
    counts = pd.read_csv(tpm / "counts.txt", sep=" ")
    lengths = np.random.default_rng(1).integers(200, 9000, len(counts))
    counts.insert(0, "Length", lengths)
    counts.to_csv(tpm / "featurecounts.txt", sep="\t", index_label="Geneid")
    words = ("predict", "--model", "models:/tumour-type@challenger", "--unit", "counts", "featurecounts.txt")
    code, _, said = call(tpm, *words)
    assert code == 2
    assert "counts or RPM, if the genes' lengths are given (--gene-lengths)" in said
    assert said.count("\n") == 1
    rates = counts[SAMPLES].div(lengths, axis=0)
    (rates / rates.sum() * 1e6).to_csv(tpm / "tpm.csv")
    assert call(tpm, *words, "--gene-lengths", "featurecounts.txt", "--out", "of_counts.tsv")[0] == 0
    assert call(tpm, *words[:3], "tpm.csv", "--out", "of_tpm.tsv")[0] == 0
    by_length, as_it_is = (read_table(tpm / f"of_{name}.tsv").filter(like="p_") for name in ("counts", "tpm"))
    np.testing.assert_allclose(by_length, as_it_is, atol=1e-4)
    more = ("--gene-lengths", "featurecounts.txt", "--nomenclature", "hgnc_complete_set.txt")
    code, told, said = call(tpm, "validate", *words[1:], *more, "--labels", "labels.csv")
    assert code == 0, said
    assert "converted to TPM by the lengths of 10,500 of 10,500 genes" in told


def test_the_page_has_every_origin():
    assert {word for line in COMMANDS for word in line.split()} >= {
        "gdc_download",
        "TCGA-ACC.star_counts.tsv.gz",
        "data_mrna_seq_v2_rsem.txt",
        "hgnc_complete_set.txt",
        "counts.txt",
        "pseudobulk.h5ad",
        "expression.xlsx",
        "expression_german.csv",
        "validate",
        "--explain",
        "--log",
        "drift",
        "report-sample",
        "compare-explanations",
    }
