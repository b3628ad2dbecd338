"""Gene positions: every format told by its content, and matched by Entrez id, Ensembl id and symbol."""

import gzip
import hashlib
from pathlib import Path

import pandas as pd
import pytest

from expressionist.data.readers.positions import attach_positions, read_positions
from expressionist.errors import CohortError

REAL = Path(__file__).parents[3].parent / "shared" / "data"
GTF = """\
##description: evidence-based annotation of the human genome (GRCh38), version 44 (Ensembl 110)
##provider: GENCODE
chr17\tHAVANA\tgene\t7661779\t7687550\t.\t-\t.\tgene_id "ENSG00000141510.18"; gene_type "x"; gene_name "TP53";
chr17\tHAVANA\ttranscript\t1\t2\t.\t-\t.\tgene_id "ENSG00000141510.18"; gene_name "TP53";
chrM\tENSEMBL\tgene\t577\t647\t.\t+\t.\tgene_id "ENSG00000210049.1"; gene_name "MT-TF";
chrX\tHAVANA\tgene\t276322\t303356\t.\t+\t.\tgene_id "ENSG00000182378.15"; gene_name "PLCXD1";
chrY\tHAVANA\tgene\t276324\t303358\t.\t+\t.\tgene_id "ENSG00000182378.15_PAR_Y"; gene_name "PLCXD1";
"""
ENSEMBL_GTF = """\
#!genome-build GRCh37.p13
#!genome-version GRCh37
17\tensembl_havana\tgene\t7565097\t7590856\t.\t-\t.\tgene_id "ENSG00000141510"; gene_name "TP53";
"""
GENE_INFO = """\
#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\tdbXrefs\tchromosome\tmap_location\tdescription
9606\t1\tA1BG\t-\tA1B|GAB\tMIM:138670\t19\t19q13.43\talpha "1
9606\t2\tA2M\t-\t-\t-\t12\t12p13.31\tx
9606\t3\tA2MP1\t-\t-\t-\t12\t12p13.3-p12.3\tx
9606\t4\tHALF\t-\t-\t-\t12\t12cen\tx
9606\t5\tPAR\t-\t-\t-\tX|Y\tXp22.33; Yp11.32\tx
9606\t6\tLOST\t-\t-\t-\t7\t-\tx
9606\t7\tNOWHERE\t-\t-\t-\tUn\t-\tx
9606\t8\tEND\t-\t-\t-\t12\t12pter\tx
"""
GAF = """\
#EntryNumber\tFeatureID\tFeatureType\tComposite\tGene\tGeneLocus
1\tTP53|7157\tgene\tGRCh37-lite\tTP53|7157\tchr17:7565097-7590856:-
2\tuc002gij\ttranscript\tGRCh37-lite\tTP53|7157\tchr17:7565097-7590856:-
3\t?|100130426\tgene\tGRCh37-lite\t?|100130426\tchr3:15243737-15247000:+
4\tDUX4|22947\tgene\tGRCh37-lite\tDUX4|22947\tchr4:191001000-191002000:+;chr10:135490000-135491000:+
5\tMT|4\tgene\tGRCh37-lite\tMT|4\tchrM:577-647:+
6\tx\tprobe\tGRCh37-lite\t\t
"""


def make_genes(symbols):
    return pd.DataFrame(
        {"symbol": list(symbols.values())}, index=pd.Index(symbols, name="gene", dtype=object)
    )


def places(found):
    return {
        gene: (row["chromosome"], row["start"])
        for gene, row in found.iterrows()
        if row["start"] == row["start"]
    }


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", ["positions.gtf", "positions.v44.annotation.gtf.gz", "positions.txt"])
def test_gencode(write, name):
    path = write(name, GTF)
    positions, about = read_positions(path)
    assert about == {
        "format": "GTF",
        "build": "GRCh38",
        "unit": "base pairs",
        "file": name,
        "md5": hashlib.md5(path.read_bytes()).hexdigest(),
    }
    genes = make_genes(
        {
            "ENSG00000141510.3": "ENSG00000141510.3",
            "ENSG00000210049": "?",
            "9": "PLCXD1",
            "ENSG00000182378.1": "x",
        }
    )
    found = attach_positions(genes, positions)
    assert places(found) == {
        "ENSG00000141510.3": ("17", 7661779),
        "ENSG00000210049": ("MT", 577),
        "9": ("X", 276322),
        "ENSG00000182378.1": ("X", 276322),
    }
    # Known by nothing but its id, it takes its symbol from the table.
    assert list(found["symbol"]) == ["TP53", "?", "PLCXD1", "x"]


