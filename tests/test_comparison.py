"""The feature table says yes only where tests show it, and names none that does not exist."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "comparison.md"
HEADER = ("", "CROSSAN", "Gorse", "Recombee", "Personalize")
REFERENCE = re.compile(r"`(tests/[\w/]*test_\w+\.py::[\w:]+(?:\[[^\]`]+\])?)`")
NOTHING = "\N{EN DASH}"
NOTE = re.compile(r"\[\^(\w+)\]")
OWN = re.compile(rf"(?:yes: {REFERENCE.pattern}(?:, {REFERENCE.pattern})*|no)(?:\[\^\w+\])?|partly\[\^\w+\]")
OTHER = re.compile(rf"(?:yes|no|{NOTHING})(?:\[\^\w+\])?|partly\[\^\w+\]")
ASKED_FOR_MOST = (
    "several projects",
    "what was trained is what serves",
    "users that no training has seen",
    "new items without retraining",
    "seen items never come back",
    "different lists for different people",
    "a fresh list on refresh",
    "A/B tests",
    "predictable memory",
    "plain Redis",
)


class Row(NamedTuple):
    """A feature, what CROSSAN has of it, and what the others have."""

    feature: str
    own: str
    others: tuple[str, ...]


def rows_of(text: str) -> list[Row]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    found = [row for row in cells if tuple(row) != HEADER and set(row) != {"---"}]
    return [Row(row[0], row[1], tuple(row[2:])) for row in found]


@cache
def found_in(path: str) -> dict[str, bool]:
    """The tests of a file as pytest names them, and whether each has parameters."""
    if not (ROOT / path).is_file():
        return {}
    found = {}
    for node in ast.parse((ROOT / path).read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        for one in inside:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_"):
                name = one.name if one is node else f"{node.name}::{one.name}"  # type: ignore[attr-defined]
                found[name] = any("parametrize" in ast.unparse(mark) for mark in one.decorator_list)
    return found


def exists(reference: str) -> bool:
    path, _, name = reference.partition("::")
    name, bracket, _ = name.partition("[")
    return found_in(path).get(name, False) if bracket else name in found_in(path)


def faults_of(row: Row) -> list[str]:
    faults = []
    if not row.feature or not OWN.fullmatch(row.own):
        faults.append(f"'{row.feature}': CROSSAN is 'yes: ' with tests, 'partly' with a note, or 'no', not '{row.own}'")
    if len(row.others) != len(HEADER) - 2 or not all(OTHER.fullmatch(cell) for cell in row.others):
        faults.append(f"'{row.feature}': the others are yes, partly with a note, no or a dash, not {row.others}")
    return faults + [
        f"'{row.feature}': {name} does not exist" for name in REFERENCE.findall(row.own) if not exists(name)
    ]


@pytest.fixture(scope="module")
def document() -> str:
    return DOCUMENT.read_text()


def test_every_yes_has_tests_that_exist(document: str) -> None:
    rows = rows_of(document)
    assert len(rows) > 100
    assert [fault for row in rows for fault in faults_of(row)] == []


def test_no_feature_is_there_twice(document: str) -> None:
    features = [row.feature for row in rows_of(document)]
    assert sorted(set(features)) == sorted(features)


@pytest.mark.parametrize("beginning", ASKED_FOR_MOST)
def test_what_is_asked_for_most_is_there(document: str, beginning: str) -> None:
    (row,) = [row for row in rows_of(document) if row.feature.startswith(beginning)]
    assert row.own.startswith("yes: ")


def test_notes_are_used_and_written(document: str) -> None:
    written = re.findall(r"^\[\^(\w+)\]: ", document, re.MULTILINE)
    used = {note for line in document.splitlines() if line[:1] == "|" for note in NOTE.findall(line)}
    assert len(set(written)) == len(written)
    assert set(written) == used


THIS = "tests/test_comparison.py"
CLASSES = "tests/app/lifecycle/test_retention.py"


@pytest.mark.parametrize(
    ("cells", "is_right"),
    [
        (f"yes: `{THIS}::test_no_feature_is_there_twice` | no | {NOTHING} | partly[^x]", True),
        (f"yes: `{THIS}::test_what_is_asked_for_most_is_there[A/B tests]` | no | no | yes", True),
        (f"yes: `{THIS}::test_no_feature_is_there_twice`, `{CLASSES}::test_the_parts_are_everything_once`", False),
        (f"yes: `{CLASSES}::TestBlobs::test_an_upload_that_came_to_nothing` | no | no | no", True),
        ("no | yes | yes | yes", True),
        ("no[^x] | yes | yes | yes", True),
        (f"yes: `{THIS}::test_nothing` | no | no | no", False),
        (f"yes: `{THIS}::test_no_feature_is_there_twice[x]` | no | no | no", False),
        (f"yes: `{THIS}::TestBlobs::test_no_feature_is_there_twice` | no | no | no", False),
        (f"yes: `{CLASSES}::test_an_upload_that_came_to_nothing` | no | no | no", False),
        (f"yes: `{THIS}::found_in` | no | no | no", False),
        (f"yes: `{THIS}::test_no_feature_is_there_twice`, `nothing` | no | no | no", False),
        ("yes: `tests/test_nowhere.py::test_nothing` | no | no | no", False),
        ("yes | no | no | no", False),
        ("yes: it is so | no | no | no", False),
        ("no | perhaps | no | no", False),
        ("no | partly | no | no", False),
        ("partly | no | no | no", False),
        ("no | no | no", False),
    ],
)
def test_what_is_wrong_is_found(cells: str, is_right: bool) -> None:
    (row,) = rows_of(f"| a | {cells} |")
    assert (faults_of(row) == []) == is_right
