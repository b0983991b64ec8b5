"""Queries of the encoders' work list, and the states that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.core.types import JobState, MediaState, ProjectId, VersionId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import EncoderRow, HiddenStatesRow, ItemRow, JobRow, MediaRow


@dataclass(frozen=True)
class Claim:
    """One content to be encoded."""

    id: int
    content_hash: str
    attempts: int


def register_encoder(transaction: Transaction, values: Mapping[str, Any]) -> Sequence[ProjectId]:
    """Put an encoder in charge of its modality; the projects whose media it has to look at again.

    Nothing happens when the same fingerprint was in charge already.
    """
    session = transaction.session
    statement = insert(EncoderRow).values(**values)
    changed = session.scalars(
        statement.on_conflict_do_update(
            index_elements=["modality"],
            set_={**values, "updated_at": func.now()},
            where=EncoderRow.fingerprint != values["fingerprint"],
        ).returning(EncoderRow.modality)
    ).one_or_none()
    if changed is None:
        return []
    pending = (
        update(MediaRow)
        .where(MediaRow.modality == changed)
        .values(state=MediaState.PENDING, error=None)
        .returning(MediaRow.project_id)
    )
    return [ProjectId(project) for project in set(session.scalars(pending))]


_REFRESH = text("""
UPDATE items SET
    state = CASE WHEN news.pending THEN 'pending' WHEN news.error IS NOT NULL THEN 'failed' ELSE 'encoded' END,
    error = CASE WHEN NOT news.pending THEN news.error END,
    content_key = CASE WHEN news.pending AND news.media > 0 THEN items.content_key ELSE news.content_key END,
    needs_vector = NOT news.pending AND news.content_key IS NOT NULL
FROM (
    SELECT owner.id AS item_pk,
        count(media.id) AS media,
        coalesce(bool_or(media.state = 'pending'), true) AS pending,
        string_agg(media.modality || ': ' || media.error, '; ' ORDER BY media.modality) AS error,
        md5(string_agg(media.modality || media.content_hash || encoders.fingerprint, ',' ORDER BY media.modality)
            FILTER (WHERE media.state = 'encoded')) AS content_key
    FROM items AS owner LEFT JOIN media ON media.item_pk = owner.id LEFT JOIN encoders USING (modality)
    WHERE owner.id = ANY(:pks)
    GROUP BY owner.id
) AS news
WHERE items.id = news.item_pk AND items.deleted_at IS NULL
""")


_PLAN_FOR_VERSION = text("""
INSERT INTO hidden_states (project_id, content_hash, modality, fingerprint)
SELECT DISTINCT media.project_id, media.content_hash, media.modality, :fingerprint
FROM media
    JOIN items ON items.id = media.item_pk AND items.deleted_at IS NULL AND items.content_key IS NOT NULL
    LEFT JOIN item_vectors ON item_vectors.item_pk = items.id AND item_vectors.version_id = :version
WHERE media.project_id = :project AND media.modality = :modality AND media.state = 'encoded'
    AND item_vectors.content_key IS DISTINCT FROM items.content_key
