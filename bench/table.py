"""The table of figures for the README, between two markers there."""

from collections.abc import Mapping
from pathlib import Path

from bench.measuring import Figure
from bench.targets import TARGETS, Target

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
SIGNS = {"at least": "≥", "at most": "≤"}


class NoMarkers(Exception):
    """The file has no place for the table."""


def render(figures: Mapping[str, Figure]) -> str:
    """The figures that are known, as Markdown; in the order of the targets."""
    head = ["| figure | what | floor | ratio | spread | target |", "|---|---|---|--:|--:|--:|"]
    return "\n".join([*head, *(_row(name, TARGETS[name], figures[name]) for name in TARGETS if name in figures)])


def _row(name: str, target: Target, figure: Figure) -> str:
    floor = f"{target.floor}: {number(figure.floor)} {target.unit}"
    cells = [f"`{name}`", target.what, floor, f"{figure.ratio:.2f} x", f"{figure.spread:.2f}", _wanted(target, figure)]
    return f"| {' | '.join(cells)} |"


def _wanted(target: Target, figure: Figure) -> str:
    if target.target is None:
        return "-"
    missed = "" if target.is_met(figure) else " (missed)"
    return f"{SIGNS[target.direction]} {target.target:.2f} x{missed}"


def number(value: float) -> str:
    """Three digits, with commas between thousands."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def placed_between(text: str, table: str, markers: tuple[str, str] = (BEGIN, END)) -> str:
    """The text with the table between the markers, in place of what was there.

    Raises:
        NoMarkers: There are none.
    """
    first, last = markers
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise NoMarkers(f"the text has no {first} with {last} after it")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def write(figures: Mapping[str, Figure], path: Path = README) -> None:
    """Bring the file's table up to date."""
    text = path.read_text(encoding="utf-8")
    path.write_text(placed_between(text, render(figures)), encoding="utf-8")
