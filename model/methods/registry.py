"""The methods by name."""

from __future__ import annotations

from model.methods.base import Method
from model.methods.crossan import CROSSAN
from model.methods.crossan_id import CROSSAN_ID
from model.methods.frozen import FROZEN
from model.methods.id_only import ID_ONLY
from model.methods.iisan import IISAN, IISAN_VERSA
from model.methods.tuning import TUNING
from model.methods.vip5 import VIP5

REGISTRY: dict[str, Method] = {
    "crossan": CROSSAN,
    "crossan+id": CROSSAN_ID,
    "iisan": IISAN,
    "iisan-versa": IISAN_VERSA,
    "frozen": FROZEN,
    "id": ID_ONLY,
    **TUNING,
    "vip5": VIP5,
}
