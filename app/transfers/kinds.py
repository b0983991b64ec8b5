"""What is transferred, and in which shapes a file or stream may hold it."""

from enum import StrEnum

from app.events.schemas import EventWrite
from app.items.batch import ItemLine


class TransferKind(StrEnum):
    """What a line is."""

    ITEMS = "items"
    EVENTS = "events"

    @property
    def columns(self) -> frozenset[str]:
        """The fields of a line, which are the columns of a table."""
        return frozenset((ItemLine if self is TransferKind.ITEMS else EventWrite).model_fields)

    @property
    def nested(self) -> frozenset[str]:
        """The fields that may have a column for each of their own fields, as in `attributes.year`."""
        return frozenset({"attributes", "media"}) if self is TransferKind.ITEMS else frozenset()


class ImportFormat(StrEnum):
    """What an import reads."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


class ExportFormat(StrEnum):
    """What an export writes; every value comes back as it was."""

    NDJSON = "ndjson"
    PARQUET = "parquet"
