"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, NullPool, create_engine, text

import migrations

_FUTURE = "pg_snapshot_xmax(pg_current_snapshot())"
_IS_RESTORED = text(f"""
SELECT EXISTS (SELECT FROM items WHERE changed_xid >= {_FUTURE})
    OR EXISTS (SELECT FROM item_vectors WHERE changed_xid >= {_FUTURE})
    OR EXISTS (SELECT FROM item_history WHERE ended_xid >= {_FUTURE})
    OR EXISTS (SELECT FROM item_vector_history WHERE ended_xid >= {_FUTURE})
    OR EXISTS (SELECT FROM projects, LATERAL (
            SELECT snapshot FROM answers WHERE project_id = projects.id AND snapshot <> '' ORDER BY at DESC LIMIT 1
        ) AS newest WHERE pg_snapshot_xmax(newest.snapshot::pg_snapshot) > {_FUTURE})
""")
_RENUMBER = [
    f"UPDATE items SET changed_xid = pg_current_xact_id() WHERE changed_xid >= {_FUTURE}",
    f"UPDATE item_vectors SET changed_xid = pg_current_xact_id() WHERE changed_xid >= {_FUTURE}",
    "DELETE FROM item_history",
    "DELETE FROM item_vector_history",
    f"UPDATE answers SET snapshot = '' WHERE snapshot <> '' AND pg_snapshot_xmax(snapshot::pg_snapshot) > {_FUTURE}",
    "INSERT INTO catalogue_horizons SELECT id, pg_current_xact_id() FROM projects "
    "ON CONFLICT (project_id) DO UPDATE SET forgotten_xid = EXCLUDED.forgotten_xid",
]
"""Rows restored from another cluster carry numbers of this one's future (ADR 0002): they get present ones.

Snapshots of that cluster mean nothing here, so what the catalogue was in them (ADR 0008) is given up.
"""


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for the packaged migrations (there is no ini file)."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str) -> None:
    """Apply every migration that the database lacks; safe to run from several processes at once."""
    command.upgrade(alembic_config(database_url), "head")
    with create_engine(database_url, poolclass=NullPool).begin() as connection:
        _renumber(connection)


def _renumber(connection: Connection) -> None:
    if connection.scalar(_IS_RESTORED):
        for statement in _RENUMBER:
            connection.execute(text(statement))
