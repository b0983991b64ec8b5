"""Recorded answers, and events that name them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ATTRIBUTED = "ix_events_attributed"


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("version_id", sa.BigInteger(), nullable=True),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("scenario", sa.Text(), nullable=True),
        sa.Column("experiment_id", sa.BigInteger(), nullable=True),
        sa.Column("arm", sa.Text(), nullable=True),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("session", postgresql.JSONB(), nullable=True),
        sa.Column("history_count", sa.Integer(), nullable=True),
        sa.Column("history_through", sa.BigInteger(), nullable=True),
        sa.Column("history_digest", sa.LargeBinary(), nullable=True),
        sa.Column("rotated", postgresql.JSONB(), nullable=False),
        sa.Column("pool", sa.LargeBinary(), nullable=True),
        sa.Column("fallback", sa.Text(), nullable=True),
        sa.Column("rank_offset", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.Uuid(), nullable=True),
        sa.Column("item_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("scores", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("propensities", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("sources", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("rivals", postgresql.JSONB(), nullable=True),
        sa.Column("seen_positions", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_answers_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_project_id_at"), "answers", ["project_id", "at"])
    op.create_index(
        "ix_answers_user",
        "answers",
        ["project_id", "user_id", "at"],
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_table(
        "answer_pools",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("item_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_answer_pools_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_answer_pools")),
    )
    op.create_index(op.f("ix_answer_pools_project_id_last_at"), "answer_pools", ["project_id", "last_at"])
    op.add_column("events", sa.Column("recommendation_id", sa.Uuid(), nullable=True))
    op.create_index(
        ATTRIBUTED,
        "events",
        ["project_id", "recommendation_id"],
        postgresql_where=sa.text("recommendation_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(ATTRIBUTED, table_name="events")
    op.drop_column("events", "recommendation_id")
    op.drop_table("answer_pools")
    op.drop_table("answers")
