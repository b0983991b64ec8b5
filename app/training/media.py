"""Decodes the media of a training before it begins; the samples are kept as files and read one by one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import structlog

from app.core.types import ProjectId
from app.db.tables import EncoderRow
from app.items.encoding_chunks import Decoder
from app.stores.blobs import BlobStore
from app.training.repository import ItemContent
from model.data.dataset import Dataset, FeatureTable, MediaTable
from model.data.saved import ArrayFiles
from model.encoders.decode import MediaError
from model.encoders.spec import EncoderSpec

log = structlog.get_logger(__name__)

CHUNK = 64


@dataclass(frozen=True)
class MediaSource:
    """Where media come from.

    Attributes:
        blobs: raw bytes.
        decode: bytes to samples, safe against hostile input.
        check: asked now and then; it raises if the work shall leave off.
        modalities: which are wanted; empty: all.
    """

    blobs: BlobStore
    decode: Decoder
    check: Callable[[], None] = lambda: None
    modalities: frozenset[str] = frozenset()

    def wants(self, modality: str) -> bool:
        """Whether the media of a modality are needed."""
        return not self.modalities or modality in self.modalities


def with_media(
    dataset: Dataset,
    source: MediaSource,
    project: ProjectId,
    *,
    contents: Mapping[str, tuple[EncoderRow, Sequence[ItemContent]]],
    rows: Mapping[int, int],
    scratch: Path,
) -> Dataset:
    """Add the decoded media of the wanted modalities that have states; what cannot be decoded loses its states too.

    Args:
        dataset: with the states.
        source: of the bytes.
        project: whose.
        contents: by wanted modality, its encoder and what each item has of it.
        rows: the row of each item, by key.
        scratch: where the samples go; it has to outlive the dataset.
    """
    features: list[FeatureTable] = []
    media: list[MediaTable] = []
    for table in dataset.features:
        if table.modality not in contents:
            features.append(table)
            continue
        encoder, items = contents[table.modality]
        folder = scratch / f"media-{table.modality}"
        folder.mkdir()
        known = [item for item in items if item.item_pk in rows and table.row_of_item[rows[item.item_pk]] >= 0]
        spec = EncoderSpec.from_dict(encoder.spec)
        paths = dict(_decoded(source, project, spec, sorted({item.content_hash for item in known}), folder))
        number = {content: row for row, content in enumerate(paths)}
        row_of_item = np.full(dataset.item_count, -1, np.int32)
        for item in known:
            row_of_item[rows[item.item_pk]] = number.get(item.content_hash, -1)
        media.append(MediaTable(spec, ArrayFiles(list(paths.values())), row_of_item))
        features.append(replace(table, row_of_item=np.where(row_of_item >= 0, table.row_of_item, -1)))
    return replace(dataset, features=features, media=media)


def _decoded(
    source: MediaSource, project: ProjectId, spec: EncoderSpec, hashes: Sequence[str], folder: Path
) -> Iterator[tuple[str, Path]]:
    """Decode contents a few at a time; those that went well, with their files."""
    for start in range(0, len(hashes), CHUNK):
        source.check()
        blobs = {
            content: blob for content in hashes[start : start + CHUNK] if (blob := _read(source, project, content))
        }
        for content, sample in zip(blobs, source.decode(spec, list(blobs.values())), strict=True):
            if isinstance(sample, MediaError):
                log.info("medium left out of the training", content=content, reason=sample.reason)
                continue
            path = folder / f"{content}.npy"
            np.save(path, sample, allow_pickle=False)
            yield content, path


def _read(source: MediaSource, project: ProjectId, content: str) -> bytes | None:
    try:
        return source.blobs.get(project, content)
    except FileNotFoundError:
        log.info("medium left out of the training", content=content, reason="the stored bytes are missing")
        return None