ON CONFLICT (project_id, content_hash, fingerprint) DO NOTHING
""")


class EncodingRepository(Repository):
    """The work list of one project."""

    def plan(self, modality: str, fingerprint: str) -> None:
        """List every pending medium's content under its encoder, once; one that has failed before is tried again."""
        pending = (
            select(
                MediaRow.project_id,
                MediaRow.content_hash,
                MediaRow.modality,
                literal(fingerprint, HiddenStatesRow.fingerprint.type),
            )
            .where(
                MediaRow.project_id == self.project, MediaRow.modality == modality, MediaRow.state == MediaState.PENDING
            )
            .distinct()
        )
        columns = ["project_id", "content_hash", "modality", "fingerprint"]
        self.session.execute(
            insert(HiddenStatesRow)
            .from_select(columns, pending)
            .on_conflict_do_update(
                index_elements=["project_id", "content_hash", "fingerprint"],
                set_={"state": MediaState.PENDING, "error": None, "attempts": 0},
                where=HiddenStatesRow.state == MediaState.FAILED,
            )
        )

    def plan_for_version(self, modality: str, fingerprint: str, *, version: VersionId) -> None:
        """List the contents of items without a vector of their present contents under a version, once.

        What has failed under this encoder stays failed: the states of the media are the business of those in charge.
        """
        self.session.execute(
            _PLAN_FOR_VERSION,
            {"project": self.project, "modality": modality, "fingerprint": fingerprint, "version": version},
        )

    def claim(self, fingerprint: str, *, job: UUID, limit: int) -> Sequence[Claim]:
        """Take the newest contents that no running job is at; a claim of a job that has ended counts for nothing."""
        held = exists().where(
            JobRow.id == HiddenStatesRow.claimed_by, JobRow.state == JobState.RUNNING, JobRow.id != job
        )
        free = (
            select(HiddenStatesRow.id)
            .where(
                HiddenStatesRow.project_id == self.project,
                HiddenStatesRow.fingerprint == fingerprint,
                HiddenStatesRow.state == MediaState.PENDING,
                ~held,
            )
            .order_by(HiddenStatesRow.id.desc())
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        query = (
            update(HiddenStatesRow)
            .where(HiddenStatesRow.id.in_(free.scalar_subquery()))
            .values(claimed_by=job, attempts=HiddenStatesRow.attempts + 1)
            .returning(HiddenStatesRow.id, HiddenStatesRow.content_hash, HiddenStatesRow.attempts)
        )
        return [Claim(*row) for row in self.session.execute(query)]

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back untried."""
        self.session.execute(
            update(HiddenStatesRow)
            .where(HiddenStatesRow.id.in_([claim.id for claim in claims]))
            .values(claimed_by=None, attempts=HiddenStatesRow.attempts - 1)
        )

    def store(self, claims: Sequence[Claim], shard: str) -> None:
        """These contents are rows 0, 1, … of the shard."""
        self.session.execute(
            update(HiddenStatesRow),
            [
                {"id": claim.id, "state": MediaState.ENCODED, "shard": shard, "shard_row": row, "claimed_by": None}
                for row, claim in enumerate(claims)
            ],
        )

    def fail(self, claim: Claim, reason: str) -> None:
        """This content can't be encoded."""
        self.session.execute(
            update(HiddenStatesRow),
            [{"id": claim.id, "state": MediaState.FAILED, "error": reason, "claimed_by": None}],
        )

    def settle(self, modality: str, fingerprint: str, *, contents: Sequence[str] | None = None) -> None:
        """Carry what the encoder has finished over to the media and the items; of these contents only, if given."""
        finished: tuple[ColumnElement[bool], ...] = (
            MediaRow.project_id == self.project,
            MediaRow.modality == modality,
            MediaRow.state == MediaState.PENDING,
            HiddenStatesRow.project_id == MediaRow.project_id,
            HiddenStatesRow.content_hash == MediaRow.content_hash,
            HiddenStatesRow.fingerprint == fingerprint,
            HiddenStatesRow.state != MediaState.PENDING,
        )
        if contents is not None:
            finished = (*finished, MediaRow.content_hash.in_(contents))
        # Items are locked before media, in the order that uploads lock them too.
        touched = select(MediaRow.item_pk).where(*finished)
        locked = select(ItemRow.id).where(ItemRow.id.in_(touched)).order_by(ItemRow.id).with_for_update(key_share=True)
        pks = list(self.session.scalars(locked))
        if pks:
            carry = update(MediaRow).where(MediaRow.item_pk.in_(pks), *finished)
            self.session.execute(
                carry.values(state=HiddenStatesRow.state, error=HiddenStatesRow.error),
                execution_options={"synchronize_session": False},
            )
            self.refresh(pks)

    def want_vectors(self, modality: str, fingerprint: str, *, contents: Sequence[str]) -> None:
        """Have items with these contents looked at: there may be new states for their vector."""
        having = select(MediaRow.item_pk).where(
            MediaRow.project_id == self.project, MediaRow.modality == modality, MediaRow.content_hash.in_(contents)
        )
        wanted = (ItemRow.id.in_(having), ItemRow.content_key.is_not(None), ItemRow.deleted_at.is_(None))
        pks = list(
            self.session.scalars(select(ItemRow.id).where(*wanted).order_by(ItemRow.id).with_for_update(key_share=True))
        )
        self.session.execute(update(ItemRow).where(ItemRow.id.in_(pks)).values(needs_vector=True))

    def refresh(self, pks: Sequence[int]) -> None:
        """Derive the state of items, which the caller has locked, from their media; without any they stay pending."""
        self.session.execute(_REFRESH, {"pks": list(pks)})
