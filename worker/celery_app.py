"""The Celery application: broker, queues, schedule, and the life of a worker process."""

from typing import Any

from celery import Celery, signals

from app.core.config import Settings
from app.core.jobs import Queue
from app.core.logging import configure_logging
from worker import context

SWEEP_TASK = "crossan.sweep"

celery_app = Celery("crossan", include=["worker.tasks.items", "worker.tasks.training", "worker.tasks.maintenance"])


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
            "sweep": {
                "task": SWEEP_TASK,
                "schedule": settings.sweep_every_s,
                "options": {"queue": Queue.SWEEP, "expires": settings.sweep_every_s},
            }
        },
        beat_schedule_filename=str(settings.data_dir / "beat-schedule"),
    )


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging(Settings().log_level)


@signals.celeryd_after_setup.connect
def _warm_up(instance: Any, **_: Any) -> None:
    """Load the encoders before the first job, so that a new item never waits for them."""
    if Queue.ENCODE in instance.app.amqp.queues.consume_from:
        context.encoding_service()


@signals.worker_shutting_down.connect
def _leave_off(**_: Any) -> None:
    context.shutting_down.set()


configure(Settings())
