"""Which gene of a table a name means, and how surely."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressionist.data.gene_match import BY_FORMER_NAME, BY_ID, BY_PRESENT_NAME, BY_SYMBOL, match_genes
from expressionist.data.nomenclature import load_nomenclature

GENES = pd.DataFrame(
    {
        "symbol": ["TP53", "MLL2", "SLC35E2", "SLC35E2", "?"],
        "entrez": ["7157", "8085", "9906", "728661", ""],
        "ensembl": ["", "", "", "", "ENSG00000145416"],
    },
    index=["7157", "8085", "9906", "728661", "x"],
)


@pytest.mark.parametrize(
    ("name", "row", "way"),
    [
        ("7157", 0, BY_ID),
        ("ANY|7157", 0, BY_ID),
        ("TP53", 0, BY_SYMBOL),
        ("ENSG00000141510.18", 0, BY_PRESENT_NAME),
        ("LFS1", 0, BY_FORMER_NAME),
        ("MLL2", 1, BY_SYMBOL),
        ("KMT2D", 1, BY_PRESENT_NAME),
        ("TNRC21", 1, BY_FORMER_NAME),
        ("MARCHF1", 4, BY_PRESENT_NAME),
        ("MARCH1", 4, BY_FORMER_NAME),
        ("SLC35E2B", 3, BY_PRESENT_NAME),
    ],
)
def test_a_name_is_found_in_the_surest_way(name, row, way):
    match = match_genes([name], GENES)
    assert (match.rows.tolist(), match.ways.tolist()) == ([row], [way])


# SLC35E2 is a former symbol of 9906, but here it is that of two genes.
@pytest.mark.parametrize(("name", "row"), [("SLC35E2", -1), ("?", -1), ("MYC", -1), ("RACE", -1), ("PR", -2)])
def test_what_is_no_gene_of_the_table(name, row):
    assert match_genes([name], GENES).rows.tolist() == [row]


def test_a_gene_that_the_table_has_twice_goes_by_its_own_names_only():
    genes = pd.DataFrame({"symbol": ["MLL2", "KMT2D"]}, index=["MLL2", "KMT2D"])
    assert match_genes(["KMT2D", "MLL2", "8085"], genes).rows.tolist() == [1, 0, -1]


def test_names_that_the_reader_did_not_take_for_genes_are_not_translated():
    genes = pd.DataFrame({"symbol": ["ATM"], "entrez": [""], "ensembl": [np.nan]}, index=["ATM"])
    assert match_genes(["ATM", "472"], genes).rows.tolist() == [0, -1]
    assert match_genes(["472"], genes[["symbol"]]).rows.tolist() == [0]


def test_nothing_matches_nothing():
    assert len(match_genes([], GENES).rows) == 0


@given(
    st.lists(st.sampled_from(["KRAS", "EGFR", "MYC", "MARCHF1", "MIR21", "SOX2"]), min_size=1, unique=True),
    st.data(),
)
def test_tables_of_every_kind_of_id_meet_each_other(symbols, data):
    about = load_nomenclature().annotate(symbols)
    own, other = (data.draw(st.sampled_from(["symbol", "entrez", "ensembl"])) for _ in range(2))
    genes = about.set_index(own, drop=False)
    order = data.draw(st.permutations(range(len(symbols))))
    assert match_genes([about[other][place] for place in order], genes).rows.tolist() == order
