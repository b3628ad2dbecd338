"""The streamed reader against the general one, on any table and any size of chunk."""

import io
import mmap

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.data.readers import stream as streaming
from expressionist.data.readers import text_tables
from expressionist.data.readers.stream import GrowingRows, NotPlainError, Plain, read_plain
from expressionist.data.readers.text_form import TextForm
from rounds import count_rounds

NUMBERS = st.one_of(
    st.floats(-(2.0**99), 2.0**99).map(repr),
    st.integers(-9, 10**9).map(str),
    st.sampled_from(["", "NA", "nan", "1e3"]),
)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters='\t\n\r"\0', exclude_categories=["Cs"]), max_size=5
)


@st.composite
def tables(draw):
    n_left, n_numbers, n_right = draw(st.integers(0, 2)), draw(st.integers(1, 6)), draw(st.integers(0, 2))
    n_rows = draw(st.integers(0, 12))
    kinds = [WORDS] * n_left + [NUMBERS] * n_numbers + [WORDS] * n_right
    rows = [[draw(kind) for kind in kinds] for _ in range(n_rows)]
    # A line of nothing at all is no row, to either reader.
    rows = [row for row in rows if any(row) or len(row) > 1]
    return n_left, n_numbers, n_right, rows


def form(mark, n_columns):
    return TextForm([f"c{k}" for k in range(n_columns)], mark, ".", 0)


def read(content, plain, wanted=None):
    stream = pa.input_stream(io.BytesIO(content))
    return read_plain(stream, plain, range(plain.n_numbers) if wanted is None else wanted)


@settings(max_examples=count_rounds(20, 60), deadline=None)
@given(
    table=tables(),
    mark=st.sampled_from("\t,"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    last=st.booleans(),
    chunk=st.integers(1, 40),
)
def test_it_reads_what_the_general_reader_reads(tmp_path_factory, table, mark, end, last, chunk):
    n_left, n_numbers, n_right, rows = table
    n_columns = n_left + n_numbers + n_right
    rows = [[cell.replace(",", ";") for cell in row] for row in rows]
    header = [f"c{k}" for k in range(n_columns)]
    content = end.join(mark.join(row) for row in [header, *rows]) + end * last
    texts = [*range(n_left), *range(n_left + n_numbers, n_columns)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "_CHUNK_BYTES", chunk)
        patch.setattr(streaming, "_SMALLEST_BYTES", 1)
        cells, values = read(content.encode(), Plain.find(form(mark, n_columns), texts))
    path = tmp_path_factory.mktemp("table") / {"\t": "t.tsv", ",": "t.csv"}[mark]
    path.write_bytes(content.encode())
    if not rows:
        assert (cells, values.shape) == ([], (0, n_numbers))
        return
    numbers = range(n_left, n_left + n_numbers)
    expected_cells, expected = text_tables._read_any(path, form(mark, n_columns), texts, numbers)
    assert cells == [list(row) for row in expected_cells] if texts else len(cells) == len(rows)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("order", [[2, 0], [1], [], [0, 1, 2], [2, 1, 0]])
def test_only_the_numbers_wanted_come_back_in_their_order(order):
    _, values = read(b"h\ta\tb\tc\nx\t1\t2\t3\ny\t4\t5\t6\n", Plain.find(form("\t", 4), [0]), order)
    np.testing.assert_array_equal(values, np.array([[1, 2, 3], [4, 5, 6]], np.float32)[:, order])


def test_a_word_in_quotes_is_the_word():
    cells, _ = read(b'"id",a\n"x",1\n"",2\n', Plain.find(form(",", 2), [0]))
    assert cells == [["x"], [""]]


@pytest.mark.parametrize(
    "rows",
    [
        b"x\t1\t2\ny\t1\n",
        b"x\t1\t2\t3\ny\t1\n",
        b"x\n",
        b"x\t1\tone\n",
        b'x\t1\t"2"\n',
        b'"x\t1\t2\n',
        b'x"y\t1\t2\n',
        b"\xff\t1\t2\n",
    ],
)
def test_what_is_not_plain_is_left_to_the_general_reader(rows):
    with pytest.raises(NotPlainError):
        read(b"id\ta\tb\n" + rows, Plain.find(form("\t", 3), [0]))


@pytest.mark.parametrize("texts", [[1], [0, 2], [0, 1, 2, 3]])
def test_text_among_the_numbers_is_not_plain(texts):
    with pytest.raises(NotPlainError):
        Plain.find(form("\t", 4), texts)


def test_a_line_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(streaming, "_CHUNK_BYTES", 10)
    monkeypatch.setattr(streaming, "LONGEST_LINE", 30)
    stream = pa.input_stream(io.BytesIO(b"id\ta\n" + b"x\t" + b"1" * 100))
    with pytest.raises(NotPlainError, match="too long"):
        read_plain(stream, Plain.find(form("\t", 2), [0]), [0])
    assert stream.tell() < 60


@pytest.mark.parametrize("moves", [True, False])
def test_rows_keep_what_they_hold_while_they_grow(monkeypatch, moves):
    """Also without what only Linux can do."""

    class Unmovable(mmap.mmap):
        def resize(self, _):
            raise SystemError("mmap: resizing not available--no mremap()")

    if not moves:
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE")
        monkeypatch.setattr(streaming, "_reserve", lambda n_bytes: Unmovable(-1, n_bytes))
    monkeypatch.setattr(streaming, "_SMALLEST_BYTES", 4)
    rows, expected = GrowingRows(3), np.arange(3000, dtype=np.float32).reshape(1000, 3)
    for start in range(0, 1000, 7):
        rows.add(expected[start : start + 7])
    np.testing.assert_array_equal(rows.finish(), expected)


def test_rows_that_are_finished_take_no_more_memory_than_they_need():
    rows = GrowingRows(1000)
    rows.add(np.ones((3000, 1000), np.float32))
    values = rows.finish()
    assert values.base.base.nbytes == values.nbytes
    assert values.flags.writeable
