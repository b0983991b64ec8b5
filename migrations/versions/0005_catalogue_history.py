"""What items and vectors were before they changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.db.base import Xid8

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Only what a ranking sees counts as a change of an item or a vector: the rest leaves `changed_xid` alone. A row that
# was made in the transaction that changes it was never seen by another.
ITEM_FIELDS = ("title", "available", "published_at", "categories", "attributes", "deleted_at")
TRIGGERS = (
    f"""
CREATE FUNCTION keep_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF ({", ".join(f"NEW.{name}" for name in ITEM_FIELDS)})
                IS NOT DISTINCT FROM ({", ".join(f"OLD.{name}" for name in ITEM_FIELDS)}) THEN
            RETURN NEW;
        END IF;
        NEW.changed_xid := pg_current_xact_id();
    END IF;
    IF OLD.changed_xid <> pg_current_xact_id() AND EXISTS (SELECT FROM projects WHERE id = OLD.project_id) THEN
        INSERT INTO item_history (project_id, item_pk, item_id, title, available, published_at, created_at,
            categories, attributes, deleted_at, changed_xid, ended_xid)
        VALUES (OLD.project_id, OLD.id, OLD.item_id, OLD.title, OLD.available, OLD.published_at, OLD.created_at,
            OLD.categories, OLD.attributes, OLD.deleted_at, OLD.changed_xid, pg_current_xact_id());
    END IF;
    RETURN NEW;
END
$$
""",
    """
CREATE FUNCTION keep_item_vector() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.vector, NEW.shares) IS NOT DISTINCT FROM (OLD.vector, OLD.shares) THEN
            RETURN NEW;
        END IF;
        NEW.changed_xid := pg_current_xact_id();
    END IF;
    IF OLD.changed_xid <> pg_current_xact_id() AND EXISTS (SELECT FROM model_versions WHERE id = OLD.version_id) THEN
        INSERT INTO item_vector_history (version_id, item_pk, vector, shares, changed_xid, ended_xid)
        VALUES (OLD.version_id, OLD.item_pk, OLD.vector, OLD.shares, OLD.changed_xid, pg_current_xact_id());
    END IF;
    RETURN NEW;
END
$$
""",
)
KEPT = {"items": "keep_item", "item_vectors": "keep_item_vector"}
STAMP = """
CREATE FUNCTION stamp_changed_xid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_xid := pg_current_xact_id();
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "item_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("item_pk", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("attributes", postgresql.JSONB(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        *_lifetime(),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_item_history_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_history")),
    )
    op.create_index(op.f("ix_item_history_project_id_ended_xid"), "item_history", ["project_id", "ended_xid"])
    op.create_index(op.f("ix_item_history_ended_at"), "item_history", ["ended_at"])
    op.create_table(
        "item_vector_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("item_pk", sa.BigInteger(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("shares", sa.LargeBinary(), nullable=False),
        *_lifetime(),
        sa.ForeignKeyConstraint(
            ["version_id"], ["model_versions.id"], name=op.f("fk_item_vector_history_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_vector_history")),
    )
    op.create_index(
        op.f("ix_item_vector_history_version_id_ended_xid"), "item_vector_history", ["version_id", "ended_xid"]
    )
    op.create_index(op.f("ix_item_vector_history_ended_at"), "item_vector_history", ["ended_at"])
    op.create_table(
        "catalogue_horizons",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_xid", Xid8(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_catalogue_horizons_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_catalogue_horizons")),
    )
    # Of what was before this migration nothing is known.
    op.execute("INSERT INTO catalogue_horizons SELECT id, pg_current_xact_id() FROM projects")
    for function in TRIGGERS:
        op.execute(function)
    for table, function in KEPT.items():
        op.execute(f"DROP TRIGGER stamp_changed ON {table}")
        op.execute(f"CREATE TRIGGER keep_changed BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
        op.execute(f"CREATE TRIGGER keep_deleted AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
    op.execute("DROP FUNCTION stamp_changed_xid")


def _lifetime() -> list[sa.Column[object]]:
    return [
        sa.Column("changed_xid", Xid8(), nullable=False),
        sa.Column("ended_xid", Xid8(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    ]


def downgrade() -> None:
    op.execute(STAMP)
    for table, function in KEPT.items():
        op.execute(f"DROP TRIGGER keep_deleted ON {table}")
        op.execute(f"DROP TRIGGER keep_changed ON {table}")
        op.execute(f"DROP FUNCTION {function}")
        op.execute(
            f"CREATE TRIGGER stamp_changed BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION stamp_changed_xid()"
        )
    op.drop_table("catalogue_horizons")
    op.drop_table("item_vector_history")
    op.drop_table("item_history")
