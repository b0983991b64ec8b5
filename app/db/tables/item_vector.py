"""Item vectors: each item under each version, with the shares of its modality experts."""

from sqlalchemy import ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Xid8


class ItemVectorRow(Base):
    """Vector [d_e] and shares [m] as little-endian float32 bytes, made from the contents named by `content_key`."""

    __tablename__ = "item_vectors"
    __table_args__ = (Index(None, "version_id", "changed_xid"), Index(None, "item_pk"))

    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True)
    item_pk: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    shares: Mapped[bytes] = mapped_column(LargeBinary)
    content_key: Mapped[str]
    changed_xid: Mapped[int] = mapped_column(Xid8, server_default=func.pg_current_xact_id())
