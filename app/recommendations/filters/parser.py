"""Reads a filter: recursive descent, bounded in length, depth and number of terms."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from app.core.errors import InvalidRequest
from app.recommendations.filters.syntax import (
    And,
    Comparison,
    Exists,
    Filter,
    Kind,
    Literal,
    Membership,
    Node,
    Not,
    Operator,
    Or,
    Path,
    Source,
)
from app.recommendations.filters.tokens import FIELD, Token, TokenKind, refuse, tokenize

MAX_LENGTH = 4_000
"""Characters of a filter."""
MAX_DEPTH = 32
"""Parentheses and `not`s inside each other."""
MAX_TERMS = 100
"""Comparisons, memberships and `exists` of a filter."""
REMEMBERED = 256

TERM = "a name, 'not', 'exists' or '('"
OPERATOR = "a comparison (=, !=, <, <=, >, >=) or 'in'"
VALUE = "a value (a string in quotes, a number, true, false or null)"
ORDERED_VALUE = "a string in quotes or a number"
TIME = "a date, such as '2024-05-01' or '2024-05-01T12:00:00Z'"
TEXT = "a string in quotes"
_OPERATORS = frozenset(Operator)
_WORDS = {"true": (Kind.BOOLEAN, True), "false": (Kind.BOOLEAN, False), "null": (Kind.NULL, None)}


@lru_cache(maxsize=REMEMBERED)
def parse(text: str) -> Filter:
    """A filter from its text; the newest ones are remembered.

    Raises:
        InvalidRequest: naming the field `filter`, the position of the first character that does not fit, from 1, and
            what was expected there; or the limit that it exceeds.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidRequest.of(FIELD, f"must have at most {MAX_LENGTH:,} characters, it has {len(text):,}")
    return Filter.of(_Parser(text).whole())


class _Parser:
    """One pass over the tokens of one filter."""

    def __init__(self, text: str) -> None:
        self._tokens = tokenize(text)
        self._token = next(self._tokens)
        self._depth = 0
        self._terms = 0

    def whole(self) -> Node:
        """The filter, to its end."""
        node = self._alternatives()
        if self._token.kind is not TokenKind.END:
            raise self._refused("'and', 'or' or the end")
        return node

    def _alternatives(self) -> Node:
        parts = [self._conjunction()]
        while self._take("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self) -> Node:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _term(self) -> Node:
        if self._is("not"):
            return self._deeper(lambda: Not(self._term()))
        if self._is("("):
            return self._deeper(self._group)
        self._count()
        if self._take("exists"):
            return Exists(self._existing())
        if self._token.kind is not TokenKind.NAME:
            raise self._refused(TERM)
        return self._comparison(self._path())

    def _group(self) -> Node:
        node = self._alternatives()
        self._expect(")", "')', 'and' or 'or'")
        return node

    def _deeper(self, read: Callable[[], Node]) -> Node:
        """What follows the present token, one level further down."""
        if self._depth == MAX_DEPTH:
            raise self._limited(f"must not be nested deeper than {MAX_DEPTH}")
        self._depth += 1
        self._next()
        node = read()
        self._depth -= 1
        return node

    def _count(self) -> None:
        if self._terms == MAX_TERMS:
            raise self._limited(f"must have at most {MAX_TERMS} terms")
        self._terms += 1

    def _existing(self) -> Path:
        if not self._take("("):
            return self._path()
        path = self._path()
        self._expect(")", "')'")
        return path

    def _path(self) -> Path:
        keys = [self._name()]
        while self._take("."):
            keys.append(self._name())
        first = keys[0]
        if first in (Source.ITEM_ID, Source.CATEGORIES, Source.PUBLISHED_AT) and len(keys) == 1:
            return Path(Source(first))
        return Path(Source.ATTRIBUTES, tuple(keys[1:] if first == Source.ATTRIBUTES and len(keys) > 1 else keys))

    def _name(self) -> str:
        if self._token.kind is not TokenKind.NAME:
            raise self._refused("a name")
        return self._next().text

    def _comparison(self, path: Path) -> Node:
        if self._take("in"):
            return Membership(path, self._list(path))
        if self._token.kind is not TokenKind.SYMBOL or self._token.text not in _OPERATORS:
            raise self._refused(OPERATOR)
        operator = Operator(self._next().text)
        return Comparison(path, operator, self._literal(path, ordered=operator.is_order))

    def _list(self, path: Path) -> tuple[Literal, ...]:
        self._expect("(", "'('")
        literals = [self._literal(path)]
        while self._take(","):
            literals.append(self._literal(path))
        self._expect(")", "',' or ')'")
        return tuple(literals)

    def _literal(self, path: Path, *, ordered: bool = False) -> Literal:
        expected = _expected(path, ordered)
        token = self._token
        if token.kind is TokenKind.STRING and path.source is Source.PUBLISHED_AT:
            literal = _time(token)
        elif token.kind is TokenKind.STRING:
            literal = Literal(Kind.STRING, token.text)
        elif expected in (VALUE, ORDERED_VALUE) and token.kind is TokenKind.NUMBER:
            literal = _number(token)
        elif expected is VALUE and token.kind is TokenKind.KEYWORD and token.text in _WORDS:
            literal = Literal(*_WORDS[token.text])
        else:
            raise self._refused(expected)
        self._next()
        return literal

    def _is(self, text: str) -> bool:
        return self._token.kind in (TokenKind.KEYWORD, TokenKind.SYMBOL) and self._token.text == text

    def _take(self, text: str) -> bool:
        found = self._is(text)
        if found:
            self._next()
        return found

    def _expect(self, text: str, expected: str) -> None:
        if not self._take(text):
            raise self._refused(expected)

    def _next(self) -> Token:
        token = self._token
        self._token = next(self._tokens)
        return token

    def _refused(self, expected: str) -> InvalidRequest:
        return refuse(self._token.position, expected, self._token.describe())

    def _limited(self, message: str) -> InvalidRequest:
        position = self._token.position
        return InvalidRequest.of(FIELD, f"{message} (at character {position:,})", position=position)


def _expected(path: Path, ordered: bool) -> str:
    if path.source is Source.PUBLISHED_AT:
        return TIME
    if path.source is not Source.ATTRIBUTES:
        return TEXT
    return ORDERED_VALUE if ordered else VALUE


def _number(token: Token) -> Literal:
    value = float(token.text)
    if not math.isfinite(value):
        raise refuse(token.position, "a number of at most 1.7e308", "a larger one")
    return Literal(Kind.NUMBER, value)


def _time(token: Token) -> Literal:
    """A date or a time of ISO 8601, in UTC where no zone is given."""
    try:
        time = datetime.fromisoformat(token.text)
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        raise refuse(token.position, TIME, TokenKind.STRING.value) from None
    return Literal(Kind.TIME, seconds)
