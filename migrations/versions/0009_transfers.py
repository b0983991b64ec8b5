"""Import and export jobs, media by URL."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WAITING = "uq_jobs_waiting"
BEFORE = "state = 'queued' AND kind IN ('encode', 'index')"
NOW = "state = 'queued' AND kind IN ('encode', 'index', 'fetch', 'deliver')"


def upgrade() -> None:
    _coalesce(NOW)


def downgrade() -> None:
    _coalesce(BEFORE)


def _coalesce(condition: str) -> None:
    """Of which kinds one waiting job stands for all."""
    op.drop_index(WAITING, table_name="jobs")
    op.create_index(WAITING, "jobs", ["project_id", "kind"], unique=True, postgresql_where=sa.text(condition))
