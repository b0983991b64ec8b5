"""Finds hidden states, blobs and folders that nothing refers to any more, a part of them at a time.

Each look takes one of 256 parts, told apart by the first two hex digits of a name that is as good as random, so that it
stays cheap however much there is, and goes through all of it in 256 looks.

Why nothing goes that is about to be used:
- a row of hidden states is locked, and looked up again by the very statement that deletes it. `EncodingRepository.plan`
  locks such a row too before anything counts on it, or waits and then lists the content anew;
- a file goes only when it has not been written for a while (`leftover_s`): a shard's file is made new when its last
  rows go, and a blob when it is stored again (`FsspecBlobStore.put`), so whoever counts on one finds it young.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, text

from app.db.repository import Repository
from app.db.tables import HiddenStatesRow, MediaRow, ModelVersionRow

PARTS = 256
MOST_ROWS = 5_000
"""Rows deleted in one transaction."""

_CLAIMED = "EXISTS (SELECT FROM jobs WHERE jobs.id = hidden_states.claimed_by AND jobs.state = 'running')"

_FOREIGN = text(f"""
DELETE FROM hidden_states WHERE id IN (
    SELECT id FROM hidden_states
    WHERE project_id = :project AND NOT fingerprint = ANY(:known) AND created_at < now() - CAST(:age AS interval)
        AND NOT {_CLAIMED}
    LIMIT :most FOR UPDATE SKIP LOCKED
) RETURNING shard
""")

_LONELY = text("""
WITH candidates AS (
    SELECT shard FROM hidden_states
    WHERE project_id = :project AND shard IS NOT NULL AND split_part(shard, '/', 3) LIKE :part
    GROUP BY shard
    HAVING bool_and(created_at < now() - CAST(:age AS interval) AND NOT EXISTS (
        SELECT FROM media WHERE media.project_id = :project AND media.content_hash = hidden_states.content_hash
    ))
    LIMIT :shards
)
SELECT id, shard FROM hidden_states
WHERE project_id = :project AND shard IN (SELECT shard FROM candidates)
ORDER BY content_hash FOR UPDATE
""")

_DROP_LONELY = text("""
DELETE FROM hidden_states WHERE id = ANY(:ids) AND NOT EXISTS (
    SELECT FROM media JOIN hidden_states AS mate ON mate.content_hash = media.content_hash
    WHERE media.project_id = :project AND mate.project_id = :project AND mate.shard = hidden_states.shard
) RETURNING shard
""")

_DROP_UNSTORED = text(f"""
DELETE FROM hidden_states WHERE id IN (
    SELECT id FROM hidden_states
    WHERE project_id = :project AND shard IS NULL AND content_hash LIKE :part
        AND created_at < now() - CAST(:age AS interval) AND NOT {_CLAIMED} AND NOT EXISTS (
            SELECT FROM media WHERE media.project_id = :project AND media.content_hash = hidden_states.content_hash
        )
    ORDER BY content_hash LIMIT :most FOR UPDATE SKIP LOCKED
) AND NOT EXISTS (
    SELECT FROM media WHERE media.project_id = :project AND media.content_hash = hidden_states.content_hash
)
""")

MOST_SHARDS = 200
"""Shards looked at again in one transaction."""


@dataclass(frozen=True)
class Part:
    """Which 256th is looked at, and how old leftovers must be."""

    number: int
    leftover_s: float

    @property
    def prefix(self) -> str:
        """The first two hex digits."""
        return f"{self.number % PARTS:02x}"

    @property
    def age(self) -> timedelta:
        """The same as an interval."""
        return timedelta(seconds=self.leftover_s)


class LeftoverRepository(Repository):
    """What a project has and does not need."""

    def known_fingerprints(self) -> frozenset[str]:
        """Of encoders in charge, and of those that any version reads or was trained from."""
        in_charge = self.session.execute(text("SELECT fingerprint FROM encoders")).scalars()
        query = select(ModelVersionRow.manifest["modalities"]).where(
            ModelVersionRow.project_id == self.project, ModelVersionRow.deleted_at.is_(None)
        )
        entries = [entry for modalities in self.session.scalars(query) for entry in modalities]
        named = (entry.get(key) for entry in entries for key in ("encoder", "base"))
        return frozenset([*in_charge, *filter(None, named)])

    def drop_foreign_states(self, part: Part) -> frozenset[str]:
        """Forget states under encoders that nothing refers to; the shards whose rows went.

        Not while the encoders in charge are new: the former ones may come back.
        """
        young = "SELECT EXISTS (SELECT FROM encoders WHERE updated_at > now() - CAST(:age AS interval))"
        none = "SELECT NOT EXISTS (SELECT FROM encoders)"
        if self.session.execute(text(young), {"age": part.age}).scalar_one() or self.session.scalar(text(none)):
            return frozenset()
        known = list(self.known_fingerprints())
        parameters = {"project": self.project, "known": known, "age": part.age, "most": MOST_ROWS}
        return frozenset(shard for shard in self.session.execute(_FOREIGN, parameters).scalars() if shard)

    def drop_lonely_states(self, part: Part) -> frozenset[str]:
        """Forget states of which no item has the content, where that holds for a whole shard; these shards."""
        common = {"project": self.project, "age": part.age}
        parameters = {**common, "part": f"{part.prefix}%", "shards": MOST_SHARDS}
        locked = self.session.execute(_LONELY, parameters).all()
        self.session.execute(_DROP_UNSTORED, {**common, "part": f"{part.prefix}%", "most": MOST_ROWS})
        if not locked:
            return frozenset()
        gone = self.session.execute(_DROP_LONELY, {"project": self.project, "ids": [row.id for row in locked]})
        return frozenset(gone.scalars())

    def named_shards(self, shards: Sequence[str]) -> frozenset[str]:
        """Those that some row names."""
        query = select(HiddenStatesRow.shard).where(
            HiddenStatesRow.project_id == self.project, HiddenStatesRow.shard.in_(shards)
        )
        return frozenset(shard for shard in self.session.scalars(query.distinct()) if shard)

    def used_contents(self, contents: Sequence[str]) -> frozenset[str]:
        """Those that some item has."""
        query = select(MediaRow.content_hash).where(
            MediaRow.project_id == self.project, MediaRow.content_hash.in_(contents)
        )
        return frozenset(self.session.scalars(query.distinct()))

    def published_artifacts(self) -> frozenset[str]:
        """Of versions that are not deleted."""
        query = select(ModelVersionRow.artifact).where(
            ModelVersionRow.project_id == self.project, ModelVersionRow.deleted_at.is_(None)
        )
        return frozenset(self.session.scalars(query))
