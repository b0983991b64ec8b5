"""Opaque cursors: where the next page of a list begins."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.errors import InvalidRequest
from app.core.text import NUL

_READ: dict[type, Callable[[str], Any]] = {UUID: UUID, datetime: datetime.fromisoformat}
"""Types that are written as text, and how they are read again."""


def encode_cursor(*position: Any) -> str:
    """A position as URL-safe text that says nothing to clients."""
    try:
        written = orjson.dumps(position)
    except TypeError:
        # Whole numbers of any size are JSON all the same.
        written = json.dumps(position).encode()
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[Any]:
    """The position again, of the given types; raises InvalidRequest for text that is no cursor of ours."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return _checked(position, types)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest.of("cursor", "is not one that this service gave out") from error


def _checked(position: Any, types: tuple[type, ...]) -> list[Any]:
    """The parts as their types; raises ValueError if they are not."""
    if not isinstance(position, list) or len(position) != len(types):
        raise ValueError(f"not a list of {len(types)}")
    pairs = list(zip(position, types, strict=True))
    if not all(_is(part, str if wanted in _READ else wanted) for part, wanted in pairs):
        raise ValueError("not of these types")
    return [_READ[wanted](part) if wanted in _READ else part for part, wanted in pairs]


def _is(part: Any, wanted: type) -> bool:
    """A whole number has to be one that the database can count to, and a text one that it can hold."""
    if isinstance(part, str):
        return wanted is str and NUL not in part and _is_unicode(part)
    return type(part) is wanted and not (isinstance(part, int) and abs(part) > MAX_NUMBER)


def _is_unicode(text: str) -> bool:
    """Whether it has no lone surrogates."""
    return text.encode(errors="ignore").decode() == text


MAX_NUMBER = 2**63 - 1
