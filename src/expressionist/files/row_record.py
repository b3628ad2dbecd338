"""The record of which rows of a file are done, in order or in pieces."""

from collections.abc import Iterator, Sequence
from pathlib import Path

# First row, and the one after the last.
Span = tuple[int, int]


def join_spans(spans: Sequence[Span]) -> list[Span]:
    """Return the same rows in the fewest spans, ascending."""
    joined: list[Span] = []
    for first, last in sorted(span for span in spans if span[0] < span[1]):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def find_gaps(done: Sequence[Span], n_rows: int) -> list[Span]:
    """Return what is left of `n_rows` rows, as ascending spans.

    >>> find_gaps([(8, 12), (0, 6)], 20)
    [(6, 8), (12, 20)]
    """
    starts = [0, *(last for _, last in join_spans(done))]
    ends = [*(first for first, _ in join_spans(done)), n_rows]
    return [(first, last) for first, last in zip(starts, ends, strict=True) if first < last]


def cut_spans(spans: Sequence[Span], n_rows: int) -> Iterator[Span]:
    """Cut spans into shards of at most `n_rows` rows.

    >>> list(cut_spans([(0, 5), (8, 10)], 4))
    [(0, 4), (4, 5), (8, 10)]
    """
    for first, last in spans:
        for start in range(first, last, n_rows):
            yield start, min(start + n_rows, last)


def write_record(path: Path, done: Sequence[Span]) -> None:
    """Write which rows are done: how many from the start on, and a line for every span behind a gap.

    The file is replaced in one step, so that a kill leaves the old record or the new one.
    """
    spans = join_spans(done)
    n_in_order = spans.pop(0)[1] if spans and spans[0][0] == 0 else 0
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text("\n".join([str(n_in_order), *(f"{first} {last}" for first, last in spans)]), "utf-8")
    fresh.replace(path)


def read_record(path: Path) -> list[Span]:
    """Read what `write_record` wrote."""
    n_in_order, *others = path.read_text(encoding="utf-8").splitlines()
    spans = [(int(first), int(last)) for first, last in (line.split() for line in others)]
    return join_spans([(0, int(n_in_order)), *spans])
