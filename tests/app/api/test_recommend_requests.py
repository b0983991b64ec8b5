"""How requests of `/recommend` are read and grouped."""

from typing import Any

import pytest

from app.api.recommend_requests import TOGETHER, known_wish, rounds, wish_of_query
from app.core.errors import InvalidRequest


def of(*users: str) -> list[dict[str, Any]]:
    return [{"user_id": user} for user in users]


def test_a_batch_goes_in_rounds_of_different_people() -> None:
    assert [*rounds(of("a", "b", "a", "a", "c"))] == [of("a", "b"), of("a"), of("a", "c")]
    sessions = [{"session": [], "session_id": "s"}, {"session": [], "session_id": "s"}]
    assert len([*rounds(sessions)]) == 2
    odd = [None, 7, {"user_id": ["not", "an", "id"]}]
    assert [one for together in rounds(odd) for one in together] == odd
    many = of(*[f"u{n}" for n in range(2 * TOGETHER + 1)])
    assert [len(one) for one in rounds(many)] == [TOGETHER, TOGETHER, 1]


def test_a_query_is_read_once() -> None:
    query = b"limit=7&categories=a&categories=b&pinned=i1:2"
    wish = wish_of_query(query)
    assert wish_of_query(query) is wish is known_wish(query)
    assert (wish.options.limit, wish.options.categories, wish.options.pinned) == (7, ("a", "b"), {"i1": 2})
    with pytest.raises(InvalidRequest):
        wish_of_query(b"pinned=i1")
    assert known_wish(b"pinned=i1") is None
