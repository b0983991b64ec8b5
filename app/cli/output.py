"""What commands print: tables for a person, one JSON document for a program."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console(highlight=False)
"""Results, on stdout."""
notes = Console(stderr=True, highlight=False)
"""Progress and errors, on stderr."""


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> Table:
    """A plain table; numbers go to the right, None becomes a dash."""
    drawn = Table(title=title, box=None, pad_edge=False, title_justify="left", header_style="bold")
    numeric = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    for name, right in zip(columns, numeric, strict=True):
        drawn.add_column(name, justify="right" if right else "left")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    return drawn


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def shares(values: Mapping[str, float] | None) -> str:
    """The experts' shares, largest first: 'image 62% text 38%'."""
    ordered = sorted((values or {}).items(), key=lambda pair: -pair[1])
    return " ".join(f"{name} {share:.0%}" for name, share in ordered if share >= 0.005)
