"""A claimed job in its worker, and the sweep over those that have died."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.core.errors import TrainingFailed
from app.core.jobs import Job, JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Database
from app.db.tables import JobRow
from app.jobs.repository import JobRepository
from app.jobs.run import JobInterrupted, JobRun, JobStopped, run_job
from app.jobs.service import JobService, SweepPolicy, sweep_jobs
from app.projects.repository import ensure_project
from app.stores.queue import MemoryQueue

BEAT_S = 0.02
POLICY = SweepPolicy(stale_s=10, resend_s=20, max_attempts=3)


class Jobs:
    """Jobs of one project, and a worker on demand."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.queue = MemoryQueue()
        self.shutting_down = threading.Event()
        with database.transaction() as transaction:
            self.project: ProjectId = ensure_project(transaction, "p")

    def add(self, kind: JobKind = JobKind.TRAIN) -> UUID:
        with self.database.transaction() as transaction:
            service = JobService(transaction, self.queue)
            if kind.coalesces:
                service.ensure_waiting(self.project, kind)
            else:
                service.enqueue(self.project, kind, {})
        return self.queue.sent[-1].id

    def run(self, job_id: UUID, work: Callable[[JobRun], None]) -> None:
        run_job(self.database, job_id, work, heartbeat_s=BEAT_S, shutting_down=self.shutting_down)

    def row(self, job_id: UUID) -> JobRow:
        with self.database.transaction() as transaction:
            return transaction.session.scalars(select(JobRow).where(JobRow.id == job_id)).one()

    def all(self) -> list[JobRow]:
        with self.database.transaction() as transaction:
            return list(transaction.session.scalars(select(JobRow).order_by(JobRow.created_at)))

    def set(self, job_id: UUID, **values: Any) -> None:
        with self.database.transaction() as transaction:
            transaction.session.execute(update(JobRow).where(JobRow.id == job_id).values(**values))

    def age(self, job_id: UUID, column: str, seconds: float) -> None:
        self.set(job_id, **{column: func.now() - timedelta(seconds=seconds)})

    def cancel(self, job_id: UUID) -> None:
        with self.database.transaction() as transaction:
            JobRepository(transaction).cancel(self.project, job_id)

    def claim(self, job_id: UUID) -> JobRow:
        with self.database.transaction() as transaction:
            row = JobRepository(transaction).claim(job_id)
        assert row is not None
        return row

    def sweep(self) -> list[Job]:
        """The messages that a sweep sends."""
        before = len(self.queue.sent)
        with self.database.transaction() as transaction:
            sweep_jobs(transaction, self.queue, POLICY)
        return self.queue.sent[before:]


@pytest.fixture
def jobs(database_url: str) -> Iterator[Jobs]:
    database = Database(database_url, pool_size=3)
    yield Jobs(database)
    database.close()


