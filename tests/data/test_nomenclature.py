"""What genes are called: the package's table, the order of kinds of names, and what is ambiguous."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressionist.data.nomenclature import (
    AMBIGUOUS,
    UNKNOWN,
    Nomenclature,
    cut_version,
    is_y_copy,
    load_nomenclature,
)
from expressionist.data.resources import read_resource

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "hgnc.tsv.gz"
COLUMNS = ["symbol", "previous", "alias", "entrez", "ensembl", "mirbase"]
SMALL = Nomenclature(
    pd.DataFrame(
        [
            ["A", "OLD|B", "X", "1", "ENSG00000000001", ""],
            ["B", "OLD2", "X|A|OLD", "2", "ENSG00000000002", ""],
            ["C", "OLD3", "OLD2|Y", "", "", ""],
            ["D", "OLD3", "1", "4", "ENSG00000000002", ""],
            ["MIR21", "MIRN21", "", "5", "", "MI0000077"],
        ],
        columns=COLUMNS,
    )
)


@pytest.mark.parametrize(
    ("name", "entrez"),
    [
        ("TP53", "7157"),
        ("7157", "7157"),
        ("ENSG00000141510", "7157"),
        ("ENSG00000141510.18", "7157"),
        ("MARCH1", "55016"),
        ("MARCHF1", "55016"),
        ("SEPT2", "4735"),
        ("SEPTIN2", "4735"),
        ("MLL2", "8085"),
        ("C1orf112", "55732"),
        ("FIRRM", "55732"),
        ("MARC1", "64757"),
        ("HIST1H2AA", "221613"),
        ("hsa-mir-21", "406991"),
        ("MIR21", "406991"),
        ("MI0000077", "406991"),
        ("hsa-let-7a-1", "406881"),
        ("hsa-mir-499a", "574501"),
        ("TP53|7157", "7157"),
        ("P53_GONE|7157", "7157"),
        ("KMT2D|999999999", "8085"),
        ("?|7157", "7157"),
        ("ENSG00000182378.15_PAR_Y", "55344"),
        ("ENSGR0000182378.10", "55344"),
    ],
)
def test_genes_are_found_by_names_of_any_year_and_kind(name, entrez):
    nomenclature = load_nomenclature()
    assert nomenclature.find([name])[0] == nomenclature.find([entrez])[0] >= 0


@pytest.mark.parametrize(
    "name", ["", "?", "|", "?|999999999", "tp53", "Trp53", "hsa-miR-21-5p", "N_unmapped"]
)
def test_what_is_no_gene_is_unknown(name):
    assert load_nomenclature().find([name]).tolist() == [UNKNOWN]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("B", 1),  # approved, though it was A's
        ("A", 0),  # approved, though it is B's alias
        ("OLD", 0),  # former, though it is B's alias
        ("OLD2", 1),
        ("OLD3", AMBIGUOUS),
        ("X", AMBIGUOUS),
        ("Y", 2),
        ("1", 0),  # Entrez, though it is D's alias
        ("ENSG00000000002", AMBIGUOUS),
        ("hsa-mir-21", 4),
        ("Z", UNKNOWN),
    ],
)
def test_present_names_come_before_former_symbols_and_these_before_aliases(name, row):
    assert SMALL.find([name]).tolist() == [row]


def test_former_names_can_be_left_aside():
    assert SMALL.find(["OLD", "A", "Y", "hsa-mir-21", "A|77"], former=False).tolist() == [-1, 0, -1, 4, -1]


def test_ids_and_symbols_of_genes_known_or_not():
    names = ["OLD", "Y", "77", "ENSG00000000077.3", "Q|78", "B|79", "X", "?"]
    about = SMALL.annotate(names)
    assert about["entrez"].tolist() == ["1", "", "77", "", "78", "79", "", ""]
    ensembl = ["ENSG00000000001", "", "", "ENSG00000000077", "", "ENSG00000000002", "", ""]
    assert about["ensembl"].tolist() == ensembl
    assert about["symbol"].tolist() == ["A", "C", "", "", "", "B", "", ""]


def test_a_former_name_beside_the_present_one_says_nothing():
    about = SMALL.annotate(["OLD", "A", "OLD2"])
    assert about["entrez"].tolist() == ["", "1", "2"]


@given(st.lists(st.sampled_from([*"ABCDXYZ", "OLD", "OLD2", "OLD3", "1", "2", "MIR21"]), unique=True))
def test_no_gene_is_given_to_two_names_unless_both_are_its_own(names):
    rows = SMALL.find(names, former=False)
    told = SMALL.annotate(names)["symbol"]
    for symbol in set(told) - {""}:
        places = np.flatnonzero(told == symbol)
        assert len(places) == 1 or (rows[places] >= 0).all()


@pytest.mark.parametrize(
    ("name", "bare", "on_y"),
    [
        ("ENSG00000141510.18", "ENSG00000141510", False),
        ("ENSG00000141510", "ENSG00000141510", False),
        ("ENSMUSG00000059552.14", "ENSMUSG00000059552", False),
        ("ENSG00000182378.15_PAR_Y", "ENSG00000182378", True),
        ("ENSG00000182378_PAR_Y", "ENSG00000182378", True),
        ("ENSGR0000182378.10", "ENSG00000182378", True),
        ("RP11-34P13.7", "RP11-34P13.7", False),
        ("ENSA", "ENSA", False),
    ],
)
def test_versions_and_copies_on_y(name, bare, on_y):
    assert (cut_version(name), is_y_copy(name)) == (bare, on_y)


def test_the_packages_table_is_in_order():
    table = read_resource("hgnc.tsv.gz")
    assert list(table) == COLUMNS
    assert len(table) == 43_837
    assert table["symbol"].is_monotonic_increasing
    for name, form in {
        "entrez": r"\d+",
        "ensembl": r"ENSG\d{11}",
        "mirbase": r"MI\d{7}",
        "symbol": r"\S+",
    }.items():
        told = table[name][table[name] != ""]
        assert told.is_unique
        assert told.str.fullmatch(form).all()


def test_every_gene_is_found_by_its_own_names():
    table, nomenclature = read_resource("hgnc.tsv.gz"), load_nomenclature()
    for name in ("symbol", "entrez", "ensembl", "mirbase"):
        told = table[name][table[name] != ""]
        np.testing.assert_array_equal(nomenclature.find(told, former=False), told.index)


def test_it_is_loaded_quickly():
    """The time of the processor, in a process of its own; the limit allows for a slow one."""
    code = """
import time
from expressionist.data.nomenclature import load_nomenclature
began = time.process_time()
load_nomenclature()
print(time.process_time() - began)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(told) < 1.0


def test_the_older_edition_is_in_it():
    if not REAL.is_file():
        pytest.skip(f"no real data at {REAL}")
    old, nomenclature = pd.read_csv(REAL, sep="\t", dtype=str, keep_default_na=False), load_nomenclature()
    old = old[old["locus_group"] != "phenotype"]
    by_id = nomenclature.find(old["entrez_id"])
    known = old[by_id >= 0]
    assert len(known) > 0.98 * len(old)
    by_symbol = nomenclature.find(known["symbol"])
    assert (by_symbol == by_id[by_id >= 0]).mean() > 0.998
    micro_rnas = known[known["mirbase"] != ""]
    np.testing.assert_array_equal(
        nomenclature.find(micro_rnas["mirbase"]), nomenclature.find(micro_rnas["entrez_id"])
    )
