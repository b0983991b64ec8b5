"""Writes many items, and what they have of media, with a query for all of them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, exists, select, text, update

from app.db.repository import Repository
from app.db.tables import ItemRow, ItemVectorRow, MediaRow
from app.items.intake import StoredMedia

_UPSERT = text("""
WITH given AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('items', 'id')) AS id, i.* FROM (
        SELECT * FROM unnest(
            CAST(:item_id AS text[]), CAST(:title AS text[]), CAST(:description AS text[]), CAST(:categories AS text[]),
            CAST(:attributes AS text[]), CAST(:available AS bool[]), CAST(:published_at AS timestamptz[])
        ) WITH ORDINALITY AS u (item_id, title, description, categories, attributes, available, published_at, place)
        ORDER BY place
    ) AS i
)
INSERT INTO items (id, project_id, item_id, title, description, categories, attributes, available, published_at)
SELECT g.id, :project, g.item_id, g.title, g.description,
    ARRAY(SELECT c.name FROM jsonb_array_elements_text(CAST(g.categories AS jsonb)) WITH ORDINALITY AS c (name, place)
          ORDER BY c.place),
    CAST(g.attributes AS jsonb), g.available, g.published_at
FROM given AS g
ORDER BY g.item_id COLLATE "C"
ON CONFLICT (project_id, item_id) DO UPDATE SET
    title = excluded.title, description = excluded.description, categories = excluded.categories,
    attributes = excluded.attributes, available = excluded.available, published_at = excluded.published_at,
    deleted_at = NULL, updated_at = now()
RETURNING item_id, id, (xmax = 0) AS inserted
""")

_SET_MEDIA = text("""
INSERT INTO media (
    project_id, item_pk, modality, source, content_hash, content_type, size_bytes, width, height, duration_s, state,
    error
)
SELECT :project, m.item_pk, m.modality, m.source, m.content_hash, m.content_type, m.size_bytes, m.width, m.height,
    m.duration_s, 'pending', NULL
FROM unnest(
    CAST(:item_pk AS bigint[]), CAST(:modality AS text[]), CAST(:source AS text[]), CAST(:content_hash AS text[]),
    CAST(:content_type AS text[]), CAST(:size_bytes AS bigint[]), CAST(:width AS bigint[]), CAST(:height AS bigint[]),
    CAST(:duration_s AS float8[])
) WITH ORDINALITY AS m (
    item_pk, modality, source, content_hash, content_type, size_bytes, width, height, duration_s, place
)
ORDER BY m.place
ON CONFLICT (item_pk, modality) DO UPDATE SET
    source = excluded.source, content_hash = excluded.content_hash, content_type = excluded.content_type,
    size_bytes = excluded.size_bytes, width = excluded.width, height = excluded.height,
    duration_s = excluded.duration_s, state = 'pending', error = NULL
WHERE media.content_hash <> excluded.content_hash OR excluded.source = 'upload' AND (
    media.state = 'failed' OR EXISTS (
        SELECT FROM hidden_states
        WHERE hidden_states.project_id = excluded.project_id AND hidden_states.content_hash = excluded.content_hash
            AND hidden_states.modality = excluded.modality AND hidden_states.state = 'failed'
    )
)
RETURNING item_pk, modality
""")


@dataclass(frozen=True)
class WrittenItem:
    """An item as it has been written."""

    pk: int
    created: bool
    """Whether it is new, or was deleted before."""


@dataclass(frozen=True)
class NewMedium:
    """A kept content that shall be an item's in one modality."""

    item_pk: int
    modality: str
    source: str
    stored: StoredMedia

    @property
    def values(self) -> dict[str, Any]:
        """Its columns."""
        info = self.stored.info
        return {
            "item_pk": self.item_pk,
            "modality": self.modality,
            "source": self.source,
            "content_hash": self.stored.content_hash,
            "content_type": info.content_type,
            "size_bytes": info.size_bytes,
            "width": info.width,
            "height": info.height,
            "duration_s": info.duration_s,
        }


