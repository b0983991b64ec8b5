"""Queries for versions, the live pointer, and item vectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from sqlalchemy import delete, exists, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from app.core.types import ItemState, MediaState, VersionId
from app.db.repository import Repository
from app.db.tables import (
    HiddenStatesRow,
    ItemRow,
    ItemVectorHistoryRow,
    ItemVectorRow,
    MediaRow,
    ModelVersionRow,
    ProjectRow,
)


@dataclass(frozen=True)
class StatesLocation:
    """Where the hidden states of one item's medium lie."""

    item_pk: int
    modality: str
    shard: str
    shard_row: int


@dataclass(frozen=True)
class UnseenMedium:
    """A medium that an encoder of the live version's own has not finished with."""

    item_pk: int
    modality: str
    content_hash: str
    state: str


@dataclass(frozen=True)
class StaleItem:
    """An item whose vector is missing or was made from other contents."""

    pk: int
    content_key: str


@dataclass(frozen=True)
class NewVector:
    """A vector to be written: bytes are little-endian float32."""

    item_pk: int
    vector: bytes
    shares: bytes
    content_key: str

    @classmethod
    def of(
        cls, item_pk: int, vector: NDArray[np.float32], shares: NDArray[np.float32], content_key: str
    ) -> "NewVector":
        """From arrays: vector [d_e] and shares [m]."""
        return cls(item_pk, vector.astype("<f4").tobytes(), shares.astype("<f4").tobytes(), content_key)


_COMPARE_VECTORS = text("""
UPDATE items SET
    needs_vector = NOT compared.fresh AND :reads_content,
    state = CASE WHEN state IN ('encoded', 'ready') THEN CASE WHEN compared.fresh THEN 'ready' ELSE 'encoded' END
            ELSE state END
FROM (
    SELECT items.id,
        item_vectors.item_pk IS NOT NULL
            AND (NOT :reads_content OR item_vectors.content_key = items.content_key) AS fresh
    FROM items LEFT JOIN item_vectors ON item_vectors.item_pk = items.id AND item_vectors.version_id = :version
    WHERE items.project_id = :project AND items.content_key IS NOT NULL AND items.deleted_at IS NULL
) AS compared
WHERE items.id = compared.id AND items.state <> 'pending'
    AND (items.needs_vector, items.state = 'ready') IS DISTINCT FROM
        (NOT compared.fresh AND :reads_content, compared.fresh AND items.state IN ('encoded', 'ready'))
""")


