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
    op.create_table(
        "media_fetches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_pk", sa.BigInteger(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["item_pk"], ["items.id"], name=op.f("fk_media_fetches_item_pk"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_media_fetches_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_fetches")),
        sa.UniqueConstraint("item_pk", "modality", name=op.f("uq_media_fetches_item_pk_modality")),
    )
    op.create_index(
        "ix_media_fetches_due",
        "media_fetches",
        ["project_id", "next_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index("ix_media_fetches_due", table_name="media_fetches", postgresql_where=sa.text("state = 'pending'"))
    op.drop_table("media_fetches")
    _coalesce(BEFORE)


def _coalesce(condition: str) -> None:
    """Of which kinds one waiting job stands for all."""
    op.drop_index(WAITING, table_name="jobs")
    op.create_index(WAITING, "jobs", ["project_id", "kind"], unique=True, postgresql_where=sa.text(condition))
