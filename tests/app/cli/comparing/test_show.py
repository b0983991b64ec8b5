from typing import Any

import pytest

from app.cli.comparing import show
from app.cli.comparing.show import HEADS, TABLE_COLUMNS, Watch, cells_of, print_table
from model.compare.report import Mean, Row


class Started:
    """A comparison of which nothing has run yet."""

    undescribed = 4

    def __init__(self) -> None:
        self.results: list[dict[str, Any] | None] = [None, None]
        self.dataset = {"items": 9, "users": 8, "events": 70, "left_out": 2, "failed": ["image of item 3: no"]}
        self.skipped = {"als": "needs [more]"}


def row(label: str, *modalities: str, cold_targets: int | None = None) -> Row:
    """Values as wide as they come."""
    share = Mean(0.1234, 0.0123, 3)
    return Row(
        label,
        label.partition(":")[0],
        modalities,
        quality={"hr10": share, "ndcg10": share, "mrr": share, "coverage10": share},
        cold=Mean(0.25, 0.125, 3) if cold_targets else None,
        cold_targets=cold_targets,
        seconds=Mean(123.45, 1.25, 3),
        cpu_seconds=Mean(123.45, 1.25, 3),
        best_epoch=Mean(12.3, 0.6, 3),
        peak_bytes=Mean(1.234e9, 2e7, 3),
        parameters=112_345_678,
        tpme=0.1234,
    )


def test_both_reasons_to_leave_items_out_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(show.notes, "print", lambda line, **options: said.append(line))
    Watch(lambda line: None).begin(Started())
    assert said == [
        "9 items, 8 users, 70 events; left out of all rows: 4 items without a medium of one of the subsets, "
        "2 more whose media could not be encoded",
        "  image of item 3: no",
        "als is skipped: it needs [more]",
        "2 runs, 0 of them done by an earlier command",
    ]


def test_cold_targets_have_a_column() -> None:
    cells = dict(zip(HEADS, cells_of(row("id", cold_targets=22)), strict=True))
    assert cells["cold HR@50"] == "0.250 ±0.125"
    assert dict(zip(HEADS, cells_of(row("id", cold_targets=0)), strict=True))["cold HR@50"] is None


def test_the_table_fits_and_keeps_numbers_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = row("crossan:modality_dropout=0.25", "text", "image", "audio", "video", cold_targets=22)
    print_table([row("popular"), long], seeds=3)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == (
        "Test, 3 seeds, mean ± standard error; cold: targets with at most 5 training events (22)"
    )
    assert max(len(line.rstrip()) for line in lines) <= TABLE_COLUMNS == 180
    text = "\n".join(lines)
    for cell in (*cells_of(long)[2:], *HEADS):
        assert str(cell) in text


def test_without_cold_targets_known_the_title_is_silent_about_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([row("popular")], seeds=2)
    assert capsys.readouterr().out.splitlines()[0].rstrip() == "Test, 2 seeds, mean ± standard error"
