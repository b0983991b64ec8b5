"""PostgreSQL and the API process: bytes of an item, a vector, an event and an answer; seconds until one is ready."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench.measuring import Options
from bench.serve.cores import divide, running_on
from bench.serve.side_by_side import PRODUCT, SideBySide
from bench.serve.world import World, WorldSpec, running_world

USERS, QUICK_USERS = 20_000, 500
ITEMS, QUICK_ITEMS = (1_700, 100_000), (1_700,)
ASKED = 500
TABLES = {"item": "items", "vector": "item_vectors", "event": "events", "answer": "answers"}


def measure_storage(options: Options, root: Path) -> Iterator[dict[str, Any]]:
    """One row a world: bytes a row of each table, indexes counted, and the API process that serves it."""
    cores = divide()
    with running_on(cores.others):
        for items in QUICK_ITEMS if options.quick else ITEMS:
            spec = WorldSpec(items=items, users=QUICK_USERS if options.quick else USERS)
            with running_world(spec, root) as world:
                yield {"items": items, "users": spec.users, **_measured(SideBySide(world, cores, options))}


def _measured(bench: SideBySide) -> dict[str, Any]:
    asked = bench.world.users[:ASKED]
    with bench.ours(PRODUCT, {}, users=asked) as ours:
        memory_bytes = psutil.Process(ours.server.pid).memory_info().rss
        ours.rate_per_s()
    return {
        "ready_s": ours.server.ready_s,
        "process_bytes": memory_bytes,
        "bytes_of": _bytes_a_row(bench.world, TABLES),
    }


def _bytes_a_row(world: World, tables: dict[str, str]) -> dict[str, float]:
    with psycopg.connect(str(world.settings.database_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        return {name: _of_table(connection, table) for name, table in tables.items()}


def _of_table(connection: psycopg.Connection, table: str) -> float:
    row = connection.execute(f"SELECT pg_total_relation_size('{table}'), count(*) FROM {table}").fetchone()
    assert row is not None
    size_bytes, rows = row
    return float(size_bytes) / max(int(rows), 1)
