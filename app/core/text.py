"""String and JSON types that PostgreSQL can store: no NUL, no lone surrogate, no NaN."""

import json
import re
from typing import Annotated

from pydantic import AfterValidator, JsonValue, StringConstraints

NUL = "\x00"


def _without_nul(value: str) -> str:
    if NUL in value:
        raise ValueError("must not contain the character NUL")
    return value


def _addressable(value: str) -> str:
    if _UNADDRESSABLE.search(value):
        raise ValueError("must not contain '/' or control characters, nor be '.' or '..'")
    return value


_UNADDRESSABLE = re.compile(r"[\x00-\x1f\x7f/]|^\.\.?$")


def _storable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if _is_deeper(value, MAX_ATTRIBUTES_DEPTH):
        raise ValueError(f"must be nested at most {MAX_ATTRIBUTES_DEPTH} levels deep")
    encoded = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    if len(encoded) > MAX_ATTRIBUTES_BYTES:
        raise ValueError(f"must be at most {MAX_ATTRIBUTES_BYTES:,} bytes as JSON, it is {len(encoded):,}")
    if _WRITTEN_NUL.search(encoded):
        raise ValueError("must not contain the character NUL")
    return value


def _is_deeper(value: JsonValue, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


_WRITTEN_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""NUL as JSON writes it; after an even number of backslashes, or else it is a text about NUL."""


MAX_ATTRIBUTES_BYTES = 16_384
MAX_ATTRIBUTES_DEPTH = 100
"""What writes JSON stops at 255 levels, some of which belong to the answer around: what can be read can be shown."""

MAX_IDENTIFIER = 256

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=MAX_IDENTIFIER), AfterValidator(_addressable)]
"""An id of the client's own: anything that can stand between two slashes of a path."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
EventType = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]
"""What kind of thing somebody did, in the client's own words."""
Title = Annotated[str, StringConstraints(max_length=1_000), AfterValidator(_without_nul)]
Paragraphs = Annotated[str, StringConstraints(max_length=50_000), AfterValidator(_without_nul)]
Attributes = Annotated[dict[str, JsonValue], AfterValidator(_storable)]


def is_identifier(text: str) -> bool:
    """Whether it is plainly an `Identifier`; what is not ASCII may be one all the same."""
    return text.isascii() and 0 < len(text) <= MAX_IDENTIFIER and not _UNADDRESSABLE.search(text)
