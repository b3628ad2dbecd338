"""Gene ids of a file: what is no gene, what two kinds together become, and what stands beside an id."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressionist.data.nomenclature import UNKNOWN, load_nomenclature
from expressionist.data.readers.gene_ids import identify_genes, keep_genes
from expressionist.errors import CohortError

PATH = Path("x.tsv")


def identify(names, stated="auto", symbols=None, values=None):
    found = identify_genes(names, PATH, stated, lambda n: f"row {n + 2}", symbols, values=values)
    return found, {entry["rule"]: (entry["n"], entry["examples"]) for entry in found.rules}


def find_rule(rules, word):
    (entry,) = [entry for rule, entry in rules.items() if word in rule]
    return entry


STAR = ["N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous"]
HTSEQ = ["__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned", "__alignment_not_unique"]
GENES = ["ENSG00000141510.18", "ENSG00000182378.15", "ENSG00000182378.15_PAR_Y", "ENSG00000167548.1"]


@pytest.mark.parametrize("stated", ["auto", "ensembl"])
def test_rows_without_a_gene_and_copies_on_y_are_left_out_and_counted(stated):
    found, rules = identify([*STAR, *GENES, *HTSEQ], stated)
    assert list(found.genes.index) == ["ENSG00000141510", "ENSG00000182378", "ENSG00000167548"]
    assert (found.kind, found.n_read, found.kept.tolist()) == ("ensembl", 13, [4, 5, 7])
    assert find_rule(rules, "without a gene") == (9, [*STAR, "__no_feature"])
    assert find_rule(rules, "copy on Y") == (1, ["ENSG00000182378.15_PAR_Y"])
    assert list(found.genes["id_with_version"]) == [GENES[0], GENES[1], GENES[3]]


TOTALS = ["Total", "TOTAL", "sum", "__total__", "total_counts"]


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize("of", [slice(0, 2), slice(0, 3)], ids=["genes", "all rows"])
def test_a_row_called_so_that_is_the_total_of_the_others_is_left_out(name, of):
    values = np.array([[1.25, 30.5, 700], [20_000_000, 4, 5]], np.float32)
    whole = np.column_stack([values, values[:, of].sum(axis=1)])
    found, rules = identify(["TP53", "KRAS", "__no_feature", name], values=whole)
    assert list(found.genes.index) == ["TP53", "KRAS"]
    assert find_rule(rules, "the total of the others") == (1, [name])


def test_what_is_no_total_by_its_name_or_in_one_sample_stays():
    values = np.array([[1, 2, 3], [3, 4, 7]], np.float32)
    assert list(identify(["TP53", "KRAS", "EGFR"], values=values)[0].genes.index) == ["TP53", "KRAS", "EGFR"]
    values[1, 2] = 7.5
    assert list(identify(["TP53", "KRAS", "Total"], values=values)[0].genes.index) == [
        "TP53",
        "KRAS",
        "Total",
    ]
    assert list(identify(["TP53", "KRAS", "Total"])[0].genes.index) == ["TP53", "KRAS", "Total"]


@pytest.mark.parametrize("name", TOTALS)
def test_no_gene_is_called_like_a_total(name):
    known = load_nomenclature()
    spelt = [name, name.upper(), name.lower(), name.capitalize()]
    assert (known.find(spelt) == UNKNOWN).all()


def test_a_file_without_any_gene_is_refused():
    with pytest.raises(CohortError, match="must have genes, but got only N_unmapped"):
        identify(STAR)


def test_the_columns_of_what_is_left_out_go():
    found, _ = identify([*STAR, "TP53", "KRAS"])
    by_gene = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.testing.assert_array_equal(found.take(by_gene.T), [[8, 10], [9, 11]])
    np.testing.assert_array_equal(found.take(np.ascontiguousarray(by_gene.T)), [[8, 10], [9, 11]])
    whole, _ = identify(["TP53", "KRAS"])
    assert whole.take(by_gene) is by_gene


@given(st.integers(1, 5), st.integers(1, 700), st.booleans(), st.data())
def test_kept_columns_are_those_asked_for(n_samples, n_genes, by_gene, data):
    expression = np.arange(n_samples * n_genes, dtype=np.float32).reshape(n_samples, n_genes)
    places = np.array(sorted(data.draw(st.sets(st.integers(0, n_genes - 1)))), np.intp)
    expected = expression[:, places].copy()
    given = np.ascontiguousarray(expression.T).T if by_gene else expression
    np.testing.assert_array_equal(keep_genes(given, places), expected)


TP53, KMT2D = "ENSG00000141510", "ENSG00000167548"


@pytest.mark.parametrize(
    ("names", "kind", "symbols", "entrez", "ensembl"),
    [
        ("MLL2 TP53 Q9", "symbol", "MLL2 TP53 Q9", ["8085", "7157", ""], [KMT2D, TP53, ""]),
        (
            "8085 7157 99999999",
            "entrez",
            "KMT2D TP53 99999999",
            ["8085", "7157", "99999999"],
            [KMT2D, TP53, ""],
        ),
        (
            f"{KMT2D}.1 ENSG00000999999",
            "ensembl",
            "KMT2D ENSG00000999999",
            ["8085", ""],
            [KMT2D, "ENSG00000999999"],
        ),
        ("MLL2|8085 ?|7157", "SYMBOL|ENTREZ", "MLL2 ?", ["8085", "7157"], [KMT2D, TP53]),
        ("hsa-mir-21 hsa-mir-0", "mirna", "hsa-mir-21 hsa-mir-0", ["406991", ""], ["ENSG00000284190", ""]),
    ],
)
def test_ids_of_one_kind_stay_and_have_the_others_beside_them(names, kind, symbols, entrez, ensembl):
    found, _ = identify(names.split())
    assert found.kind == kind
    assert list(found.genes["symbol"]) == symbols.split()
    assert list(found.genes["entrez"]) == entrez
    assert list(found.genes["ensembl"]) == ensembl


def test_names_that_may_be_anything_are_no_genes():
    found, _ = identify(["ATM", "4E-BP1_pS65", "N_unmapped"], "other")
    assert list(found.genes.index) == ["ATM", "4E-BP1_pS65", "N_unmapped"]
    assert set(found.genes["entrez"]) == set(found.genes["ensembl"]) == {""}


def test_ids_of_several_kinds_are_translated_gene_by_gene():
    names = [
        "TP53",
        "ENSG00000167548.2",
        "3845",
        "Q9",
        "ENSG00000999999.1",
        "MARCH1|55016",
        "ER",
        "?|999999999",
    ]
    found, rules = identify(names)
    expected = ["7157", "8085", "3845", "Q9", "ENSG00000999999", "55016", "999999999"]
    assert found.kind == "entrez"
    assert list(found.genes.index) == expected
    assert list(found.genes["symbol"]) == ["TP53", "KMT2D", "KRAS", "Q9", "ENSG00000999999", "MARCH1", "?"]
    assert list(found.genes["entrez"]) == ["7157", "8085", "3845", "", "", "55016", "999999999"]
    assert found.left_out == [6]
    assert find_rule(rules, "kept as it is")[1] == ["Q9", "ENSG00000999999.1"]
    assert find_rule(rules, "name of several genes") == (1, ["ER"])


@pytest.mark.parametrize(
    ("names", "kept", "further"),
    [
        (["TP53", "ENSG00000141510", "KRAS"], ["TP53", "KRAS"], "ENSG00000141510"),
        (["ENSG00000141510", "TP53", "KRAS"], ["ENSG00000141510", "KRAS"], "TP53"),
        (["LFS1", "7157", "KRAS"], ["7157", "KRAS"], "LFS1"),
        (["KRAS", "TP53", f"{KMT2D}.1", f"{KMT2D}.2"], ["KRAS", "TP53", f"{KMT2D}.1"], f"{KMT2D}.2"),
    ],
)
def test_of_two_ids_of_one_gene_the_present_one_or_the_first_stays(names, kept, further):
    found, rules = identify(names)
    assert [names[place] for place in found.kept] == kept
    assert find_rule(rules, "further id of a gene") == (1, [further])


def test_kinds_that_hgnc_does_not_know_are_refused():
    with pytest.raises(CohortError, match="must be of one kind, or known to HGNC, but got 1 of kind symbol"):
        identify(["Trp53", "ENSMUSG00000059552"])


def test_a_stated_kind_is_not_translated():
    with pytest.raises(CohortError, match="must be of the stated kind, symbol, but got 1 of 2"):
        identify(["TP53", "ENSG00000167548"], "symbol")


def test_row_numbers_are_no_entrez_ids_where_symbols_stand_beside_them():
    numbers = [str(number) for number in range(1, 5)]
    found, _ = identify(numbers, symbols=["TP53", "KRAS", "MYC", "A2M"])
    assert list(found.genes["entrez"]) == ["7157", "3845", "4609", "2"]
    agreed, _ = identify(["7157", "3845", "2"], symbols=["TP53", "KRAS2", "OTHER"])
    assert list(agreed.genes["entrez"]) == ["7157", "3845", "2"]


ANY = ["7157", "ENSG00000141510.2", "LFS1", "KRAS", "3845", "ER", "Q9", "ENSG00000182378_PAR_Y", *STAR]


@given(st.lists(st.sampled_from(ANY), unique=True))
def test_every_name_is_kept_or_counted(names):
    names = ["TP53", "8085", *names]
    found, rules = identify(names)
    assert found.genes.index.is_unique
    assert found.n_read == len(names)
    assert sum(n for n, _ in rules.values()) == len(found.left_out)
