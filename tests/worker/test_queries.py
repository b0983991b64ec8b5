"""Questions for vectors of uploads, as a worker answers them."""

from io import BytesIO
from types import ModuleType
from uuid import UUID

import pytest
from sqlalchemy import select

from app.core.config import Settings
from app.core.errors import DependencyUnavailable
from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import JobRow, ModelVersionRow
from app.jobs.run import JobStopped
from app.jobs.service import JobService
from app.recommendations.similar_queries import vector_of
from model.encoders.decode import Sample
from tests.fixtures.fake_encoders import FakeEncoder, bytes_of, states_of
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item
from tests.worker.test_tasks import state_of, task, waiting


@pytest.fixture
def worker_settings(trained_settings: Settings) -> Settings:
    """The worker works for the trained service."""
    return trained_settings


def ask(service: Service, text: str) -> UUID:
    """A question about a text, as the API leaves it."""
    context = service.context
    context.blobs.put(service.project, f"query-{text}", BytesIO(text.encode()))
    with context.database.transaction() as transaction:
        version = transaction.session.scalars(select(ModelVersionRow.id)).one()
        payload = {"blob": f"query-{text}", "modality": "text", "version_id": version}
        return JobService(transaction, context.queue).enqueue(service.project, JobKind.QUERY, payload).id


def test_a_question_is_answered_once_and_the_upload_goes(
    trained: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch, fakes: dict[str, FakeEncoder]
) -> None:
    monkeypatch.setattr(worker, "encoding_service", lambda: trained.encoding)
    job = ask(trained, "boat")
    for _ in range(2):
        task("query")(str(job))
    state, result = state_of(trained, job)
    with trained.context.database.transaction() as transaction:
        artifact = transaction.session.scalars(select(ModelVersionRow.artifact)).one()
    expected = vector_of(trained.parts.artifacts, artifact, "text", states_of("boat", fakes["text"].fingerprint))
    assert state == JobState.SUCCEEDED
    assert result["vector"] == pytest.approx(expected.tolist())
    assert fakes["text"].encoded == [b"boat"]
    with pytest.raises(FileNotFoundError):
        trained.context.blobs.get(trained.project, "query-boat")


def test_long_work_answers_between_its_batches(
    trained: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch, fakes: dict[str, FakeEncoder]
) -> None:
    """Two questions wait when the work begins, and one comes while its first batch is encoded."""
    monkeypatch.setattr(worker, "encoding_service", lambda: trained.encoding)
    jobs = [ask(trained, "early"), ask(trained, "early too")]
    for number in range(40):
        put_item(trained, f"new{number}", f"something new {number}")

    def look(sample: Sample) -> bool:
        if len(jobs) == 2 and b"new" in bytes_of(sample):
            jobs.append(ask(trained, "while it works"))
        return False

    fakes["text"].refuses = look
    with trained.context.database.transaction() as transaction:
        waiting_jobs = select(JobRow.id).where(JobRow.kind == JobKind.ENCODE, JobRow.state == JobState.QUEUED)
        encode = transaction.session.scalars(waiting_jobs).one()
    task("encode")(str(encode))
    assert [state_of(trained, job)[0] for job in jobs] == [JobState.SUCCEEDED] * 3
    sizes = [len(batch) for batch in fakes["text"].batches]
    assert sizes[:4] == [1, 1, 8, 1], "the first chunk, for which the encoder waits, is half a batch"
    assert sum(sizes[4:]) == 40 - 8, "in chunks that suit the speed of the first one"


def test_a_worker_that_shall_end_gives_the_question_back_with_its_upload(
    trained: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "encoding_service", lambda: trained.encoding)
    monkeypatch.setattr(trained.encoding, "encode_one", _interrupted)
    job = ask(trained, "boat")
    task("query")(str(job))
    assert waiting(trained) == job
    assert trained.context.blobs.get(trained.project, "query-boat") == b"boat"


def _interrupted(*_: object) -> None:
    raise JobStopped


def test_a_worker_without_the_encoder_says_so(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    with pytest.raises(DependencyUnavailable, match="text"):
        trained.encoding.encode_one(trained.project, "text", "another fingerprint", b"boat")
    job = ask(trained, "boat")
    trained.encoding._encoders = {}
    trained.run_jobs()
    assert state_of(trained, job)[0] == JobState.FAILED
    with pytest.raises(FileNotFoundError):
        trained.context.blobs.get(trained.project, "query-boat")
