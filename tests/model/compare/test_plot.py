import io
from pathlib import Path

from PIL import Image

from model.compare.plan import Cell
from model.compare.plot import initials, write_plots
from model.compare.report import rows_of
from tests.model.compare.test_report import cell, result


def test_a_picture_for_each_cost(tmp_path: Path) -> None:
    cells = [cell("crossan", "text", "image"), cell("full", "text", "image"), Cell("popular", "popular", (), 0, {})]
    results = [result(0.3), result(0.2, seconds=20.0), {"metrics": {"test": {"ndcg10": 0.1}}}]
    rows = rows_of(cells, results)
    paths = write_plots(rows, tmp_path / "out")
    assert [path.name for path in paths] == ["out-seconds.png", "out-memory.png", "out-parameters.png"]
    for path in paths:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            assert (image.format, image.size) == ("PNG", (1080, 720))
    assert initials(rows[0]) == "ti"


def test_no_picture_without_a_point(tmp_path: Path) -> None:
    assert write_plots(rows_of([cell("id")], [None]), tmp_path / "out") == []