def wait_for_stop(run: JobRun) -> None:
    """Work that never ends by itself."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        run.check()
        time.sleep(0.005)
    raise AssertionError("it was never told to stop")


def finish(jobs: Jobs, result: dict[str, Any] | None = None) -> Callable[[JobRun], None]:
    def work(run: JobRun) -> None:
        with jobs.database.transaction() as transaction:
            run.finish(transaction, result)

    return work


def test_success(jobs: Jobs) -> None:
    job_id = jobs.add()
    jobs.run(job_id, finish(jobs, {"a": 1}))
    row = jobs.row(job_id)
    assert (row.state, row.result, row.error) == (JobState.SUCCEEDED, {"a": 1}, None)
    assert row.finished_at is not None
    assert row.started_at is not None


def test_a_message_that_comes_twice_does_the_work_once(jobs: Jobs) -> None:
    done: list[UUID] = []

    def work(run: JobRun) -> None:
        done.append(run.id)
        finish(jobs)(run)

    job_id = jobs.add()
    for _ in range(3):
        jobs.run(job_id, work)
    assert done == [job_id]


def test_an_expected_error_is_the_jobs_error(jobs: Jobs) -> None:
    def work(run: JobRun) -> None:
        raise TrainingFailed("too little data")

    job_id = jobs.add()
    jobs.run(job_id, work)
    row = jobs.row(job_id)
    assert (row.state, row.error) == (JobState.FAILED, "too little data")
    assert row.finished_at is not None


def test_a_bug_is_recorded_and_raised(jobs: Jobs) -> None:
    job_id = jobs.add()
    with pytest.raises(ZeroDivisionError):
        jobs.run(job_id, lambda run: 1 // 0)  # type: ignore[arg-type,return-value]
    assert jobs.row(job_id).error == "ZeroDivisionError: integer division or modulo by zero"


def test_work_of_which_a_part_was_killed_is_taken_up_again_up_to_its_attempts(jobs: Jobs) -> None:
    def work(run: JobRun) -> None:
        raise JobInterrupted("killed by signal 9")

    job_id = jobs.add()
    for attempt in range(1, POLICY.max_attempts + 1):
        with pytest.raises(JobInterrupted):
            jobs.run(job_id, work)
        assert (jobs.row(job_id).state, jobs.row(job_id).attempts) == (JobState.RUNNING, attempt)
        jobs.age(job_id, "heartbeat_at", POLICY.stale_s + 1)
        jobs.sweep()
    row = jobs.row(job_id)
    assert (row.state, row.error) == (JobState.FAILED, "The worker died 3 times while doing this.")


def test_it_beats_while_it_works(jobs: Jobs) -> None:
    job_id = jobs.add()

    def work(run: JobRun) -> None:
        jobs.age(job_id, "heartbeat_at", 60)
        deadline = time.monotonic() + 10
        while jobs.row(job_id).heartbeat_at < func_now(jobs) - timedelta(seconds=30):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        finish(jobs)(run)

    jobs.run(job_id, work)
    assert jobs.row(job_id).state == JobState.SUCCEEDED


def func_now(jobs: Jobs) -> Any:
    with jobs.database.transaction() as transaction:
        return transaction.session.scalars(select(func.now())).one()


def test_a_running_job_is_cancelled(jobs: Jobs) -> None:
    job_id = jobs.add()

    def work(run: JobRun) -> None:
        jobs.cancel(job_id)
        wait_for_stop(run)

    jobs.run(job_id, work)
    row = jobs.row(job_id)
    assert (row.state, row.finished_at is not None) == (JobState.CANCELLED, True)


def test_at_shutdown_a_training_goes_back_unharmed(jobs: Jobs) -> None:
    job_id = jobs.add()

    def work(run: JobRun) -> None:
        run.record_progress({"epoch": 3})
        jobs.shutting_down.set()
        wait_for_stop(run)

    jobs.run(job_id, work)
    row = jobs.row(job_id)
    assert (row.state, row.attempts, row.progress) == (JobState.QUEUED, 0, None)
    assert jobs.sweep() == [Job(job_id, JobKind.TRAIN)]


@pytest.mark.parametrize("another_waits", [False, True])
def test_at_shutdown_of_a_coalescing_kind_exactly_one_waits(jobs: Jobs, another_waits: bool) -> None:
    job_id = jobs.add(JobKind.ENCODE)

    def work(run: JobRun) -> None:
        if another_waits:
            jobs.add(JobKind.ENCODE)
        jobs.shutting_down.set()
        wait_for_stop(run)

    jobs.run(job_id, work)
    assert jobs.row(job_id).state == JobState.CANCELLED
    (waits,) = [row for row in jobs.all() if row.state == JobState.QUEUED]
    assert [job.id for job in jobs.sweep()] == ([] if another_waits else [waits.id])


def test_cancelled_and_shut_down_at_once_it_is_cancelled(jobs: Jobs) -> None:
    job_id = jobs.add()

    def work(run: JobRun) -> None:
        jobs.cancel(job_id)
        with pytest.raises(JobStopped):
            wait_for_stop(run)
        jobs.shutting_down.set()
        raise JobStopped

    jobs.run(job_id, work)
    assert jobs.row(job_id).state == JobState.CANCELLED


def take_over(jobs: Jobs, job_id: UUID) -> JobRow:
    """What a sweep and another worker do to a job whose worker seems dead."""
    jobs.age(job_id, "heartbeat_at", 60)
    jobs.sweep()
    return jobs.claim(job_id)


def test_a_worker_that_was_only_slow_stops_and_changes_nothing(jobs: Jobs) -> None:
    job_id = jobs.add()
    with jobs.database.transaction() as transaction:
        row = JobRepository(transaction).claim(job_id)
    assert row is not None
    slow = JobRun(jobs.database, row, heartbeat_s=60, shutting_down=jobs.shutting_down)
    other = take_over(jobs, job_id)
    assert other.attempts == 2
    with pytest.raises(JobStopped), jobs.database.transaction() as transaction:  # noqa: PT012
        ensure_project(transaction, "its effect")
        slow.finish(transaction, {"of": "slow"})
    slow.record_progress({"of": "slow"})
    slow.fail("slow")
    slow.leave_off()
    row = jobs.row(job_id)
    assert (row.state, row.attempts, row.progress, row.result, row.error) == (JobState.RUNNING, 2, None, None, None)
    with jobs.database.transaction() as transaction:
        names = transaction.session.connection().exec_driver_sql("SELECT name FROM projects").scalars().all()
    assert names == ["p"], "the effect was rolled back with the end of the job"


def test_a_worker_learns_by_its_beat_that_it_lost_the_job(jobs: Jobs) -> None:
    job_id = jobs.add()

    def work(run: JobRun) -> None:
        take_over(jobs, job_id)
        wait_for_stop(run)

    jobs.run(job_id, work)
    assert (jobs.row(job_id).state, jobs.row(job_id).attempts) == (JobState.RUNNING, 2)


def test_the_sweep_leaves_living_jobs_alone(jobs: Jobs) -> None:
    job_id = jobs.add()
    jobs.claim(job_id)
    jobs.age(job_id, "heartbeat_at", POLICY.stale_s - 3)
    assert jobs.sweep() == []
    assert jobs.row(job_id).state == JobState.RUNNING


def test_the_job_of_a_dead_worker_is_sent_again_until_it_is_given_up(jobs: Jobs) -> None:
    job_id = jobs.add()
    for attempt in range(1, POLICY.max_attempts + 1):
        assert jobs.claim(job_id).attempts == attempt
        jobs.age(job_id, "heartbeat_at", 60)
        sent = jobs.sweep()
        assert sent == ([Job(job_id, JobKind.TRAIN)] if attempt < POLICY.max_attempts else [])
    row = jobs.row(job_id)
    assert (row.state, row.error) == (JobState.FAILED, "The worker died 3 times while doing this.")
    assert row.finished_at is not None


@pytest.mark.parametrize("another_waits", [False, True])
def test_for_a_dead_coalescing_job_exactly_one_waits(jobs: Jobs, another_waits: bool) -> None:
    job_id = jobs.add(JobKind.ENCODE)
    jobs.claim(job_id)
    if another_waits:
        jobs.add(JobKind.ENCODE)
    jobs.age(job_id, "heartbeat_at", 60)
    sent = jobs.sweep()
    dead, *others = sorted(jobs.all(), key=lambda row: row.state != JobState.FAILED)
    assert (dead.id, dead.finished_at is not None) == (job_id, True)
    assert [row.state for row in others] == [JobState.QUEUED]
    assert [job.id for job in sent] == ([] if another_waits else [others[0].id])


def test_a_dead_job_that_was_to_be_cancelled_is_cancelled(jobs: Jobs) -> None:
    job_id = jobs.add()
    jobs.claim(job_id)
    jobs.cancel(job_id)
    jobs.age(job_id, "heartbeat_at", 60)
    assert jobs.sweep() == []
    row = jobs.row(job_id)
    assert (row.state, row.finished_at is not None) == (JobState.CANCELLED, True)


def test_a_lost_message_is_sent_again_once_a_while(jobs: Jobs) -> None:
    job_id = jobs.add()
    assert jobs.sweep() == []
    jobs.age(job_id, "sent_at", POLICY.resend_s + 1)
    assert jobs.sweep() == [Job(job_id, JobKind.TRAIN)]
    assert jobs.sweep() == []


def test_two_sweeps_at_once_send_each_job_once(jobs: Jobs) -> None:
    for _ in range(5):
        job_id = jobs.add()
        jobs.claim(job_id)
        jobs.age(job_id, "heartbeat_at", 60)
    before = len(jobs.queue.sent)
    threads = [threading.Thread(target=jobs.sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [job.id for job in jobs.queue.sent[before:]]
    assert len(sent) == len(set(sent)) == 5
