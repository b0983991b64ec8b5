"""ETags on answers, and the conditions that requests make of them."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from app.items.preconditions import ANY, Precondition, etag_of
from app.items.schemas import ItemRead

_TAG = re.compile(r'(W/)?("[^"]*")')

IfMatch = Annotated[
    str | None,
    Header(max_length=2_048, description="`ETag` of the item as you know it, or `*`: 412 if it is another by now."),
]
IfNoneMatch = Annotated[
    str | None, Header(max_length=2_048, description="`*`: only if there is no such item yet, 412 otherwise.")
]
IfNoneMatchTag = Annotated[
    str | None, Header(max_length=2_048, description="`ETag` of what you have: 304 if that is still the newest.")
]


def strong_tags(header: str) -> tuple[str, ...]:
    """The tags of an `If-Match`; weak ones never match (RFC 9110, section 13.1.1)."""
    if header.strip() == ANY:
        return (ANY,)
    return tuple(tag for weak, tag in _TAG.findall(header) if not weak)


def is_unchanged(header: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names this tag (compared weakly: RFC 9110, section 13.1.2)."""
    return header is not None and (header.strip() == ANY or etag in (tag for _, tag in _TAG.findall(header)))


def change_condition(if_match: IfMatch = None) -> Precondition:
    """What is demanded of an item that is to be changed."""
    return Precondition(if_match=None if if_match is None else strong_tags(if_match))


def write_condition(if_match: IfMatch = None, if_none_match: IfNoneMatch = None) -> Precondition:
    """What is demanded of an item that is to be written."""
    must_be_new = if_none_match is not None and if_none_match.strip() == ANY
    return Precondition(if_match=None if if_match is None else strong_tags(if_match), must_be_new=must_be_new)


ChangeCondition = Annotated[Precondition, Depends(change_condition)]
WriteCondition = Annotated[Precondition, Depends(write_condition)]


def tagged(response: Response, item: ItemRead) -> ItemRead:
    """The item, with its ETag on the answer."""
    response.headers["ETag"] = etag_of(item)
    return item
