"""Opaque cursors: where the next page of a list begins."""

import base64
import binascii
import json
from typing import Any

from app.core.errors import InvalidRequest
from app.core.text import NUL


def encode_cursor(*position: Any) -> str:
    """A position as URL-safe text that says nothing to clients."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[Any]:
    """The position again, of the given types; raises InvalidRequest for text that is no cursor of ours."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        position = None
    if (
        not isinstance(position, list)
        or len(position) != len(types)
        or not all(_is(part, wanted) for part, wanted in zip(position, types, strict=True))
    ):
        raise InvalidRequest.of("cursor", "is not one that this service gave out")
    return position


def _is(part: Any, wanted: type) -> bool:
    """A whole number has to be one that the database can count to, and a text one that it can hold."""
    if isinstance(part, str):
        return wanted is str and NUL not in part and _is_unicode(part)
    return type(part) is wanted and not (isinstance(part, int) and abs(part) > MAX_NUMBER)


def _is_unicode(text: str) -> bool:
    """Whether it has no lone surrogates."""
    return text.encode(errors="ignore").decode() == text


MAX_NUMBER = 2**63 - 1
