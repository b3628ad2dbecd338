"""Tables that users hand to `predict`: either way round, packed or not, and refused in one line."""

from pathlib import Path

import pandas as pd
import pytest

from expressionist.data.readers.user_table import read_user_table
from expressionist.errors import CohortError


@pytest.mark.parametrize(
    ("name", "separator"), [("t.tsv", "\t"), ("t.csv", ","), ("t.tsv.gz", "\t"), ("t.csv.gz", ",")]
)
@pytest.mark.parametrize("genes_in", ["columns", "rows"])
def test_a_users_table_is_read_either_way(tmp_path: Path, name: str, separator: str, genes_in: str) -> None:
    table = pd.DataFrame(
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], index=["01", "NA"], columns=["7157", "TP53|1", "NA"]
    )
    (table if genes_in == "columns" else table.T).to_csv(tmp_path / name, sep=separator)
    found = read_user_table(tmp_path / name, genes_in)
    assert found.index.tolist() == ["01", "NA"]
    assert found.columns.tolist() == ["7157", "TP53|1", "NA"]
    assert found.to_numpy().tolist() == table.to_numpy().tolist()


def test_a_table_as_r_writes_it_has_no_name_for_its_first_column(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("TP53\tKRAS\nS1\t1\t2\nS2\t3\t4\n", encoding="utf-8")
    found = read_user_table(tmp_path / "t.tsv", "columns")
    assert (found.index.tolist(), found.columns.tolist()) == (["S1", "S2"], ["TP53", "KRAS"])
    assert found.to_numpy().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8bnot gzip"])
def test_a_table_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.tsv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CohortError, match="must be a readable table") as refused:
        read_user_table(path, "columns")
    assert "\n" not in str(refused.value)


def test_genes_can_be_in_rows_or_columns_only(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="must be columns or rows, but got 'diagonal'"):
        read_user_table(tmp_path / "t.tsv", "diagonal")


def test_a_repeated_column_is_refused_before_pandas_renames_it(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("sample\tTP53\tMYC\tTP53\ns1\t1\t2\t3\n", encoding="utf-8")
    with pytest.raises(CohortError, match=r"must have a name of its own, but TP53 stand more often"):
        read_user_table(path, "columns")
