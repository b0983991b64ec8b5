import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.core.text import MAX_ATTRIBUTES_BYTES, MAX_ATTRIBUTES_DEPTH, Attributes, Identifier, Name, Title

identifier: TypeAdapter[str] = TypeAdapter(Identifier)
attributes: TypeAdapter[dict[str, Any]] = TypeAdapter(Attributes)


@pytest.mark.parametrize("value", ["", "a\x00", "\n", "a\tb", "\x7f", "x" * 257, "\ud800", "a/b", ".", ".."])
def test_identifiers_that_are_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        identifier.validate_python(value)


@pytest.mark.parametrize("value", ["a", "x" * 256, "ünïcødé", "🦀", "a b", "...", "%2F", "'; DROP TABLE items; --"])
def test_identifiers_that_are_taken_as_they_are(value: str) -> None:
    assert identifier.validate_python(value) == value


@given(st.text(max_size=300))
def test_whatever_is_accepted_can_be_stored(value: str) -> None:
    for kind in (Identifier, Name, Title):
        try:
            accepted = TypeAdapter(kind).validate_python(value)
        except ValidationError:
            continue
        assert "\x00" not in accepted
        accepted.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "a\x00b", "\ud800"])
@pytest.mark.parametrize("nest", [lambda v: {"a": v}, lambda v: {"a": [{"b": v}]}])
def test_attributes_that_postgresql_could_not_keep(value: Any, nest: Any) -> None:
    with pytest.raises(ValidationError):
        attributes.validate_python(nest(value))


def test_attributes_are_bounded_in_bytes() -> None:
    frame = len(json.dumps({"a": ""}))
    whole = {"a": "x" * (MAX_ATTRIBUTES_BYTES - frame)}
    assert attributes.validate_python(whole) == whole
    with pytest.raises(ValidationError, match=f"it is {MAX_ATTRIBUTES_BYTES + 1:,}"):
        attributes.validate_python({"a": "x" * (MAX_ATTRIBUTES_BYTES - frame + 1)})


def test_a_written_out_escape_is_not_a_nul() -> None:
    assert attributes.validate_python({"a": r"\u0000"}) == {"a": r"\u0000"}


def nested(levels: int) -> dict[str, Any]:
    value: Any = []
    for _ in range(levels - 2):
        value = [value]
    return {"a": value}


def test_attributes_are_nested_so_deep_at_most() -> None:
    assert attributes.dump_json(attributes.validate_python(nested(MAX_ATTRIBUTES_DEPTH)))
    with pytest.raises(ValidationError, match="nested at most 100 levels"):
        attributes.validate_python(nested(MAX_ATTRIBUTES_DEPTH + 1))
