"""Shows which indexes this process has built."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar

from app.models.schemas import IndexRead, ModelRead
from app.recommendations.state import ProjectState

Model = TypeVar("Model", bound=ModelRead)


def with_indexes(models: Sequence[Model], state: ProjectState | None) -> list[Model]:
    """The models with the indexes that a process has of them; of a project that it has not loaded it has none."""
    found = {} if state is None else index_reports(state)
    return [model.model_copy(update={"index": found.get(model.version)}) for model in models]


def index_reports(state: ProjectState) -> dict[str, IndexRead]:
    """The indexes of the versions that serve, by name."""
    return {
        version.name: IndexRead(**asdict(version.index.report), built_at=version.indexed_at)
        for version in state.versions.values()
        if version.index is not None and version.indexed_at is not None
    }
