"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

import migrations

_RESTAMP = [
    f"UPDATE {table} SET {key} = {key} WHERE changed_xid >= pg_snapshot_xmax(pg_current_snapshot())"
    for table, key in (("items", "item_id"), ("item_vectors", "item_pk"))
]
"""Rows restored from another cluster carry numbers of this one's future (ADR 0002): they get present ones."""


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
        for statement in _RESTAMP:
            connection.execute(text(statement))
