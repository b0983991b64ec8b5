"""Imports, exports, and media by their address: several at once in the threads of one process, which has no torch."""

from app.items.media_urls import UrlPolicy
from app.transfers.download import Downloader, Timeouts
from app.transfers.fetching import Fetcher, FetchPolicy
from worker import context
from worker.celery_app import celery_app
from worker.tasks import running


@celery_app.task(name="crossan.import")
def import_file(job_id: str) -> None:
    """Read a file of items or events."""
    from app.transfers.importing import Importer

    base = context.worker_context().base
    importer = Importer(base.writing, base.transfers, base.settings.bulk_line_limit_bytes)
    running.run(job_id, importer.run)


@celery_app.task(name="crossan.export")
def export_files(job_id: str) -> None:
    """Write items or events into files."""
    from app.transfers.exporting import Exporter

    base = context.worker_context().base
    running.run(job_id, Exporter(base.database, base.blobs, base.transfers).run)


@celery_app.task(name="crossan.fetch")
def fetch_media(job_id: str) -> None:
    """Fetch the media of a project that are due."""
    running.run(job_id, fetcher().run)


def fetcher() -> Fetcher:
    """What a fetch needs."""
    base = context.worker_context().base
    settings = base.settings
    timeouts = Timeouts(settings.media_fetch_timeout_s, settings.media_fetch_read_timeout_s)
    return Fetcher(
        database=base.database,
        intake=base.intake,
        queue=base.queue,
        changes=base.changes,
        downloader=Downloader(UrlPolicy(settings.media_fetch_hosts), timeouts),
        policy=FetchPolicy(settings.media_fetch_parallel),
    )
