"""Makes sure that what waits for encoders, for a vector or to be fetched has a job, whatever became of its last one."""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, text

from app.core.jobs import JobKind
from app.core.types import FetchState, JobState, MediaState, ProjectId
from app.db.session import Transaction
from app.db.tables import ItemRow, JobRow, MediaFetchRow, MediaRow, ProjectRow
from app.jobs.service import JobService
from app.stores.queue import JobQueue

_PENDING_UNDER_LIVE_ENCODERS = """EXISTS (
    SELECT FROM model_versions, jsonb_array_elements(model_versions.manifest -> 'modalities') AS entry, hidden_states
    WHERE model_versions.id = projects.live_version_id AND entry ->> 'base' <> ''
        AND hidden_states.project_id = projects.id AND hidden_states.fingerprint = entry ->> 'encoder'
        AND hidden_states.state = 'pending'
)"""
"""Contents that the live version's own encoders have not seen yet."""

_WAITING: dict[JobKind, ColumnElement[bool]] = {
    JobKind.ENCODE: or_(
        exists().where(MediaRow.project_id == ProjectRow.id, MediaRow.state == MediaState.PENDING),
        text(_PENDING_UNDER_LIVE_ENCODERS),
    ),
    JobKind.INDEX: and_(
        ProjectRow.live_version_id.is_not(None),
        exists().where(ItemRow.project_id == ProjectRow.id, ItemRow.needs_vector),
    ),
    JobKind.FETCH: exists().where(
        MediaFetchRow.project_id == ProjectRow.id,
        MediaFetchRow.state == FetchState.PENDING,
        MediaFetchRow.next_at <= func.now(),
    ),
}


def ensure_upkeep(transaction: Transaction, queue: JobQueue, *, pause_s: float) -> None:
    """Enqueue a job wherever something waits and no job is open.

    Args:
        transaction: the sweep's.
        queue: to the workers.
        pause_s: how long after a job's end nothing is enqueued: what kept it from its work may last.
    """
    service = JobService(transaction, queue)
    for kind, waiting in _WAITING.items():
        busy = exists().where(
            JobRow.project_id == ProjectRow.id,
            JobRow.kind == kind,
            or_(
                JobRow.state.in_([JobState.QUEUED, JobState.RUNNING]),
                JobRow.finished_at > func.now() - timedelta(seconds=pause_s),
            ),
        )
        for project in transaction.session.scalars(select(ProjectRow.id).where(waiting, ~busy)).all():
            service.ensure_waiting(ProjectId(project), kind)
