"""Versions to look at: everything of one, several side by side, and which served when."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.models.promotions import PromotionRepository
from app.models.repository import ModelRepository
from app.models.schemas import (
    Compared,
    EncoderOfModel,
    ModelComparison,
    ModelDetail,
    ModelRead,
    PromotionPage,
    PromotionRead,
)
from app.models.service import find_version, read_model
from app.stores.artifacts import ArtifactStore

FEWEST, MOST = 2, 10
"""Versions that are compared at once."""
PARAMETERS = "parameters"


class ModelReader:
    """The versions of one project in one transaction, with their files."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, artifacts: ArtifactStore) -> None:
        self._models = ModelRepository(transaction, project)
        self._promotions = PromotionRepository(transaction, project)
        self._artifacts = artifacts

    def get(self, version: str) -> ModelDetail:
        """Everything of a version; raises ModelNotFound."""
        row = find_version(self._models, version)
        manifest = row.manifest
        return ModelDetail(
            **self._read(row).model_dump(),
            training_id=row.job_id,
            hyperparameters=manifest["hyperparameters"],
            parameters=manifest["metrics"].get(PARAMETERS, {}),
            encoders=[_encoder(entry) for entry in manifest["modalities"]],
            item_width=manifest["item_width"],
            max_length=manifest["max_length"],
            packages=manifest["packages"],
            size_bytes=self._artifacts.size_bytes(row.artifact),
            archived_at=row.archived_at,
        )

    def _read(self, row: ModelVersionRow) -> ModelRead:
        live = self._models.live()
        return read_model(row, live=live is not None and live.id == row.id)

    def compare(self, versions: str) -> ModelComparison:
        """Versions, given as `v1,v2,…`, against the first of them; raises InvalidRequest and ModelNotFound."""
        names = list(dict.fromkeys(name.strip() for name in versions.split(",")))
        if not FEWEST <= len(names) <= MOST:
            raise InvalidRequest.of("versions", f"must be {FEWEST} to {MOST} different versions, with commas between")
        rows = [find_version(self._models, name) for name in names]
        metrics = [dict(numbers_in(_without(row.manifest["metrics"], PARAMETERS))) for row in rows]
        parameters = [dict(numbers_in(row.manifest["metrics"].get(PARAMETERS, {}))) for row in rows]
        names = [row.name for row in rows]
        return ModelComparison(
            models=[self._read(row) for row in rows],
            metrics=side_by_side(names, metrics),
            parameters=side_by_side(names, parameters),
            hyperparameters=_differing(names, [row.manifest["hyperparameters"] for row in rows]),
        )

    def promotions(self, *, limit: int, cursor: str | None) -> PromotionPage:
        """Which version went live when and why, newest first."""
        before = decode_cursor(cursor, int)[0] if cursor else None
        found = self._promotions.page(limit=limit + 1, before=before)
        shown = [
            PromotionRead(
                version=version.name,
                reason=promotion.reason,
                key_id=promotion.key_id,
                created_at=promotion.created_at,
            )
            for promotion, version in found[:limit]
        ]
        more = len(found) > limit
        return PromotionPage(promotions=shown, next_cursor=encode_cursor(found[limit - 1][0].id) if more else None)

    def located(self, version: str) -> tuple[str, str]:
        """Name and artifact of a version; raises ModelNotFound."""
        row = find_version(self._models, version)
        return row.name, row.artifact


def _encoder(entry: Mapping[str, Any]) -> EncoderOfModel:
    return EncoderOfModel(
        modality=entry["name"],
        encoder=entry["encoder"],
        trained_from=entry.get("base") or None,
        layers=list(entry["layers"]),
        width=entry["width"],
    )


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def numbers_in(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every finite number of nested JSON, by its path with dots."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        if math.isfinite(value):
            yield name, float(value)
        return
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, inner in entries:
        yield from numbers_in(inner, f"{name}.{key}" if name else str(key))


def side_by_side(names: Sequence[str], numbers: Sequence[Mapping[str, float]]) -> dict[str, Compared]:
    """Each number that any version has, under all of them, with the differences from the first."""
    found: dict[str, Compared] = {}
    for key in dict.fromkeys(key for one in numbers for key in one):
        values = {name: one.get(key) for name, one in zip(names, numbers, strict=True)}
        base = values[names[0]]
        differences = {
            name: None if base is None or value is None else value - base
            for name, value in values.items()
            if name != names[0]
        }
        found[key] = Compared(values=values, differences=differences)
    return found


def _differing(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    keys = dict.fromkeys(key for one in settings for key in one)
    table = {key: {name: one.get(key) for name, one in zip(names, settings, strict=True)} for key in keys}
    return {key: values for key, values in table.items() if any(value != values[names[0]] for value in values.values())}
