"""A tiny world is built, served and measured for a fraction of a second."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bench.measuring import Options
from bench.serve import load, side_by_side, world
from bench.serve.cores import divide
from bench.serve.figures import FREE, FREE_ANEW, framework, of_world
from bench.serve.side_by_side import SideBySide
from bench.serve.world import World, WorldSpec, running_world

pytestmark = pytest.mark.e2e
TINY = WorldSpec(items=60, users=6, history=12, width=8, max_length=10)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Not below pytest's own folder, which only its owner may enter: PostgreSQL never runs as root."""
    with tempfile.TemporaryDirectory(prefix="crossan-bench-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def tiny(root: Path) -> Iterator[World]:
    with running_world(TINY, root) as made:
        yield made


@pytest.fixture
def bench(tiny: World, monkeypatch: pytest.MonkeyPatch) -> SideBySide:
    """Loads of a moment by our own generator: wrk knows whole seconds only."""
    monkeypatch.setattr(load.shutil, "which", lambda name: None)
    monkeypatch.setattr(side_by_side, "QUICK_RUN_S", 0.1)
    return SideBySide(tiny, divide(), Options(quick=True, only=frozenset({"recommend_cold", "tail"})))


def test_it_compares_ours_with_the_bare_route(bench: SideBySide) -> None:
    found = dict(of_world(bench))
    assert found.keys() == {"recommend_cold", "tail"}
    assert found["recommend_cold"].ratio > 0
    assert found["recommend_cold"].runs == found["tail"].runs == 3
    assert found["tail"].ratio >= 1
    answer, log = (bench.folder / "answer.json").read_text(), (bench.folder / "server.log").read_text()
    assert '"personalised":true' in answer
    assert "Traceback" not in log


def test_the_framework_alone_answers_as_the_whole_does(bench: SideBySide) -> None:
    assert all(framework(bench, module).ratio > 0 for module in (FREE, FREE_ANEW))


def test_a_world_has_what_it_is_named_for(tiny: World) -> None:
    with psycopg.connect(str(tiny.settings.database_url)) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table in ("items", "item_vectors", "events", "model_versions")
        ]
    assert counts == [(60,), (60,), (6 * 12,), (1,)]
    assert tiny.users == ("u0", "u1", "u2", "u3", "u4", "u5")


def test_a_finished_world_is_known_by_the_code_that_made_it(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world._built(tiny.settings.data_dir) == tiny.key
    monkeypatch.setattr(world, "_digest", lambda: "other code")
    assert world._built(tiny.settings.data_dir) is None
