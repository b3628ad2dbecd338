"""Gene sets: their file, and which one a gene goes to."""

import pandas as pd
import pytest

from expressionist.data.gene_sets import assign_sets, read_gene_sets
from expressionist.errors import CohortError


def test_a_file_is_read(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("A\tlink\tTP53\tMYC\n\nB\t\tEGFR\t\n A \tmore\tKRAS \r\n", encoding="utf-8")
    assert read_gene_sets(path) == {"A": ["TP53", "MYC", "KRAS"], "B": ["EGFR"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("A\tlink\tTP53\nB\tlink\n", "line 2 has 'B"),
        ("A,link,TP53\n", "line 1 has 'A,link,TP53'. Give a GMT file"),
        ("\tlink\tTP53\n", "line 1"),
        ("\n\n", "must hold gene sets, but has none"),
    ],
)
def test_what_is_no_gmt_is_refused(tmp_path, text, told):
    (tmp_path / "sets.gmt").write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match=told):
        read_gene_sets(tmp_path / "sets.gmt")


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(CohortError, match=r"sets\.gmt, which cannot be read: No such file"):
        read_gene_sets(tmp_path / "sets.gmt")
    (tmp_path / "sets.gmt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CohortError, match="cannot be read: it is not text"):
        read_gene_sets(tmp_path / "sets.gmt")


def test_a_gene_goes_to_the_smallest_set_that_holds_it():
    genes = pd.DataFrame({"symbol": ["A", "B", "C", None, "D"]}, index=["1", "2", "3", "4", "5"])
    # What counts is how many genes of the table a set has, not of how many it tells.
    sets = {"big": ["A", "B", "C", "4"], "small": ["B", "3", "X", "Y", "Z"], "also": ["2", "C"]}
    assert assign_sets(genes, sets).tolist() == ["big", "also", "also", "big", None]
    without = assign_sets(genes.drop(columns="symbol"), {"one": ["2", "A"]})
    assert without.tolist() == [None, "one", None, None, None]


def test_sets_without_a_gene_of_the_cohort_are_refused():
    genes = pd.DataFrame(index=[f"g{number}" for number in range(96)])
    with pytest.raises(CohortError, match="got X, Y, of which none is among the 96: g"):
        assign_sets(genes, {"one": ["X"], "two": ["Y", "X"]})
