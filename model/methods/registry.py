"""The methods by name."""

from __future__ import annotations

from model.methods.base import Method
from model.methods.crossan import CROSSAN
from model.methods.id_only import ID_ONLY

REGISTRY: dict[str, Method] = {"crossan": CROSSAN, "id": ID_ONLY}
