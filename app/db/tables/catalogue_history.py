"""What items and vectors were before they changed, filled by triggers; and how far back that reaches."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Pk, ProjectFk, Xid8


class ItemHistoryRow(Base):
    """What a ranking saw of an item from transaction `changed_xid` on, until transaction `ended_xid`."""

    __tablename__ = "item_history"
    __table_args__ = (Index(None, "project_id", "ended_xid"), Index(None, "ended_at"))

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    item_pk: Mapped[int]
    item_id: Mapped[str]
    title: Mapped[str]
    available: Mapped[bool]
    published_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    categories: Mapped[list[str]]
    attributes: Mapped[dict[str, Any]]
    deleted_at: Mapped[datetime | None]
    changed_xid: Mapped[int] = mapped_column(Xid8)
    ended_xid: Mapped[int] = mapped_column(Xid8)
    ended_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ItemVectorHistoryRow(Base):
    """The vector and the shares that an item had under a version from `changed_xid` on, until `ended_xid`."""

    __tablename__ = "item_vector_history"
    __table_args__ = (Index(None, "version_id", "ended_xid"), Index(None, "ended_at"))

    id: Mapped[Pk]
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"))
    item_pk: Mapped[int]
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    shares: Mapped[bytes] = mapped_column(LargeBinary)
    changed_xid: Mapped[int] = mapped_column(Xid8)
    ended_xid: Mapped[int] = mapped_column(Xid8)
    ended_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CatalogueHorizonRow(Base):
    """Snapshots that begin at or before `forgotten_xid` can't be given back any more."""

    __tablename__ = "catalogue_horizons"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    forgotten_xid: Mapped[int] = mapped_column(Xid8)
