"""What can be read, as what, and where reading stops."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.recommendations.filters import parse, parser
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
from app.recommendations.filters.tokens import KEYWORDS

YEAR = Path(Source.ATTRIBUTES, ("year",))
MAY_1ST = datetime(2024, 5, 1, tzinfo=UTC).timestamp()


def number(value: float) -> Literal:
    return Literal(Kind.NUMBER, value)


def text(value: str) -> Literal:
    return Literal(Kind.STRING, value)


def is_year(value: float) -> Comparison:
    return Comparison(YEAR, Operator.EQUAL, number(value))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("year = 1", is_year(1)),
        ("year=-1.5e3", is_year(-1500)),
        ("year = .5", is_year(0.5)),
        ("attributes.year = 1", is_year(1)),
        ("`year` = 1", is_year(1)),
        ("year = 1 and year = 2 and year = 3", And((is_year(1), is_year(2), is_year(3)))),
        ("year = 1 or year = 2 and year = 3", Or((is_year(1), And((is_year(2), is_year(3)))))),
        ("(year = 1 or year = 2) and year = 3", And((Or((is_year(1), is_year(2))), is_year(3)))),
        ("year = 1 AND Not year = 2", And((is_year(1), Not(is_year(2))))),
        ("not not year = 1", Not(Not(is_year(1)))),
        ("not (year = 1 and year = 2)", Not(And((is_year(1), is_year(2))))),
        ("not year = 1 or year = 2", Or((Not(is_year(1)), is_year(2)))),
        ("exists year", Exists(YEAR)),
        ("exists(year)", Exists(YEAR)),
        ("year in (1, 2)", Membership(YEAR, (number(1), number(2)))),
        (
            "year in ('a', 1, true, null)",
            Membership(YEAR, (text("a"), number(1), Literal(Kind.BOOLEAN, True), Literal(Kind.NULL, None))),
        ),
        ("a.b.c != 'x'", Comparison(Path(Source.ATTRIBUTES, ("a", "b", "c")), Operator.UNEQUAL, text("x"))),
        ("`a.b`.`in` < 'x'", Comparison(Path(Source.ATTRIBUTES, ("a.b", "in")), Operator.BELOW, text("x"))),
        (
            "attributes.categories = 'x'",
            Comparison(Path(Source.ATTRIBUTES, ("categories",)), Operator.EQUAL, text("x")),
        ),
        ("attributes = 1", Comparison(Path(Source.ATTRIBUTES, ("attributes",)), Operator.EQUAL, number(1))),
        ('categories = "it\'s"', Comparison(Path(Source.CATEGORIES), Operator.EQUAL, text("it's"))),
        (r"categories = 'it\'s \\'", Comparison(Path(Source.CATEGORIES), Operator.EQUAL, text("it's \\"))),
        ("item_id >= 'i5'", Comparison(Path(Source.ITEM_ID), Operator.AT_LEAST, text("i5"))),
        ("größe-2 <= 3", Comparison(Path(Source.ATTRIBUTES, ("größe-2",)), Operator.AT_MOST, number(3))),
        (
            "published_at > '2024-05-01'",
            Comparison(Path(Source.PUBLISHED_AT), Operator.ABOVE, Literal(Kind.TIME, MAY_1ST)),
        ),
        (
            "published_at > '2024-05-01T02:00:00+02:00'",
            Comparison(Path(Source.PUBLISHED_AT), Operator.ABOVE, Literal(Kind.TIME, MAY_1ST)),
        ),
        (
            "released > '2024-05-01'",
            Comparison(Path(Source.ATTRIBUTES, ("released",)), Operator.ABOVE, text("2024-05-01")),
        ),
    ],
)
def test_what_is_meant(written: str, meant: Node) -> None:
    found = parse(written)
    assert found.root == meant
    assert parse(found.text).root == meant


@pytest.mark.parametrize(
    ("written", "position", "expected"),
    [
        ("", 1, parser.TERM),
        ("   ", 4, parser.TERM),
        ("year", 5, parser.OPERATOR),
        ("year =", 7, parser.VALUE),
        ("year = = 1", 8, parser.VALUE),
        ("year = 1 year = 2", 10, "'and', 'or' or the end"),
        ("year = 1)", 9, "'and', 'or' or the end"),
        ("(year = 1", 10, "')', 'and' or 'or'"),
        ("year = 1 and", 13, parser.TERM),
        ("year = 1 and or", 14, parser.TERM),
        ("not", 4, parser.TERM),
        ("1 = year", 1, parser.TERM),
        ("year == 1", 7, parser.VALUE),
        ("year < true", 8, parser.ORDERED_VALUE),
        ("year < null", 8, parser.ORDERED_VALUE),
        ("year in 1", 9, "'('"),
        ("year in ()", 10, parser.VALUE),
        ("year in (1 2)", 12, "',' or ')'"),
        ("year in (1,", 12, parser.VALUE),
        ("exists", 7, "a name"),
        ("exists (year", 13, "')'"),
        ("exists year = 1", 13, "'and', 'or' or the end"),
        ("a..b = 1", 3, "a name"),
        ("a.in = 1", 3, "a name"),
        ("year not in (1)", 6, parser.OPERATOR),
        ("year = unquoted", 8, parser.VALUE),
        ("year = 'open", 13, "the closing '"),
        ('year = "open\\"', 15, 'the closing "'),
        ("`open = 1", 10, "the closing `"),
        ("year = 1; year = 2", 9, "a name, a value or a symbol"),
        ("year = 1.2.3", 8, "a name, a value or a symbol"),
        ("year = 1e999", 8, "a number of at most 1.7e308"),
        ("categories = 1", 14, parser.TEXT),
        ("categories in ('a', null)", 21, parser.TEXT),
        ("item_id > 5", 11, parser.TEXT),
        ("published_at > 5", 16, parser.TIME),
        ("published_at > 'soon'", 16, parser.TIME),
        ("published_at = null", 16, parser.TIME),
        ("published_at > '9999-12-31T23:59:59-10:00'", 16, parser.TIME),
        ("__import__('os')", 11, parser.OPERATOR),
    ],
)
def test_where_reading_stops(written: str, position: int, expected: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(written)
    (error,) = caught.value.errors
    assert (error["field"], error["position"], error["expected"]) == ("filter", position, expected)
    assert error["message"].startswith(f"at character {position}: expected {expected}, found ")


@pytest.mark.parametrize("secret", ["hunter2", "'hunter2'", "`hunter2`"])
def test_errors_do_not_repeat_what_somebody_wrote(secret: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(f"year = 1 {secret}")
    assert "hunter2" not in str(caught.value.errors) + caught.value.detail


@pytest.mark.parametrize("opening", ["(", "not "])
def test_depth_is_limited(opening: str) -> None:
    closing = ")" if opening == "(" else ""
    fitting = opening * parser.MAX_DEPTH + "year = 1" + closing * parser.MAX_DEPTH
    assert parse(fitting)
    with pytest.raises(InvalidRequest, match=f"not be nested deeper than {parser.MAX_DEPTH}") as caught:
        parse(opening + fitting + closing)
    assert caught.value.errors[0]["position"] == len(opening) * parser.MAX_DEPTH + 1


def test_depth_counts_what_is_open_only() -> None:
    assert parse(" and ".join(["(year = 1)"] * (parser.MAX_DEPTH + 1)))


def test_terms_are_limited() -> None:
    assert parse(" or ".join(["a = 1"] * parser.MAX_TERMS))
    with pytest.raises(InvalidRequest, match=f"at most {parser.MAX_TERMS} terms"):
        parse(" or ".join(["a = 1"] * (parser.MAX_TERMS + 1)))


def test_length_is_limited() -> None:
    assert parse("year = 1".ljust(parser.MAX_LENGTH))
    with pytest.raises(InvalidRequest, match=f"at most {parser.MAX_LENGTH:,} characters"):
        parse("year = 1".ljust(parser.MAX_LENGTH + 1))


def test_a_filter_is_equal_to_one_that_is_written_alike() -> None:
    assert parse("year=1") == parse("  attributes.year   =  1.0 ")
    assert parse("year = 1") != parse("year = true")


KEYS = st.one_of(st.sampled_from(["year", *KEYWORDS, "categories", "attributes", "a.b", "\\`"]), st.text(min_size=1))
TEXTS = st.text().map(text)
SCALARS = st.one_of(
    TEXTS,
    st.floats(allow_nan=False, allow_infinity=False).map(number),
    st.booleans().map(lambda value: Literal(Kind.BOOLEAN, value)),
    st.just(Literal(Kind.NULL, None)),
)
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)).map(
    lambda time: Literal(Kind.TIME, time.timestamp())
)


@st.composite
def terms(draw: st.DrawFn) -> Node:
    path, literals = draw(
        st.sampled_from(
            [
                (Path(Source.ITEM_ID), TEXTS),
                (Path(Source.CATEGORIES), TEXTS),
                (Path(Source.PUBLISHED_AT), TIMES),
                (Path(Source.ATTRIBUTES, tuple(draw(st.lists(KEYS, min_size=1, max_size=3)))), SCALARS),
            ]
        )
    )
    match draw(st.sampled_from(["comparison", "membership", "exists"])):
        case "membership":
            return Membership(path, tuple(draw(st.lists(literals, min_size=1, max_size=3))))
        case "exists":
            return Exists(path)
    literal = draw(literals)
    has_order = literal.kind not in (Kind.BOOLEAN, Kind.NULL)
    operators = list(Operator) if has_order else [Operator.EQUAL, Operator.UNEQUAL]
    return Comparison(path, draw(st.sampled_from(operators)), literal)


def several(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(nodes, min_size=2, max_size=3).map(tuple)
    return st.one_of(nodes.map(Not), parts.map(And), parts.map(Or))


@given(st.recursive(terms(), several, max_leaves=8))
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_again(node: Node) -> None:
    written = Filter.of(node).text
    if len(written) <= parser.MAX_LENGTH:
        assert parse(written).root == node


@given(st.text(alphabet="ab19 .,()<>=!'\"`\\andortinxs-é\n", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_with_a_position(written: str) -> None:
    assert 1 <= refused_at(written, otherwise=1) <= len(written) + 1


def refused_at(written: str, *, otherwise: int) -> int:
    try:
        parse(written)
    except InvalidRequest as refused:
        return int(refused.errors[0]["position"])
    return otherwise
