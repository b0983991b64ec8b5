"""Alembic migrations of the PostgreSQL schema, oldest first in `versions/`."""
