"""The Celery application: broker, queues, schedule, and the life of a worker process."""

from typing import Any

from celery import Celery, signals

from app.core.config import Settings
from app.core.jobs import Queue
from app.core.logging import configure_logging
from app.telemetry.tracing import configure_tracing
from worker import context

SWEEP_TASK = "crossan.sweep"
SCHEDULES_TASK = "crossan.schedules"
RETAIN_TASK = "crossan.retain"

celery_app = Celery(
    "crossan",
    include=[
        "worker.tasks.estimates",
        "worker.tasks.items",
        "worker.tasks.maintenance",
        "worker.tasks.queries",
        "worker.tasks.training",
        "worker.tasks.transfers",
        "worker.tasks.webhooks",
    ],
)


def configure(settings: Settings) -> None:
    """Apply the settings; done once, on import by the `celery` command."""
    celery_app.conf.update(
        broker_url=settings.broker,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 86_400},
        task_ignore_result=True,
        task_default_queue=Queue.INDEX,
        # A message only points at a job row, which is claimed: a lost or repeated one does no harm.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        beat_schedule={
            "sweep": _every(settings.sweep_every_s, SWEEP_TASK),
            "schedules": _every(settings.schedules_every_s, SCHEDULES_TASK),
            # Goes through files and millions of rows: it must not hold up what revives dead work.
            "retain": _every(settings.retain_every_s, RETAIN_TASK, queue=Queue.TRANSFER),
        },
        beat_schedule_filename=str(settings.data_dir / "beat-schedule"),
    )


def _every(seconds: float, task: str, *, queue: Queue = Queue.SWEEP) -> dict[str, Any]:
    """A message now and then; those that nobody has taken when the next one comes do not pile up."""
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": seconds}}


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging(Settings().log_level)
    configure_tracing("crossan-worker")


@signals.celeryd_after_setup.connect
def _warm_up(instance: Any, **_: Any) -> None:
    """Load the encoders before the first job, so that a new item never waits for them.

    A worker of several threads builds what they share before there are any: then it is built once.
    """
    if Queue.TRANSFER in instance.app.amqp.queues.consume_from:
        context.worker_context()
    if Queue.ENCODE in instance.app.amqp.queues.consume_from:
        context.encoding_service()


@signals.worker_shutting_down.connect
def _leave_off(**_: Any) -> None:
    context.shutting_down.set()


configure(Settings())
