"""What clients may know of jobs, whatever their kind."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import JobNotFound
from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.repository import Repository
from app.db.tables import JobRow
from app.jobs.repository import JobRepository
from app.jobs.schemas import JobPage, JobRead, read_job


class JobReader(Repository):
    """The jobs of one project, to look at."""

    def get(self, job_id: UUID) -> JobRead:
        """One job; raises JobNotFound."""
        row = JobRepository(self.transaction).get(self.project, job_id)
        if row is None:
            raise JobNotFound(job_id)
        return read_job(row)

    def page(
        self, *, limit: int, cursor: str | None, kind: JobKind | None = None, state: JobState | None = None
    ) -> JobPage:
        """Some jobs, newest first; raises InvalidRequest for a cursor that is not ours."""
        query = select(JobRow).where(JobRow.project_id == self.project)
        if kind is not None:
            query = query.where(JobRow.kind == kind)
        if state is not None:
            query = query.where(JobRow.state == state)
        if cursor is not None:
            query = query.where(tuple_(JobRow.created_at, JobRow.id) < tuple_(*decode_cursor(cursor, datetime, UUID)))
        rows = self.session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit + 1)).all()
        shown = rows[:limit]
        following = encode_cursor(shown[-1].created_at, shown[-1].id) if len(rows) > limit else None
        return JobPage(jobs=[read_job(row) for row in shown], next_cursor=following)
