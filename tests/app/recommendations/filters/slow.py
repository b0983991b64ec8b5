"""What a filter means, item by item: the reference for the columns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.recommendations.filters.syntax import (
    And,
    Comparison,
    Exists,
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

MISSING = object()


def lets_through(node: Node, item: Mapping[str, Any]) -> bool:
    """`item` as the API shows it."""
    match node:
        case And(parts):
            return all(lets_through(part, item) for part in parts)
        case Or(parts):
            return any(lets_through(part, item) for part in parts)
        case Not(part):
            return not lets_through(part, item)
        case Exists(path):
            return value_of(path, item) is not MISSING
        case Membership(path, literals):
            return any(is_equal(value_of(path, item), literal) for literal in literals)
        case Comparison(path, operator, literal):
            return compares(value_of(path, item), operator, literal)


def value_of(path: Path, item: Mapping[str, Any]) -> Any:
    if path.source is Source.PUBLISHED_AT:
        published = item["published_at"]
        return MISSING if published is None else datetime.fromisoformat(published).timestamp()
    if path.source is Source.CATEGORIES:
        return item["categories"] or MISSING
    value: Any = item if path.source is Source.ITEM_ID else item["attributes"]
    for key in path.keys or (path.source.value,):
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value


def is_equal(value: Any, literal: Literal) -> bool:
    if isinstance(value, list):
        return any(is_equal(one, literal) for one in value if not isinstance(one, list))
    return kind_of(value) == plain(literal.kind) and value == literal.value


def compares(value: Any, operator: Operator, literal: Literal) -> bool:
    if value is MISSING:
        return False
    if operator is Operator.EQUAL:
        return is_equal(value, literal)
    if operator is Operator.UNEQUAL:
        return not is_equal(value, literal)
    if kind_of(value) != plain(literal.kind):
        return False
    return {
        Operator.BELOW: value < literal.value,
        Operator.AT_MOST: value <= literal.value,
        Operator.ABOVE: value > literal.value,
        Operator.AT_LEAST: value >= literal.value,
    }[operator]


def plain(kind: Kind) -> Kind:
    """Times are numbers of seconds here."""
    return Kind.NUMBER if kind is Kind.TIME else kind


def kind_of(value: Any) -> Kind | None:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int | float):
        return Kind.NUMBER
    if value is None:
        return Kind.NULL
    return Kind.STRING if isinstance(value, str) else None
