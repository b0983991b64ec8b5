"""One thing ahead, in a thread."""

import threading
from collections.abc import Iterator

import pytest

from model.encoders.ahead import ahead


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(range(5))) == [0, 1, 2, 3, 4]
    assert list(ahead([None, None])) == [None, None]
    assert list(ahead([])) == []


def test_the_next_one_is_made_while_one_is_used() -> None:
    made = [threading.Event(), threading.Event(), threading.Event()]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    running = ahead(items())
    assert next(running) == 0
    assert made[1].wait(10)
    assert not made[2].is_set(), "no further than one"
    assert list(running) == [1, 2]


def test_what_making_one_raises_comes_after_those_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    running = ahead(items())
    assert next(running) == 1
    with pytest.raises(ValueError, match="broken"):
        next(running)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    for item in ahead(iter(range(10))):
        if item == 3:
            break
    assert threading.active_count() == before
