"""Idempotency keys, rates of API keys, what a job belongs to, and how fresh items are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NOTE_INSERTED = """
CREATE FUNCTION note_arrivals_of_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO arrivals (item_pk, project_id, arrived_at)
    SELECT DISTINCT item_pk, project_id, now() FROM added ORDER BY item_pk
    ON CONFLICT (item_pk) DO UPDATE SET arrived_at = excluded.arrived_at;
    RETURN NULL;
END $$
"""
NOTE_CHANGED = """
CREATE FUNCTION note_arrivals_of_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO arrivals (item_pk, project_id, arrived_at)
    SELECT DISTINCT n.item_pk, n.project_id, now() FROM changed n JOIN before o ON o.id = n.id
    WHERE o.content_hash <> n.content_hash ORDER BY n.item_pk
    ON CONFLICT (item_pk) DO UPDATE SET arrived_at = excluded.arrived_at;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("rate_per_s", sa.Float(), nullable=True))
    op.add_column("api_keys", sa.Column("burst", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    _create_idempotent_requests()
    _create_freshness()
    op.execute(NOTE_INSERTED)
    op.execute(NOTE_CHANGED)
    op.execute(
        "CREATE TRIGGER note_arrivals_of_new AFTER INSERT ON media "
        "REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION note_arrivals_of_new()"
    )
    op.execute(
        "CREATE TRIGGER note_arrivals_of_changed AFTER UPDATE ON media "
        "REFERENCING OLD TABLE AS before NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION note_arrivals_of_changed()"
    )


def _create_idempotent_requests() -> None:
    op.create_table(
        "idempotent_requests",
        _project(),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("effect_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_idempotent_requests_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_idempotent_requests")),
    )
    op.create_index(op.f("ix_idempotent_requests_started_at"), "idempotent_requests", ["started_at"])


def _create_freshness() -> None:
    op.create_table(
        "arrivals",
        sa.Column("item_pk", sa.BigInteger(), nullable=False),
        _project(),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["item_pk"], ["items.id"], name=op.f("fk_arrivals_item_pk"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_arrivals_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("item_pk", name=op.f("pk_arrivals")),
    )
    op.create_index(op.f("ix_arrivals_project_id"), "arrivals", ["project_id"])
    op.create_table(
        "freshness",
        _project(),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_freshness_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "bucket", name=op.f("pk_freshness")),
    )


def _project() -> sa.Column[int]:
    return sa.Column("project_id", sa.BigInteger(), nullable=False)


def downgrade() -> None:
    for kind in ("new", "changed"):
        op.execute(f"DROP TRIGGER note_arrivals_of_{kind} ON media")
        op.execute(f"DROP FUNCTION note_arrivals_of_{kind}")
    op.drop_table("freshness")
    op.drop_table("arrivals")
    op.drop_table("idempotent_requests")
    op.drop_column("jobs", "trace")
    op.drop_column("api_keys", "burst")
    op.drop_column("api_keys", "rate_per_s")
