"""Cuts the text of a filter into tokens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.core.errors import InvalidRequest

FIELD = "filter"
KEYWORDS = frozenset({"and", "or", "not", "in", "exists", "true", "false", "null"})
PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")
"""A name that can stand without backticks, unless it is a keyword."""
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<word>[^\W\d][\w-]*)
      | (?P<quoted>(?P<quote>['"`])(?P<inner>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote))
      | (?P<symbol>!=|<=|>=|[=<>(),.])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class TokenKind(StrEnum):
    """What a token is, in words for a person."""

    NAME = "a name"
    STRING = "a string"
    NUMBER = "a number"
    KEYWORD = "a keyword"
    SYMBOL = "a symbol"
    END = "the end"


@dataclass(frozen=True)
class Token:
    """A piece of the text.

    Attributes:
        kind: what it is.
        text: the symbol, the keyword in lower case, or the value of a name, string or number.
        position: of its first character in the filter, from 1.
    """

    kind: TokenKind
    text: str
    position: int

    def describe(self) -> str:
        """What stands there, without repeating what somebody wrote."""
        return f"'{self.text}'" if self.kind in (TokenKind.KEYWORD, TokenKind.SYMBOL) else self.kind.value


def refuse(position: int, expected: str, found: str) -> InvalidRequest:
    """The error of a filter that can't be read from `position` on, counted from 1."""
    message = f"at character {position:,}: expected {expected}, found {found}"
    return InvalidRequest.of(FIELD, message, position=position, expected=expected)


def tokenize(text: str) -> Iterator[Token]:
    """The tokens, the end among them.

    Raises:
        InvalidRequest: at a character that begins no token.
    """
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position)
        token = _token(match)
        yield token
        if token.kind is TokenKind.END:
            return
        position = match.end()


def _token(match: re.Match[str]) -> Token:
    group = "quoted" if match["quoted"] is not None else str(match.lastgroup)
    position = match.start(group) + 1
    if group == "quoted":
        kind = TokenKind.NAME if match["quote"] == "`" else TokenKind.STRING
        return Token(kind, _ESCAPE.sub(r"\1", match["inner"]), position)
    value = match[group]
    if group == "word":
        is_keyword = value.lower() in KEYWORDS
        return (
            Token(TokenKind.KEYWORD, value.lower(), position) if is_keyword else Token(TokenKind.NAME, value, position)
        )
    kinds = {"number": TokenKind.NUMBER, "symbol": TokenKind.SYMBOL, "end": TokenKind.END}
    return Token(kinds[group], value, position)


def _unreadable(text: str, position: int) -> InvalidRequest:
    start = position + len(text[position:]) - len(text[position:].lstrip())
    if text[start] in "'\"`":
        return refuse(len(text) + 1, f"the closing {text[start]}", TokenKind.END.value)
    return refuse(start + 1, "a name, a value or a symbol", "something else")


def quoted(text: str, quote: str) -> str:
    """A text between quotes, as `tokenize` reads it."""
    escaped = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return f"{quote}{escaped}{quote}"
