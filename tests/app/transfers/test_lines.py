import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfers.lines import LineSplitter, RawLine

LIMIT = 1_000
pieces = st.lists(st.binary(max_size=20), max_size=20)


def lines_of(data: list[bytes], *, quoted: bool = False, limit_bytes: int = LIMIT) -> list[RawLine]:
    splitter = LineSplitter(limit_bytes=limit_bytes, quoted=quoted)
    return [line for piece in data for line in splitter.feed(piece)] + list(splitter.finish())


@given(pieces)
def test_lines_are_the_same_however_the_bytes_arrive(data: list[bytes]) -> None:
    whole = b"".join(data)
    expected = [(number, line) for number, line in enumerate(whole.split(b"\n"), 1) if line.strip()]
    found = lines_of(data)
    assert [(line.number, line.data) for line in found] == expected
    for line in found:
        assert line.data is not None
        assert whole[: line.end].removesuffix(b"\n").endswith(line.data)
        assert line.next_number == line.number + 1


@given(pieces, st.integers(0, 30))
def test_going_on_after_a_line_gives_the_rest(data: list[bytes], at: int) -> None:
    whole = b"".join(data)
    lines = lines_of([whole])
    if not lines:
        return
    last = lines[at % len(lines)]
    splitter = LineSplitter(limit_bytes=LIMIT)
    splitter.go_on(offset=last.end, number=last.next_number)
    rest = [*splitter.feed(whole[last.end :]), *splitter.finish()]
    assert rest == lines[at % len(lines) + 1 :]


def test_a_long_line_is_only_a_number() -> None:
    found = lines_of([b"a\n", b"x" * 6, b"x" * 6, b"\nb\n", b"y" * 11], limit_bytes=10)
    assert [(line.number, line.data) for line in found] == [(1, b"a"), (2, None), (3, b"b"), (4, None)]
    assert [line.end for line in found] == [2, 15, 17, 28]


cells = st.text(alphabet='ab",\n |é', max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=6), st.integers(1, 7))
def test_a_record_may_have_line_ends_in_quotes(rows: list[list[str]], step: int) -> None:
    """As Python's own writer and reader see records."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    data = text.getvalue().encode()
    found = lines_of([data[at : at + step] for at in range(0, len(data), step)], quoted=True)
    assert [next(csv.reader([(line.data or b"").decode()])) for line in found] == rows
    assert [line.number for line in found] == [
        1 + sum(cell.count("\n") for row in rows[:n] for cell in row) + n for n in range(len(rows))
    ]


@pytest.mark.parametrize("quoted", [False, True])
def test_nothing_at_all(quoted: bool) -> None:
    assert lines_of([], quoted=quoted) == lines_of([b"\n\n  \n"], quoted=quoted) == []
