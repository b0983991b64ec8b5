"""Runs migrations online, one process at a time."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

from app.db import tables  # noqa: F401  (registers every table)
from app.db.base import Base

MIGRATION_LOCK = 0x63726F73
"""Advisory lock key: a second process waits for the first and then finds nothing left to do."""


def run() -> None:
    """Apply the migrations on one connection, under the lock."""
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()


run()
