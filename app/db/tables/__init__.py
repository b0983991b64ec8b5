"""One table per file; importing this package registers them all."""

from app.db.tables.api_key import ApiKeyRow
from app.db.tables.encoder import EncoderRow
from app.db.tables.event import EventRow
from app.db.tables.hidden_states import HiddenStatesRow
from app.db.tables.item import ItemRow
from app.db.tables.item_vector import ItemVectorRow
from app.db.tables.job import JobRow
from app.db.tables.media import MediaRow
from app.db.tables.model_version import ModelVersionRow
from app.db.tables.project import ProjectRow

__all__ = [
    "ApiKeyRow",
    "EncoderRow",
    "EventRow",
    "HiddenStatesRow",
    "ItemRow",
    "ItemVectorRow",
    "JobRow",
    "MediaRow",
    "ModelVersionRow",
    "ProjectRow",
]
