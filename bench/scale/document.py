"""Writes the tables of docs/scaling.md from the measured curves, each between two markers, so that they can't drift."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import latest
from bench.latest import RESULTS
from bench.measuring import Figure
from bench.scale.sizing import Curves, size
from bench.table import number, placed_between

SCALE = RESULTS / "scale.json"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "scaling.md"
MB = 1e6
Rows = Sequence[Mapping[str, Any]]


def write_document(path: Path = DOCUMENT, scale: Path = SCALE) -> None:
    """Bring every table up to date that something is measured for."""
    curves: Curves = latest.read_json(scale)
    text = path.read_text(encoding="utf-8")
    for name, table in tables(curves, latest.read()).items():
        text = placed_between(text, table, (f"<!-- {name}:begin -->", f"<!-- {name}:end -->"))
    path.write_text(text, encoding="utf-8")


def tables(curves: Curves, figures: Mapping[str, Figure]) -> dict[str, str]:
    """The tables that the curves and figures are enough for, by the names of their markers."""
    drawn = {name: draw(curves[name]) for name, draw in DRAWN.items() if name in curves}
    if DRAWN.keys() <= curves.keys():
        drawn["sizing"] = _sizing(curves, figures)
    return drawn


def _search(rows: Rows) -> str:
    head = (
        "items | index | one query, ms | in a batch of 32, ms | vectors, MB | index beside them, MB | build, s | recall"
    )
    return _table(
        head,
        [
            (
                number(row["items"]),
                row["kind"] if row["kind"] == row["asked_for"] else f"{row['kind']} (for {row['asked_for']})",
                number(row["query_ms"]),
                number(row["batched_query_ms"]),
                number(row["vector_bytes"] / MB),
                number(row["index_bytes"] / MB),
                number(row["build_s"]),
                "exact" if row["recall"] is None else f"{row['recall']:.4f}",
            )
            for row in rows
        ],
    )


def _users(rows: Rows) -> str:
    measured = [(row["users"], row["bytes_a_user"], "measured") for row in rows]
    bytes_a_user = rows[-1]["bytes_a_user"]
    derived = [(users, bytes_a_user, f"{number(users)} x {number(bytes_a_user)} bytes") for users in (10**6, 10**7)]
    lines = [(number(n), number(each), number(n * each / MB), how) for n, each, how in (*measured, *derived)]
    return _table("users | bytes a user | in all, MB | from", lines)


def _storage(rows: Rows) -> str:
    head = "items | bytes an item | a vector | an event | an answer | API process ready, s | its memory, MB"
    names = ("item", "vector", "event", "answer")
    return _table(
        head,
        [
            (
                number(row["items"]),
                *(number(row["bytes_of"][name]) for name in names),
                number(row["ready_s"]),
                number(row["process_bytes"] / MB),
            )
            for row in rows
        ],
    )


def _training(rows: Rows) -> str:
    lines = [
        (number(row["items"]), number(row["events"]), number(row["step_s"] * 1e3), number(row["epoch_s"]))
        for row in rows
    ]
    return _table("items | events | a step, ms of one core | an epoch, s of one core", lines)


def _sizing(curves: Curves, figures: Mapping[str, Figure]) -> str:
    lines = [(need.part, need.what, need.arithmetic, need.amount) for need in size(curves, figures)]
    return _table("part | what | arithmetic | needs", lines)


def _table(head: str, lines: Sequence[Sequence[str]]) -> str:
    columns = head.split(" | ")
    return "\n".join([_line(columns), _line(["---"] * len(columns)), *map(_line, lines)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


DRAWN = {"search": _search, "users": _users, "storage": _storage, "training": _training}
