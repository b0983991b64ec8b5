"""The graph inside PostgreSQL: proposes what the exact index finds, is made once, and never fails a search."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text

from app.core.types import VersionId
from app.db.migrate import alembic_config, upgrade
from app.recommendations.search import database_graph
from app.recommendations.search.build import build_index
from app.recommendations.search.database_graph import INDEX, DatabaseGraph, KeptVectors, drop_forgotten
from app.recommendations.search.index import NO_ROW
from app.recommendations.search.pgvector import PgvectorIndex
from app.recommendations.search.policy import IndexPolicy
from app.telemetry.metrics import INDEX_FAILURES
from tests.app.recommendations.search.catalogues import Vectors, assert_exact, catalogue, users

ROWS = 2_000
WANTED = IndexPolicy(kind="pgvector", recall=0.95)


@dataclass
class Kept:
    """Vectors here and in the database; the numbers of the items are in another order than the rows."""

    vectors: Vectors
    kept: KeptVectors

    def index(self) -> PgvectorIndex:
        index = build_index(self.vectors, WANTED, self.kept)
        assert isinstance(index, PgvectorIndex), index.report.reason
        return index

    def execute(self, statement: str, **values: object) -> None:
        with self.kept.engine.begin() as connection:
            connection.execute(text(statement), values)

    def write(self, row: int, vector: np.ndarray) -> None:
        values = {"pk": int(self.kept.pks[row]), "vector": vector.astype("<f4").tobytes()}
        self.execute("UPDATE item_vectors SET vector = :vector WHERE item_pk = :pk", **values)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def kept(engine: Engine) -> Kept:
    return keep(engine, catalogue(ROWS, absent=0.1))


def keep(engine: Engine, vectors: Vectors) -> Kept:
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO projects (name) VALUES ('p')")
        connection.exec_driver_sql(
            "INSERT INTO model_versions (project_id, number, method, artifact, manifest) "
            "SELECT id, 1, 'crossan', 'a', '{}' FROM projects"
        )
        connection.exec_driver_sql(
            "INSERT INTO items (project_id, item_id) "
            f"SELECT id, n::text FROM projects, generate_series(1, {len(vectors.values)}) n"
        )
        version = connection.scalar(text("SELECT id FROM model_versions"))
        found = connection.scalars(text("SELECT id FROM items ORDER BY id")).all()
        pks = np.random.default_rng(5).permutation(np.array(found, np.int64))
        insert = text(
            "INSERT INTO item_vectors (version_id, item_pk, vector, shares, content_key) "
            "SELECT :version, pk, vector, '', '' FROM unnest(CAST(:pks AS bigint[]), CAST(:raw AS bytea[])) "
            "AS new(pk, vector)"
        )
        here = np.flatnonzero(vectors.present)
        raw = [vectors.values[row].astype("<f4").tobytes() for row in here]
        connection.execute(insert, {"version": version, "pks": pks[here].tolist(), "raw": raw})
    return Kept(vectors, KeptVectors(engine, VersionId(version), pks))


def graphs(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = text("SELECT indexname FROM pg_indexes WHERE indexname LIKE :like")
        return list(connection.scalars(query, {"like": f"{INDEX}%"}))


def test_bytes_are_read_as_numbers_of_nearly_the_same_value(engine: Engine) -> None:
    numbers = np.array([0, -0.0, 1, -1.5, 3e38, -3e38, 1e-37, 1e-45, 0.1, -123.456], np.float32)
    with engine.connect() as connection:
        read = "SELECT searchable_floats(:raw)"
        found = connection.scalar(text(read), {"raw": numbers.tobytes()})
        assert connection.scalar(text(read), {"raw": np.array([np.inf, np.nan], np.float32).tobytes()}) == [0.0, 0.0]
        assert connection.scalar(text(read), {"raw": b""}) == []
    assert np.allclose(found, numbers, rtol=2**-15, atol=1e-40)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("k", [10, 300])
def test_finds_what_the_exact_index_finds(kept: Kept, batch: int, k: int) -> None:
    index = kept.index()
    index.width = 1_000
    assert_exact(index, kept.vectors, users(batch), k)
    report = index.report
    assert (report.kind, report.items, report.reason) == ("pgvector", kept.vectors.present.sum(), "settings: pgvector")
    assert report.recall >= 0.95
    assert report.settings["width"] >= 64
    assert report.settings["database_bytes"] > 0
    assert report.size_bytes == 16 * ROWS


def test_more_is_asked_for_than_there_is(kept: Kept) -> None:
    assert_exact(kept.index(), kept.vectors, users(2), ROWS)


def test_a_look_at_the_graph_and_not_at_every_row(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    index = kept.index()
    monkeypatch.setattr(index._exact, "search", None)
    with kept.kept.engine.connect() as connection:
        used = text("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE :like")
        index.search(users(3), 10)
        deadline = time.monotonic() + 30
        while not connection.scalar(used, {"like": f"{INDEX}%"}):
            assert time.monotonic() < deadline
            connection.rollback()
            time.sleep(0.1)


def test_new_and_changed_items_are_found_at_once_and_deleted_ones_are_not(kept: Kept) -> None:
    index, user = kept.index(), users(1)
    best, second = (int(row) for row in index.search(user, 2)[0][0])
    # Gone here and still in the database, as for a process that has looked in another order.
    index.changed(kept.vectors.write(best, None))
    assert index.search(user, 1)[0].tolist() == [[second]]
    kept.execute("DELETE FROM item_vectors WHERE item_pk = :pk", pk=int(kept.kept.pks[second]))
    assert second not in index.search(user, 10)[0]
    index.changed(kept.vectors.write(ROWS, user[0] * 9))
    assert index.search(user, 1)[0].tolist() == [[ROWS]]
    assert not index.is_worn


def test_what_is_written_is_proposed_by_every_process_before_it_has_looked(kept: Kept) -> None:
    index, user = kept.index(), users(1)
    worst = int(np.argmin(np.where(kept.vectors.present, kept.vectors.values @ user[0], np.inf)))
    kept.write(worst, user[0] * 9)
    numbers = index._graph.nearest(user, 1, width=64)
    assert numbers.tolist() == [[int(kept.kept.pks[worst])]]
    assert worst not in index.search(user, 1)[0]


def test_items_that_came_after_it_was_built_are_passed_over(kept: Kept) -> None:
    pks = kept.kept.pks[: ROWS // 2]
    index = PgvectorIndex(kept.vectors, KeptVectors(kept.kept.engine, kept.kept.version, pks))
    assert index._proposed(users(2), 50).rows.max() < ROWS // 2
    assert (index._proposed(users(2), 50).rows == NO_ROW).any()


def test_those_who_need_it_at_once_make_it_once_while_others_write(kept: Kept) -> None:
    with ThreadPoolExecutor(4) as pool:
        building = pool.map(lambda _: kept.index(), range(3))
        kept.write(int(np.flatnonzero(kept.vectors.present)[0]), users(1)[0])
    assert {index.report.kind for index in building} == {"pgvector"}
    assert graphs(kept.kept.engine) == [f"{INDEX}{kept.kept.version}"]


def test_one_whose_building_was_cut_off_is_made_again(kept: Kept) -> None:
    kept.index()
    name = f"{INDEX}{kept.kept.version}"
    kept.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
    assert_exact(kept.index(), kept.vectors, users(2), 10)
    with kept.kept.engine.connect() as connection:
        assert connection.scalar(text(f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{name}'::regclass"))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("EXTENSION", "vektor", "PostgreSQL has no extension vektor"),
        ("LEAST_RELEASE", (99, 0), "is older than 99.0"),
        ("MOST_COLUMNS", 8, "vectors have more than 8 columns"),
    ],
)
def test_without_pgvector_another_kind_serves(
    kept: Kept, name: str, value: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_graph, name, value)
    index = build_index(kept.vectors, WANTED, kept.kept)
    assert index.report.kind == "quantised"
    assert index.report.reason.startswith("settings: pgvector; pgvector: ")
    assert index.report.reason.endswith(reason)
    assert_exact(index, kept.vectors, users(2), 10)


def test_one_that_finds_too_little_gives_way(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    found = DatabaseGraph.nearest
    monkeypatch.setattr(DatabaseGraph, "nearest", lambda *args, **options: found(*args, **options)[::-1])
    index = build_index(kept.vectors, WANTED, kept.kept)
    assert index.report.kind == "quantised"
    assert "pgvector: recall 0." in index.report.reason
    assert_exact(index, kept.vectors, users(2), 10)


def test_where_the_database_fails_every_vector_is_read(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    index = kept.index()
    failures = INDEX_FAILURES._value.get()
    monkeypatch.setattr(database_graph, "TIMEOUT_MS", 1)
    monkeypatch.setattr(database_graph, "TIMEOUT_A_USER_MS", 0)
    with kept.kept.engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE item_vectors")
        assert_exact(index, kept.vectors, users(2), 10)
        assert_exact(index, kept.vectors, users(2), 10)
    assert INDEX_FAILURES._value.get() == failures + 1
    monkeypatch.undo()
    monkeypatch.setattr(index, "_rests_until", 0.0)
    assert index.search(users(2), 10)[0].min() >= 0
    assert INDEX_FAILURES._value.get() == failures + 1


@pytest.mark.parametrize("gone", ["deleted_at", "archived_at"])
def test_it_goes_with_its_version(kept: Kept, gone: str) -> None:
    kept.index()
    drop_forgotten(kept.kept.engine)
    assert len(graphs(kept.kept.engine)) == 1
    kept.execute(f"UPDATE model_versions SET {gone} = now()")
    drop_forgotten(kept.kept.engine)
    assert graphs(kept.kept.engine) == []


def test_an_older_schema_has_no_graph_and_a_newer_one_can_have_it_again(kept: Kept, database_url: str) -> None:
    kept.index()
    command.downgrade(alembic_config(database_url), "0009")
    assert graphs(kept.kept.engine) == []
    upgrade(database_url)
    assert_exact(kept.index(), kept.vectors, users(2), 10)
