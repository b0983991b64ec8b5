from app.core.jobs import JobKind, Queue


def test_every_kind_has_a_queue_and_a_task() -> None:
    assert {kind.queue for kind in JobKind} == set(Queue) - {Queue.SWEEP}
    assert [kind.task_name for kind in JobKind] == ["crossan.encode", "crossan.index", "crossan.train"]


def test_a_training_is_never_merged_with_another() -> None:
    assert [kind for kind in JobKind if not kind.coalesces] == [JobKind.TRAIN]
