"""A service that also does imports, exports, and fetches from a host of the test's own."""

import pytest

from app.core.jobs import JobKind
from app.transfers.exporting import Exporter
from app.transfers.importing import Importer
from tests.fixtures.service import Service


@pytest.fixture
def transfers(light: Service) -> Service:
    return with_transfers(light)


def with_transfers(service: Service) -> Service:
    context = service.context
    importer = Importer(context.writing, context.transfers, context.settings.bulk_line_limit_bytes)
    exporter = Exporter(context.database, context.blobs, context.transfers)
    service.more_work |= {JobKind.IMPORT: importer.run, JobKind.EXPORT: exporter.run}
    return service
