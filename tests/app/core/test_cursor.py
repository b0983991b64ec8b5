import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest


@given(st.integers(1 - 2**63, 2**63 - 1), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40))
def test_a_position_comes_back(number: int, text: str) -> None:
    assert decode_cursor(encode_cursor(number, text), int, str) == [number, text]


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_moments_and_ids_come_back_as_such(moment: datetime, identifier: UUID) -> None:
    assert decode_cursor(encode_cursor(moment, identifier), datetime, UUID) == [moment, identifier]


@pytest.mark.parametrize(("value", "wanted"), [("yesterday", datetime), ("abc", UUID), (5, UUID), (None, datetime)])
def test_what_is_no_moment_or_id_is_refused(value: object, wanted: type) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(forged([value]), wanted)


def test_cursors_go_into_urls_as_they_are() -> None:
    assert set(encode_cursor("ÿ?>~" * 20)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def forged(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "é",
        forged(5),
        forged([]),
        forged(["5"]),
        forged([True]),
        forged([1, 2]),
        forged([1.0]),
        forged({}),
    ],
)
def test_what_we_did_not_give_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_cursor(cursor, int)
    assert caught.value.errors[0]["field"] == "cursor"


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "a\udfff"])
def test_texts_that_the_database_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(forged([text]), str)


@given(st.text(max_size=60))
def test_no_text_breaks_it(cursor: str) -> None:
    with suppress(InvalidRequest):
        decode_cursor(cursor, int)