@dataclass(frozen=True)
class PresentMedium:
    """What an item has in one modality."""

    item_id: str
    item_pk: int
    modality: str
    source: str
    content_hash: str


class ItemBatchRepository(Repository):
    """Many items of one project at a time."""

    def upsert(self, items: Mapping[str, Mapping[str, Any]]) -> Mapping[str, WrittenItem]:
        """Write every field of these items, by their ids; new ones are numbered in the order given.

        What is there is locked first, in the order in which encoders lock it; then all is written in the order of the
        ids, so that two who write the same new items wait for each other and not in a circle.
        """
        present = (
            select(ItemRow.item_id, ItemRow.deleted_at)
            .where(ItemRow.project_id == self.project, ItemRow.item_id.in_(items))
            .order_by(ItemRow.id)
            .with_for_update(key_share=True)
        )
        deleted = {item_id for item_id, deleted_at in self.session.execute(present) if deleted_at is not None}
        rows = [{"item_id": item_id, **_as_columns(items[item_id])} for item_id in items]
        return {
            item_id: WrittenItem(pk, inserted or item_id in deleted)
            for item_id, pk, inserted in self.session.execute(_UPSERT, {"project": self.project, **_arrays(rows)})
        }

    def media(self, item_ids: Collection[str]) -> Sequence[PresentMedium]:
        """What items have, in every modality."""
        query = (
            select(ItemRow.item_id, MediaRow.item_pk, MediaRow.modality, MediaRow.source, MediaRow.content_hash)
            .join(MediaRow, MediaRow.item_pk == ItemRow.id)
            .where(ItemRow.project_id == self.project, ItemRow.item_id.in_(item_ids))
        )
        return [PresentMedium(*row) for row in self.session.execute(query)]

    def set_media(self, media: Sequence[NewMedium]) -> set[int]:
        """Attach contents; the items for which one of them is new.

        The same upload again after a failure, be it that of one version's own encoder, is tried again.
        """
        if not media:
            return set()
        ordered = sorted(media, key=lambda medium: (medium.item_pk, medium.modality))
        arrays = _arrays([one.values for one in ordered])
        changed = {
            (pk, modality) for pk, modality in self.session.execute(_SET_MEDIA, {"project": self.project, **arrays})
        }
        self._set_sources([one for one in ordered if (one.item_pk, one.modality) not in changed])
        return {pk for pk, _ in changed}

    def _set_sources(self, media: Iterable[NewMedium]) -> None:
        """The same content may now come from another source."""
        by_source: dict[tuple[str, str], list[int]] = {}
        for medium in media:
            by_source.setdefault((medium.modality, medium.source), []).append(medium.item_pk)
        for (modality, source), pks in by_source.items():
            self.session.execute(
                update(MediaRow)
                .where(MediaRow.item_pk.in_(pks), MediaRow.modality == modality, MediaRow.source != source)
                .values(source=source)
            )

    def drop_media(self, pks: Collection[int], modality: str) -> None:
        """Detach one modality of items."""
        if pks:
            self.session.execute(delete(MediaRow).where(MediaRow.item_pk.in_(pks), MediaRow.modality == modality))

    def drop_vectors_without_media(self, pks: Collection[int]) -> None:
        """Forget what any version has made of items that have no content any more."""
        if pks:
            has_media = exists().where(MediaRow.item_pk == ItemVectorRow.item_pk)
            self.session.execute(delete(ItemVectorRow).where(ItemVectorRow.item_pk.in_(pks), ~has_media))


def _as_columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is no plain value, as JSON."""
    return {**fields, **{name: json.dumps(fields[name]) for name in ("categories", "attributes")}}


def _arrays(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The columns of rows."""
    return {name: [row[name] for row in rows] for name in rows[0]}
