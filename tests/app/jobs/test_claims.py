"""Rows, claims and coalescing, on the real database."""

import threading
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from kombu.exceptions import OperationalError
from sqlalchemy import func, select, text, update

from app.core.jobs import Job, JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Database
from app.db.tables import JobRow
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.projects.repository import ensure_project
from app.stores.queue import MemoryQueue


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=4)
    yield database
    database.close()


@pytest.fixture
def project(database: Database) -> ProjectId:
    with database.transaction() as transaction:
        return ensure_project(transaction, "p")


def enqueue(database: Database, project: ProjectId, queue: MemoryQueue | None = None) -> UUID:
    with database.transaction() as transaction:
        return JobService(transaction, queue or MemoryQueue()).enqueue(project, JobKind.TRAIN, {}).id


def row(database: Database, job_id: UUID) -> JobRow:
    with database.transaction() as transaction:
        return transaction.session.scalars(select(JobRow).where(JobRow.id == job_id)).one()


def waiting(database: Database) -> list[JobRow]:
    with database.transaction() as transaction:
        return list(transaction.session.scalars(select(JobRow).where(JobRow.state == JobState.QUEUED)))


def claim(database: Database, job_id: UUID) -> JobRow | None:
    with database.transaction() as transaction:
        return JobRepository(transaction).claim(job_id)


def test_the_message_leaves_after_the_commit(database: Database, project: ProjectId) -> None:
    queue = MemoryQueue()
    with database.transaction() as transaction:
        job = JobService(transaction, queue).enqueue(project, JobKind.TRAIN, {"a": 1})
        assert queue.sent == []
    assert queue.sent == [Job(job.id, JobKind.TRAIN)]
    with pytest.raises(ZeroDivisionError), database.transaction() as transaction:  # noqa: PT012
        JobService(transaction, queue).enqueue(project, JobKind.TRAIN, {})
        raise ZeroDivisionError
    assert len(queue.sent) == 1
    assert [one.id for one in waiting(database)] == [job.id]


def test_a_broker_that_is_away_delays_the_work_and_fails_nothing(database: Database, project: ProjectId) -> None:
    class Away(MemoryQueue):
        def send(self, job: Job) -> None:
            raise OperationalError("away")

    job_id = enqueue(database, project, Away())
    assert row(database, job_id).state == JobState.QUEUED


def test_of_many_workers_one_gets_the_job(database: Database, project: ProjectId) -> None:
    job_id = enqueue(database, project)
    found: list[JobRow | None] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        found.append(claim(database, job_id))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (claimed,) = [one for one in found if one is not None]
    assert (claimed.state, claimed.attempts) == (JobState.RUNNING, 1)
    assert claim(database, uuid4()) is None


def test_one_waiting_job_stands_for_many_requests(database: Database, project: ProjectId) -> None:
    queue = MemoryQueue()
    for _ in range(3):
        with database.transaction() as transaction:
            JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)
    with database.transaction() as transaction:
        JobService(transaction, queue).ensure_waiting(project, JobKind.INDEX)
        JobService(transaction, queue).ensure_waiting(ensure_project(transaction, "q"), JobKind.ENCODE)
    assert sorted((one.project_id, one.kind) for one in waiting(database)) == [
        (project, "encode"),
        (project, "index"),
        (project + 1, "encode"),
    ]
    assert len(queue.sent) == 3


def test_a_running_job_does_not_stand_for_new_requests(database: Database, project: ProjectId) -> None:
    queue = MemoryQueue()
    with database.transaction() as transaction:
        JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)
    claim(database, queue.sent[0].id)
    with database.transaction() as transaction:
        JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)
    assert len(queue.sent) == 2
    assert len(waiting(database)) == 1


def blocked(database: Database) -> int:
    """How many connections wait for a lock."""
    with database.transaction() as transaction:
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return int(transaction.session.scalars(query).one())


def wait_until_blocked(database: Database) -> None:
    deadline = time.monotonic() + 10
    while not blocked(database):
        assert time.monotonic() < deadline, "nobody had to wait"
        time.sleep(0.01)


def test_a_job_is_not_claimed_while_an_upload_that_counts_on_it_commits(database: Database, project: ProjectId) -> None:
    """Else it could look for work before the upload is visible, and nothing would wait any more."""
    queue = MemoryQueue()
    with database.transaction() as transaction:
        JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)
    saw: list[int] = []

    def worker() -> None:
        assert claim(database, queue.sent[0].id) is not None
        with database.transaction() as transaction:
            # The second project stands for the upload's row.
            saw.append(transaction.session.scalars(text("SELECT count(*) FROM projects")).one())

    thread = threading.Thread(target=worker)
    with database.transaction() as transaction:
        ensure_project(transaction, "uploaded")
        JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)
        transaction.session.flush()
        thread.start()
        wait_until_blocked(database)
    thread.join()
    assert saw == [2]
    assert len(queue.sent) == 1


def test_an_upload_that_comes_while_the_job_is_claimed_gets_a_job_of_its_own(
    database: Database, project: ProjectId
) -> None:
    queue = MemoryQueue()
    with database.transaction() as transaction:
        JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)

    def upload() -> None:
        with database.transaction() as transaction:
            JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)

    thread = threading.Thread(target=upload)
    with database.transaction() as transaction:
        assert JobRepository(transaction).claim(queue.sent[0].id) is not None
        thread.start()
        wait_until_blocked(database)
    thread.join()
    assert len(queue.sent) == 2
    assert [one.id for one in waiting(database)] == [queue.sent[1].id]


def test_uploads_at_once_make_one_job(database: Database, project: ProjectId) -> None:
    queue = MemoryQueue()
    together = threading.Barrier(4)

    def upload() -> None:
        together.wait()
        for _ in range(5):
            with database.transaction() as transaction:
                JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waiting(database)) == len(queue.sent) == 1


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked(database: Database, project: ProjectId) -> None:
    waits, runs = enqueue(database, project), enqueue(database, project)
    claim(database, runs)
    with database.transaction() as transaction:
        jobs = JobRepository(transaction)
        first, second = jobs.cancel(project, waits), jobs.cancel(project, runs)
        assert first is not None
        assert second is not None
        assert (first.state, first.finished_at is not None) == (JobState.CANCELLED, True)
        assert (second.state, second.cancel_requested) == (JobState.RUNNING, True)
        assert jobs.cancel(ProjectId(project + 1), runs) is None
    assert claim(database, waits) is None


def test_pages_go_on_where_the_last_one_ended(database: Database, project: ProjectId) -> None:
    ids = [enqueue(database, project) for _ in range(5)]
    with database.transaction() as transaction:  # all of one moment, as in one transaction
        transaction.session.execute(update(JobRow).values(created_at=func.now()))
    seen: list[UUID] = []
    with database.transaction() as transaction:
        jobs = JobRepository(transaction)
        while page := jobs.page(project, JobKind.TRAIN, limit=2, before=seen[-1] if seen else None):
            seen += [one.id for one in page]
    assert sorted(seen) == sorted(ids)