class ModelRepository(Repository):
    """The versions of one project."""

    def lock_project(self) -> ProjectRow:
        """Hold the project's version numbers and live pointer until the transaction ends."""
        query = select(ProjectRow).where(ProjectRow.id == self.project).with_for_update(key_share=True)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one()

    def hold_live(self) -> None:
        """Keep the live pointer where it is until the transaction ends; others may hold it too."""
        self.session.execute(select(ProjectRow.id).where(ProjectRow.id == self.project).with_for_update(read=True))

    def live(self) -> ModelVersionRow | None:
        """The version that serves."""
        query = select(ModelVersionRow).join(ProjectRow, ProjectRow.live_version_id == ModelVersionRow.id)
        return self.session.scalars(query.where(ProjectRow.id == self.project)).one_or_none()

    def all(self) -> Sequence[ModelVersionRow]:
        """Every version that is not deleted, newest first."""
        query = select(ModelVersionRow).where(
            ModelVersionRow.project_id == self.project, ModelVersionRow.deleted_at.is_(None)
        )
        return self.session.scalars(query.order_by(ModelVersionRow.number.desc())).all()

    def by_number(self, number: int) -> ModelVersionRow | None:
        """The version `v<number>`, unless it is deleted."""
        query = select(ModelVersionRow).where(
            ModelVersionRow.project_id == self.project,
            ModelVersionRow.number == number,
            ModelVersionRow.deleted_at.is_(None),
        )
        return self.session.scalars(query).one_or_none()

    def to_restore(self) -> Sequence[ModelVersionRow]:
        """Archived versions that shall have their item vectors again."""
        query = select(ModelVersionRow).where(
            ModelVersionRow.project_id == self.project,
            ModelVersionRow.restore_requested_at.is_not(None),
            ModelVersionRow.deleted_at.is_(None),
        )
        return self.session.scalars(query, execution_options={"populate_existing": True}).all()

    def item_pks(self) -> Mapping[str, int]:
        """The keys of all items that are not deleted, by their ids."""
        query = select(ItemRow.item_id, ItemRow.id).where(
            ItemRow.project_id == self.project, ItemRow.deleted_at.is_(None)
        )
        return {item_id: pk for item_id, pk in self.session.execute(query)}

    def drop_vectors(self, version: VersionId) -> None:
        """Forget the item vectors of a version; what they were stays for replays. The caller holds the project."""
        self.session.execute(delete(ItemVectorRow).where(ItemVectorRow.version_id == version))

    def drop_history(self, version: VersionId) -> None:
        """Forget what the vectors of a version were."""
        self.session.execute(delete(ItemVectorHistoryRow).where(ItemVectorHistoryRow.version_id == version))

    def add(self, *, method: str, job: UUID, artifact: str, manifest: dict[str, Any]) -> ModelVersionRow:
        """The next version; the caller holds the project."""
        newest = select(func.coalesce(func.max(ModelVersionRow.number), 0)).where(
            ModelVersionRow.project_id == self.project
        )
        row = ModelVersionRow(
            project_id=self.project,
            number=self.session.scalars(newest).one() + 1,
            method=method,
            job_id=job,
            artifact=artifact,
            manifest=manifest,
        )
        self.session.add(row)
        self.session.flush()
        return row

    def set_live(self, version: ModelVersionRow) -> None:
        """Move the pointer, and have the items whose vector under this version is missing or stale looked at."""
        self.session.execute(update(ProjectRow).where(ProjectRow.id == self.project).values(live_version_id=version.id))
        reads_content = bool(version.manifest["modalities"])
        self.session.execute(
            _COMPARE_VECTORS, {"project": self.project, "version": version.id, "reads_content": reads_content}
        )

    def stale_items(self, *, limit: int) -> Sequence[StaleItem]:
        """Items that wait for a vector, locked so that two workers share the work."""
        query = (
            select(ItemRow.id, ItemRow.content_key)
            .where(ItemRow.project_id == self.project, ItemRow.needs_vector)
            .order_by(ItemRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [StaleItem(pk, key or "") for pk, key in self.session.execute(query)]

    def unseen_media(self, pks: Sequence[int], own: Mapping[str, str]) -> Sequence[UnseenMedium]:
        """What a version's own encoders, fingerprints by modality, still have to look at for these items.

        What has failed under the encoder in charge is not for them; what has failed under them is finished.
        """
        if not own:
            return []
        finished = exists().where(
            HiddenStatesRow.project_id == MediaRow.project_id,
            HiddenStatesRow.content_hash == MediaRow.content_hash,
            tuple_(MediaRow.modality, HiddenStatesRow.fingerprint).in_(list(own.items())),
            HiddenStatesRow.state != MediaState.PENDING,
        )
        query = select(MediaRow.item_pk, MediaRow.modality, MediaRow.content_hash, MediaRow.state).where(
            MediaRow.item_pk.in_(pks), MediaRow.modality.in_(list(own)), MediaRow.state != MediaState.FAILED, ~finished
        )
        return [UnseenMedium(*row) for row in self.session.execute(query)]

    def list_contents(self, media: Iterable[UnseenMedium], own: Mapping[str, str]) -> bool:
        """Put contents on the work list of these encoders, once; whether any was not there yet.

        What the encoder in charge has not been through itself comes when it has.
        """
        # In one order for everybody, so that two who list the same contents wait for each other and not in a circle.
        contents = sorted(
            {(one.content_hash, one.modality) for one in media if one.state == MediaState.ENCODED},
        )
        if not contents:
            return False
        rows = [
            {"project_id": self.project, "content_hash": content, "modality": name, "fingerprint": own[name]}
            for content, name in contents
        ]
        statement = insert(HiddenStatesRow).values(rows).on_conflict_do_nothing().returning(HiddenStatesRow.id)
        return bool(self.session.scalars(statement).all())

    def locate_states(self, pks: Sequence[int], encoders: Iterable[tuple[str, str]]) -> Sequence[StatesLocation]:
        """Where the hidden states of these items lie, under encoders given as (modality, fingerprint)."""
        query = (
            select(MediaRow.item_pk, MediaRow.modality, HiddenStatesRow.shard, HiddenStatesRow.shard_row)
            .join(
                HiddenStatesRow,
                (HiddenStatesRow.project_id == MediaRow.project_id)
                & (HiddenStatesRow.content_hash == MediaRow.content_hash),
            )
            .where(
                MediaRow.item_pk.in_(pks),
                tuple_(MediaRow.modality, HiddenStatesRow.fingerprint).in_(list(encoders)),
                HiddenStatesRow.state == MediaState.ENCODED,
            )
        )
        found = self.session.execute(query)
        return [StatesLocation(pk, modality, shard or "", row or 0) for pk, modality, shard, row in found]

    def write_vectors(self, version: VersionId, vectors: Iterable[NewVector]) -> None:
        """Insert or replace vectors, streamed by COPY."""
        self.session.flush()
        connection: Connection[Any] = self.session.connection().connection.driver_connection  # type: ignore[assignment]
        columns = "item_pk bigint, vector bytea, shares bytea, content_key text"
        self.session.execute(text(f"CREATE TEMP TABLE IF NOT EXISTS new_vectors ({columns}) ON COMMIT DELETE ROWS"))
        with connection.cursor() as cursor, cursor.copy("COPY new_vectors FROM STDIN") as copy:
            for new in vectors:
                copy.write_row((new.item_pk, new.vector, new.shares, new.content_key))
        # An item may have been deleted since its vector was computed: the join drops it.
        self.session.execute(
            text(
                "INSERT INTO item_vectors (version_id, item_pk, vector, shares, content_key) "
                "SELECT :version, n.item_pk, n.vector, n.shares, n.content_key "
                "FROM new_vectors n JOIN items i ON i.id = n.item_pk AND i.deleted_at IS NULL ORDER BY n.item_pk "
                "ON CONFLICT (version_id, item_pk) DO UPDATE SET "
                "vector = EXCLUDED.vector, shares = EXCLUDED.shares, content_key = EXCLUDED.content_key"
            ),
            {"version": version},
        )
        self.session.execute(text("DELETE FROM new_vectors"))

    def mark_indexed(self, items: Sequence[StaleItem], *, ready: Sequence[int]) -> None:
        """Take items off the waiting list; those in `ready` have their vector."""
        self.session.execute(
            update(ItemRow).where(ItemRow.id.in_([item.pk for item in items])).values(needs_vector=False)
        )
        self.session.execute(
            update(ItemRow)
            .where(ItemRow.id.in_(ready), ItemRow.state == ItemState.ENCODED)
            .values(state=ItemState.READY)
        )
