from app.core.jobs import JobKind, Queue


def test_every_kind_has_a_queue_and_a_task() -> None:
    assert {kind.queue for kind in JobKind} == set(Queue) - {Queue.SWEEP}
    assert [kind.task_name for kind in JobKind] == [f"crossan.{kind.value}" for kind in JobKind]


def test_work_that_somebody_ordered_is_never_merged_with_another() -> None:
    ordered = {JobKind.TRAIN, JobKind.QUERY, JobKind.IMPORT, JobKind.EXPORT, JobKind.ESTIMATE}
    assert {kind for kind in JobKind if not kind.coalesces} == ordered
