"""A version in memory, ready to rank: its user encoder, warm, and its item vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.core.types import VersionId
from app.recommendations.search.index import ItemIndex
from app.recommendations.vectors import ItemVectors
from model.artifact import load_manifest
from model.runtime import UserEncoder


@dataclass(frozen=True)
class PublishedVersion:
    """A version as the database knows it: its number there, its name, and its artifact."""

    id: VersionId
    name: str
    artifact: str


@dataclass(frozen=True)
class ServedVersion:
    """A version that can answer.

    Attributes:
        id: its number in the database.
        name: as clients write it.
        artifact: key of its folder.
        user_encoder: sequence → user vector.
        vectors: of the items, in the rows of the catalogue.
        width: d of the vectors.
        max_length: most items of a sequence that are read.
        modalities: names of the shares.
        index: finds the best of the vectors; a version beside a catalogue of the past has none.
        indexed_at: when that was built.
    """

    id: VersionId
    name: str
    artifact: str
    user_encoder: UserEncoder
    vectors: ItemVectors
    width: int
    max_length: int
    modalities: tuple[str, ...]
    index: ItemIndex | None = None
    indexed_at: datetime | None = None

    @property
    def published(self) -> PublishedVersion:
        """What the database knows of it."""
        return PublishedVersion(self.id, self.name, self.artifact)

    def encode_user(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        """User vector [d] of a sequence of item vectors [s, d], oldest first; the newest `max_length` are read."""
        newest = sequence[-self.max_length :]
        user: NDArray[np.float32] = self.user_encoder.encode(newest[None], np.array([len(newest)], np.int64))[0]
        return user

    def encode_users(self, sequences: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """User vectors [b, d] of sequences [s_i, d], oldest first, each at least one item long."""
        return self.user_encoder.encode_many(sequences)


def load_version(version: PublishedVersion, folder: Path) -> ServedVersion:
    """Open and warm a version; it has no item vectors yet.

    Raises:
        ArtifactError: when its folder is missing or damaged.
        OSError: when it can't be read.
    """
    manifest = load_manifest(folder)
    modalities = tuple(modality.name for modality in manifest.modalities)
    served = ServedVersion(
        id=version.id,
        name=version.name,
        artifact=version.artifact,
        user_encoder=UserEncoder(folder),
        vectors=ItemVectors(width=manifest.item_width, modalities=modalities),
        width=manifest.item_width,
        max_length=manifest.max_length,
        modalities=modalities,
    )
    served.encode_user(np.zeros((manifest.max_length, manifest.item_width), np.float32))
    return served
