"""Reads everything a training learns from, once: items, event sequences, and hidden states as memory-mapped files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from app.core.types import ProjectId
from app.db.session import Database
from app.db.tables import EncoderRow
from app.events.repository import EventRepository
from app.models.repository import StatesLocation
from app.stores.features import FeatureStore
from app.training.media import MediaSource, with_media
from app.training.repository import CutItem, CutRepository
from app.users.erasures import ErasureRepository
from model.data.dataset import Dataset, FeatureTable, Interactions, interactions_of

CHUNK_ROWS = 2_048


@dataclass(frozen=True)
class DataCut:
    """A dataset, what its rows are, and how to tell it from another."""

    dataset: Dataset
    items: Sequence[CutItem]
    encoders: Mapping[str, str]
    """Fingerprints by modality."""
    summary: Mapping[str, Any]


def read_cut(
    database: Database,
    features: FeatureStore,
    project: ProjectId,
    *,
    modalities: Sequence[str],
    scratch: Path,
    media: MediaSource | None = None,
) -> DataCut:
    """Everything of a project as of now.

    Args:
        database: items, events and the index of states.
        features: the states.
        project: whose.
        modalities: in the order the network shall have them.
        scratch: folder for the memory-mapped files; it has to outlive the dataset.
        media: where the media are read from, if they are wanted too.
    """
    with database.transaction() as transaction:
        cut = CutRepository(transaction, project)
        items = cut.items()
        encoders = {encoder.modality: encoder for encoder in cut.encoders()}
        located = {name: cut.states(encoders[name]) for name in modalities if name in encoders}
        wanted = [name for name in located if media and media.wants(name)]
        contents = {name: (encoders[name], cut.contents(encoders[name])) for name in wanted}
        row_of = {item.item_id: row for row, item in enumerate(items)}
        events = EventRepository(transaction, project)
        until = events.newest_number()
        # Before the events: whoever is erased from here on may be among them, and counts as erased since the cut.
        erasure = ErasureRepository(transaction, project).newest()
        interactions, last = _interactions(events, row_of, until)
    rows = {item.pk: row for row, item in enumerate(items)}
    tables = [
        _table(encoders[name], states, rows, features=features, scratch=scratch)
        for name, states in located.items()
        if states
    ]
    dataset = Dataset(item_count=len(items), features=tables, interactions=interactions)
    if media:
        dataset = with_media(dataset, media, project, contents=contents, rows=rows, scratch=scratch)
    summary = {
        "items": len(items),
        "users": len(interactions),
        "events": len(interactions.items),
        "until_event": until,
        "erasure": erasure,
        "until": last.isoformat() if last else None,
        "media": {table.modality: len(table.states) for table in tables},
    }
    fingerprints = {table.modality: encoders[table.modality].fingerprint for table in tables}
    return DataCut(dataset, items, fingerprints, summary)


def _interactions(
    events: EventRepository, row_of: Mapping[str, int], until: int
) -> tuple[Interactions, datetime | None]:
    histories: list[list[int]] = []
    times: list[list[int]] = []
    newest: datetime | None = None
    for user in events.sequences(until=until):
        known = [
            (row, second)
            for item_id, second in zip(user.item_ids, user.times_s, strict=True)
            if (row := row_of.get(item_id)) is not None
        ]
        if known:
            histories.append([row for row, _ in known])
            times.append([second for _, second in known])
            newest = max(newest or user.last, user.last)
    return interactions_of(histories, times), newest


def _table(
    encoder: EncoderRow,
    states: Sequence[StatesLocation],
    rows: Mapping[int, int],
    *,
    features: FeatureStore,
    scratch: Path,
) -> FeatureTable:
    """One modality's states in one file [n, layers, width], mapped read-only."""
    known = [stored for stored in states if stored.item_pk in rows]
    path = scratch / f"{encoder.modality}.npy"
    shape = (len(known), encoder.layers, encoder.width)
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    for start in range(0, len(known), CHUNK_ROWS):
        chunk = known[start : start + CHUNK_ROWS]
        features.read_into(
            table[start : start + len(chunk)], [one.shard for one in chunk], [one.shard_row for one in chunk]
        )
    table.flush()
    row_of_item = np.full(len(rows), -1, np.int32)
    row_of_item[[rows[stored.item_pk] for stored in known]] = np.arange(len(known), dtype=np.int32)
    return FeatureTable(encoder.modality, np.load(path, mmap_mode="r"), row_of_item)
