"""HGNC's complete set as it is published: read whole, or refused by the column that it lacks."""

from pathlib import Path

import pytest

from cohort_reading import write_hgnc
from expressionist.data.nomenclature import load_nomenclature
from expressionist.data.readers.hgnc import read_nomenclature
from expressionist.errors import CohortError

REAL = Path(__file__).parents[4] / "shared" / "data" / "hgnc.tsv.gz"


def test_names_of_every_kind_are_found(tmp_path):
    write_hgnc(tmp_path / "hgnc_complete_set.txt")
    found = read_nomenclature(tmp_path / "hgnc_complete_set.txt")
    names = ["TP53", "NEWNAME1", "NEWNAME2", "LFS1", "90071", "ENSG00000141510.18", "7157", "KRAS"]
    assert found.find(names).tolist() == [0, 0, 0, 0, 0, 0, -1, -1]


def test_without_a_file_there_is_nothing_to_read():
    assert read_nomenclature(None) is None


@pytest.mark.parametrize("column", ["symbol", "prev_symbol", "entrez_id", "mirbase"])
def test_a_column_that_lacks_is_named(tmp_path, column):
    write_hgnc(tmp_path / "t.tsv")
    text = (tmp_path / "t.tsv").read_text()
    (tmp_path / "t.tsv").write_text(text.replace(f"\t{column}", "\tother", 1))
    with pytest.raises(CohortError, match=f"t.tsv must have the columns .* but lacks {column} "):
        read_nomenclature(tmp_path / "t.tsv")


def test_a_real_table_says_what_the_own_one_does():
    if not REAL.is_file():
        pytest.skip(f"no real data at {REAL}")
    names = ["MLL2", "KMT2D", "MARCH1", "SEPT2", "hsa-mir-21", "MI0000077", "8085", "ENSG00000141510.18"]
    own, read = load_nomenclature().annotate(names), read_nomenclature(REAL).annotate(names)
    assert read["entrez"].tolist() == own["entrez"].tolist()
