"""One table per file; importing this package registers them all."""

from app.db.tables.answer import AnswerPoolRow, AnswerRow
from app.db.tables.api_key import ApiKeyRow
from app.db.tables.catalogue_history import CatalogueHorizonRow, ItemHistoryRow, ItemVectorHistoryRow
from app.db.tables.encoder import EncoderRow
from app.db.tables.erasure import ErasureRow
from app.db.tables.event import EventRow
from app.db.tables.experiment import ExperimentArmRow, ExperimentRow
from app.db.tables.freshness import ArrivalRow, FreshnessRow
from app.db.tables.hidden_states import HiddenStatesRow
from app.db.tables.idempotent_request import IdempotentRequestRow
from app.db.tables.item import ItemRow
from app.db.tables.item_vector import ItemVectorRow
from app.db.tables.job import JobRow
from app.db.tables.media import MediaRow
from app.db.tables.media_fetch import MediaFetchRow
from app.db.tables.model_version import ModelVersionRow
from app.db.tables.project import ProjectRow
from app.db.tables.promotion import PromotionRow
from app.db.tables.scenario import ScenarioRow
from app.db.tables.schedule import ScheduleRow
from app.db.tables.user import UserRow
from app.db.tables.webhook import WebhookDeliveryRow, WebhookRow

__all__ = [
    "AnswerPoolRow",
    "AnswerRow",
    "ApiKeyRow",
    "ArrivalRow",
    "CatalogueHorizonRow",
    "EncoderRow",
    "ErasureRow",
    "EventRow",
    "ExperimentArmRow",
    "ExperimentRow",
    "FreshnessRow",
    "HiddenStatesRow",
    "IdempotentRequestRow",
    "ItemHistoryRow",
    "ItemRow",
    "ItemVectorHistoryRow",
    "ItemVectorRow",
    "JobRow",
    "MediaFetchRow",
    "MediaRow",
    "ModelVersionRow",
    "ProjectRow",
    "PromotionRow",
    "ScenarioRow",
    "ScheduleRow",
    "UserRow",
    "WebhookDeliveryRow",
    "WebhookRow",
]
