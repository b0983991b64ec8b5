"""The tree that a filter is, and how it is written."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from app.recommendations.filters.tokens import KEYWORDS, PLAIN_NAME, quoted


class Source(StrEnum):
    """What of an item a path begins at."""

    ITEM_ID = "item_id"
    CATEGORIES = "categories"
    PUBLISHED_AT = "published_at"
    ATTRIBUTES = "attributes"


@dataclass(frozen=True)
class Path:
    """Where the value stands; `keys` lead through nested objects of the attributes, and are empty elsewhere."""

    source: Source
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.source is not Source.ATTRIBUTES:
            return self.source.value
        return ".".join([self.source.value, *(_name(key) for key in self.keys)])


def _name(key: str) -> str:
    is_plain = PLAIN_NAME.fullmatch(key) and key.lower() not in KEYWORDS
    return key if is_plain else quoted(key, "`")


class Kind(StrEnum):
    """The type of a literal; a time is written as a string and compared with `published_at` only."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    TIME = "time"


@dataclass(frozen=True)
class Literal:
    """A value in a filter; that of a time is in seconds since 1970."""

    kind: Kind
    value: str | float | bool | None

    def __str__(self) -> str:
        match self.kind:
            case Kind.STRING:
                return quoted(str(self.value), "'")
            case Kind.TIME:
                return quoted(datetime.fromtimestamp(float(self.value or 0), UTC).isoformat(), "'")
            case Kind.NUMBER:
                return repr(self.value)
            case _:
                return {True: "true", False: "false", None: "null"}[self.value]  # type: ignore[index]


class Operator(StrEnum):
    """How a value is compared."""

    EQUAL = "="
    UNEQUAL = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="

    @property
    def is_order(self) -> bool:
        """Whether it needs values that have an order."""
        return self not in (Operator.EQUAL, Operator.UNEQUAL)


@dataclass(frozen=True)
class Comparison:
    """A value against a literal."""

    path: Path
    operator: Operator
    literal: Literal

    def __str__(self) -> str:
        return f"{self.path} {self.operator.value} {self.literal}"


@dataclass(frozen=True)
class Membership:
    """A value equal to one of several literals."""

    path: Path
    literals: tuple[Literal, ...]

    def __str__(self) -> str:
        return f"{self.path} in ({', '.join(map(str, self.literals))})"


@dataclass(frozen=True)
class Exists:
    """Whether the item has the value at all."""

    path: Path

    def __str__(self) -> str:
        return f"exists {self.path}"


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: "Node"

    def __str__(self) -> str:
        return f"not {_inside(self.part)}"


@dataclass(frozen=True)
class And:
    """All of the parts."""

    parts: tuple["Node", ...]

    def __str__(self) -> str:
        return " and ".join(_inside(part) for part in self.parts)


@dataclass(frozen=True)
class Or:
    """At least one of the parts."""

    parts: tuple["Node", ...]

    def __str__(self) -> str:
        return " or ".join(_inside(part) for part in self.parts)


def _inside(node: "Node") -> str:
    return f"({node})" if isinstance(node, And | Or) else str(node)


Node: TypeAlias = Comparison | Membership | Exists | Not | And | Or


@dataclass(frozen=True)
class Filter:
    """A whole filter; two that are written alike are equal.

    Attributes:
        root: the tree.
        text: the tree as it is written; `parse(text)` gives the tree again.
    """

    root: Node = field(compare=False)
    text: str

    @classmethod
    def of(cls, root: Node) -> "Filter":
        """From a tree."""
        return cls(root, str(root))
