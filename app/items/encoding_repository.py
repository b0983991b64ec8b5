"""Queries of the encoders' work list, and the states that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from app.core.types import ItemState, JobState, MediaState, ProjectId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import EncoderRow, HiddenStatesRow, ItemRow, JobRow, MediaRow, ProjectRow


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


_STORE = text("""
UPDATE hidden_states SET state = 'encoded', shard = :shard, shard_row = stored.position - 1, claimed_by = NULL
FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS stored (id, position)
WHERE hidden_states.id = stored.id
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
            # In one order for all, so that two who plan the same contents wait for each other and not in a circle.
            .order_by(MediaRow.content_hash)
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

    def forget_failures(self, modality: str, fingerprint: str) -> None:
        """Have contents that wait for the encoder in charge, such as one uploaded again, tried by this one too."""
        waiting = (
            MediaRow.project_id == self.project,
            MediaRow.modality == modality,
            MediaRow.state == MediaState.PENDING,
        )
        failed = (
            HiddenStatesRow.project_id == self.project,
            HiddenStatesRow.fingerprint == fingerprint,
            HiddenStatesRow.state == MediaState.FAILED,
        )
        contents = select(MediaRow.content_hash).where(*waiting)
        self.session.execute(delete(HiddenStatesRow).where(*failed, HiddenStatesRow.content_hash.in_(contents)))

    def awaits(self, fingerprint: str) -> bool:
        """Whether any content waits for this encoder."""
        waiting = exists().where(
            HiddenStatesRow.project_id == self.project,
            HiddenStatesRow.fingerprint == fingerprint,
            HiddenStatesRow.state == MediaState.PENDING,
        )
        return self.session.scalars(select(waiting)).one()

    def claim(self, fingerprint: str, *, job: UUID, limit: int, besides: Sequence[Claim] = ()) -> Sequence[Claim]:
        """Take the newest contents that no running job is at; a claim of a job that has ended counts for nothing.

        Nor does one of this job, which an earlier run of it may have left: but for what it is at now, `besides`.
        """
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
                HiddenStatesRow.id.not_in([claim.id for claim in besides]),
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
        parameters = {"ids": [claim.id for claim in claims], "shard": shard}
        self.session.execute(_STORE, parameters)

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
        """Have items with these contents looked at, other than those that are ready or wait for an encoder in charge.

        The project is held against `VectorService`, which holds it too: an item that is put aside there, because these
        contents are not finished, is either seen here or finds them finished.
        """
        self.session.execute(select(ProjectRow.id).where(ProjectRow.id == self.project).with_for_update(key_share=True))
        having = select(MediaRow.item_pk).where(
            MediaRow.project_id == self.project, MediaRow.modality == modality, MediaRow.content_hash.in_(contents)
        )
        wanted = (
            ItemRow.id.in_(having),
            ItemRow.content_key.is_not(None),
            ItemRow.deleted_at.is_(None),
            ItemRow.state.in_([ItemState.ENCODED, ItemState.FAILED]),
        )
        locked = select(ItemRow.id).where(*wanted).order_by(ItemRow.id).with_for_update(key_share=True)
        pks = list(self.session.scalars(locked))
        self.session.execute(update(ItemRow).where(ItemRow.id.in_(pks)).values(needs_vector=True))

    def refresh(self, pks: Sequence[int]) -> None:
        """Derive the state of items, which the caller has locked, from their media; without any they stay pending."""
        self.session.execute(_REFRESH, {"pks": list(pks)})