def test_ensembl(write):
    positions, about = read_positions(write("positions.gtf.gz", ENSEMBL_GTF))
    assert about["build"] == "GRCh37"
    found = attach_positions(make_genes({"ENSG00000141510.18": "x", "7157": "TP53"}), positions)
    assert set(places(found).values()) == {("17", 7565097)}


def test_gene_info_orders_by_band(write):
    positions, about = read_positions(write("positions.gene_info.gz", GENE_INFO))
    assert (about["format"], about["build"]) == ("NCBI gene_info", None)
    assert about["unit"] == "cytogenetic band"
    found = attach_positions(make_genes({str(i): f"s{i}" for i in range(1, 9)}), positions)
    on_12 = found[found["chromosome"] == "12"].sort_values("start")
    assert list(on_12.index) == ["8", "2", "3", "4"]
    assert found.loc["1", "start"] > 100
    assert found.loc["5", "chromosome"] == "X"
    assert found["start"].isna().sum() == 2


def test_gaf(write):
    positions, about = read_positions(write("positions.June2011.gaf", GAF))
    assert (about["format"], about["build"]) == ("TCGA GAF", "GRCh37")
    found = attach_positions(
        make_genes({"7157": "?", "100130426": "?", "22947": "DUX4", "4": "?"}), positions
    )
    assert places(found) == {
        "7157": ("17", 7565097),
        "100130426": ("3", 15243737),
        "22947": ("4", 191001000),
        "4": ("MT", 577),
    }


def test_table_with_ensembl_ids(write):
    positions, about = read_positions(
        write("positions.csv", "ensembl,chromosome,start\nENSG00000141510.2,17,5\nENSG00000000001,,\n")
    )
    assert places(attach_positions(make_genes({"ENSG00000141510.18": "x"}), positions)) == {
        "ENSG00000141510.18": ("17", 5)
    }
    assert about["format"] == "table"


def test_what_a_table_leaves_open_matches_nothing(write):
    text = "entrez,symbol,chromosome,start\nNA,TP53,17,5\n7,NA,1,6\n"
    positions, _ = read_positions(write("positions.csv", text))
    found = attach_positions(make_genes({"NA": "x", "": "y", "8": "NA", "9": "TP53"}), positions)
    assert places(found) == {"9": ("17", 5)}


def test_the_first_row_of_a_key_counts_and_ids_come_before_symbols(write):
    text = "entrez,symbol,chromosome,start\n7,A,1,1\n7,B,2,2\n8,A,3,3\n"
    positions, _ = read_positions(write("positions.csv", text))
    found = attach_positions(make_genes({"7": "B", "8": "A", "9": "A", "10": "C"}), positions)
    assert places(found) == {"7": ("1", 1), "8": ("3", 3), "9": ("1", 1)}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "positions.tsv",
            "gene\tstart\nx\t1\n",
            "must have the columns chromosome, start, but lacks chromosome",
        ),
        ("positions.tsv", "chromosome\tstart\n1\t1\n", "must have the columns entrez"),
        (
            "positions.tsv",
            "entrez\tchromosome\tstart\n1\t1\tfar\n",
            "line 2: start must be a number, but got 'far'",
        ),
        (
            "positions.tsv",
            "entrez\tchromosome\tstart\n1\t1\tNA\n",
            "must place some genes, but got a table with none",
        ),
        (
            "positions.gtf",
            GTF.replace("\tgene\t", "\texon\t"),
            "must place some genes, but got a GTF with none",
        ),
        ("positions.tsv", "#tax_id\tGeneID\tSymbol\n9606\t1\tA\n", "lacks chromosome, map_location"),
        ("positions.gtf", "", "positions.gtf"),
    ],
)
def test_refuses_in_one_sentence(write, name, text, sentence):
    with pytest.raises(CohortError, match=sentence) as refusal:
        read_positions(write(name, text))
    assert "\n" not in str(refusal.value)


def test_refuses_a_truncated_file(write):
    path = write("positions.gtf.gz", GTF * 2000)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CohortError, match="must be readable from start to end"):
        read_positions(path)


def test_real_table():
    path = REAL / "gene_positions_grch37.tsv.gz"
    if not path.is_file():
        pytest.skip(f"no real data in {REAL}")
    assert len(read_positions(path)[0]) > 20_000
