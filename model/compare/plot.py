"""Quality against cost, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from model.compare.plan import BASELINES
from model.compare.report import Row

QUALITY = "ndcg10"
COSTS: Mapping[str, tuple[str, Callable[[Row], float | None]]] = {
    "seconds": ("seconds of training steps an epoch", lambda row: row.seconds.mean if row.seconds else None),
    "memory": ("peak memory, MB", lambda row: row.peak_bytes.mean / 1e6 if row.peak_bytes else None),
    "parameters": ("trainable parameters", lambda row: row.parameters),
}
"""By the end of the file's name: what stands below the picture, and where it is found."""

_MARKERS = "osD^vP*Xp<>h"
_INCHES = (9.0, 6.0)
_DPI = 120


def write_plots(rows: Sequence[Row], stem: Path) -> list[Path]:
    """Writes a PNG for each cost that any row has, `STEM-seconds.png` and so on, and returns where.

    A row is a point with its standard error; a baseline, which costs next to nothing, is a line across.
    """
    written = []
    for name, (axis, cost) in COSTS.items():
        points = [(row, value) for row in rows if (value := cost(row)) and QUALITY in row.quality]
        if not points:
            continue
        figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _draw(axes, points, [row for row in rows if row.method in BASELINES and QUALITY in row.quality])
        axes.set_xlabel(axis)
        path = stem.with_name(f"{stem.name}-{name}.png")
        figure.savefig(path)
        written.append(path)
    return written


def _draw(axes: Axes, points: Sequence[tuple[Row, float]], baselines: Sequence[Row]) -> None:
    labels = list(dict.fromkeys(row.label for row, _ in points))
    for number, label in enumerate(labels):
        mine = [(row, value) for row, value in points if row.label == label]
        axes.errorbar(
            [value for _, value in mine],
            [row.quality[QUALITY].mean for row, _ in mine],
            yerr=[row.quality[QUALITY].error or 0.0 for row, _ in mine],
            linestyle="",
            marker=_MARKERS[number % len(_MARKERS)],
            capsize=2,
            label=label,
        )
        for row, value in mine:
            where = (value, row.quality[QUALITY].mean)
            axes.annotate(initials(row), where, xytext=(4, 4), textcoords="offset points", fontsize=7)
    for row in baselines:
        axes.axhline(row.quality[QUALITY].mean, linestyle=":", linewidth=1, color="grey")
        axes.annotate(row.label, (0.0, row.quality[QUALITY].mean), xycoords=("axes fraction", "data"), fontsize=7)
    axes.set_xscale("log")
    axes.set_ylabel("NDCG@10, mean and standard error over seeds")
    axes.legend(fontsize=8)
    axes.grid(visible=True, alpha=0.3)


def initials(row: Row) -> str:
    """Returns the modalities by their first letters: "tiav"."""
    return "".join(name[0] for name in row.modalities)
