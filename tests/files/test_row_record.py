"""The record of rows: whatever is done in whatever order, what is done and what is left is every row once."""

from hypothesis import given
from hypothesis import strategies as st

from expressionist.files.row_record import cut_spans, find_gaps, join_spans, read_record, write_record

N_ROWS = 30
spans = st.lists(
    st.tuples(st.integers(0, N_ROWS), st.integers(0, N_ROWS)).map(lambda ends: tuple(sorted(ends)))
)


def list_rows(found):
    return [row for first, last in found for row in range(first, last)]


@given(spans, st.integers(1, 7))
def test_done_and_left_are_every_row_once(done, n_rows):
    rows = set(list_rows(done))
    assert list_rows(join_spans(done)) == sorted(rows)
    gaps = find_gaps(done, N_ROWS)
    assert list_rows(gaps) == [row for row in range(N_ROWS) if row not in rows]
    shards = list(cut_spans(gaps, n_rows))
    assert list_rows(shards) == list_rows(gaps)
    assert all(0 < last - first <= n_rows for first, last in shards)


@given(spans)
def test_what_is_recorded_is_read(tmp_path_factory, done):
    path = tmp_path_factory.mktemp("record") / "rows"
    write_record(path, done)
    assert read_record(path) == join_spans(done)
    assert [item.name for item in path.parent.iterdir()] == ["rows"]


def test_rows_done_in_order_are_one_number(tmp_path):
    """As it was before rows could be done in pieces: what an older version has begun goes on."""
    path = tmp_path / "rows"
    path.write_text("12", encoding="utf-8")
    assert read_record(path) == [(0, 12)]
    write_record(path, [(0, 12), (12, 14)])
    assert path.read_text(encoding="utf-8") == "14"
    write_record(path, [(4, 6)])
    assert path.read_text(encoding="utf-8").splitlines() == ["0", "4 6"]
