"""A folder of items, media and events as the arrays that a comparison learns from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.cli.importer.folder import FolderItem, read_events, read_items
from crossan.client import ClientError

Medium = Mapping[str, str]
"""{"text": …} or {"file": its absolute path}."""


@dataclass(frozen=True)
class Events:
    """Events in compressed rows, as `model.data.dataset.Interactions`: users oldest event first.

    Attributes:
        offsets: int64 [users + 1].
        items: int32 [events].
        times: int64 [events], seconds since 1970.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64]

    @property
    def users(self) -> NDArray[np.int64]:
        """The user of each event, int64 [events]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    @property
    def digest(self) -> str:
        """The same for the same events."""
        digest = hashlib.sha256()
        for array in (self.offsets, self.items, self.times):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def keep(self, kept: NDArray[np.bool_]) -> "Events":
        """Returns the events marked in `kept` [events], without users of whom nothing is left."""
        counts = np.bincount(self.users[kept], minlength=len(self.offsets) - 1)
        offsets = np.concatenate([[0], np.cumsum(counts[counts > 0])])
        return Events(offsets, self.items[kept], self.times[kept])


@dataclass(frozen=True)
class Catalogue:
    """Items with the media they have, by modality, and what users did with them."""

    ids: Sequence[str]
    media: Sequence[Mapping[str, Medium]]
    events: Events
    unread_events: int = 0

    @property
    def modalities(self) -> set[str]:
        """What at least one item has."""
        return {name for media in self.media for name in media}

    def describable(self, subsets: Sequence[Sequence[str]]) -> "Catalogue":
        """Returns the items that have at least one modality of every subset."""
        kept = [all(any(name in media for name in subset) for subset in subsets) for media in self.media]
        return self._only(np.array(kept, dtype=np.bool_))

    def most_active(self, *, items: int | None, users: int | None) -> "Catalogue":
        """Returns the items with the most events, and then the users with the most events about those."""
        found = self
        if items is not None:
            counts = np.bincount(found.events.items, minlength=len(found.ids))
            found = found._only(_largest(counts, items))
        if users is not None:
            chosen = _largest(np.diff(found.events.offsets), users)
            events = found.events.keep(chosen[found.events.users])
            found = Catalogue(found.ids, found.media, events, found.unread_events)
        return found

    def _only(self, kept: NDArray[np.bool_]) -> "Catalogue":
        rows = np.flatnonzero(kept).tolist()
        numbers = np.cumsum(kept, dtype=np.int32) - 1
        events = self.events.keep(kept[self.events.items])
        events = Events(events.offsets, numbers[events.items], events.times)
        return Catalogue([self.ids[row] for row in rows], [self.media[row] for row in rows], events, self.unread_events)


def _largest(counts: NDArray[np.int64], number: int) -> NDArray[np.bool_]:
    """Marks the `number` largest counts; of equal ones the first."""
    kept = np.zeros(len(counts), dtype=np.bool_)
    kept[np.argsort(-counts, kind="stable")[:number]] = True
    return kept


def read_catalogue(folder: Path, kinds: Mapping[str, str]) -> Catalogue:
    """Reads the import format.

    Args:
        folder: holds items.csv, events.csv and the media that they name.
        kinds: the modalities, and what kind of media each takes.

    Raises:
        ClientError: a file is missing, lacks a column, or there are no events about known items.
    """
    folder = folder.resolve()
    items = read_items(folder)
    media = [_media(item, kinds) for item in items]
    events, unread = _events(folder / "events.csv", {item.item_id: row for row, item in enumerate(items)})
    return Catalogue([item.item_id for item in items], media, events, unread)


def _media(item: FolderItem, kinds: Mapping[str, str]) -> dict[str, Medium]:
    found: dict[str, Medium] = {}
    for modality, kind in kinds.items():
        if kind in item.files:
            found[modality] = {"file": str(item.files[kind])}
        elif kind == "text" and item.text:
            found[modality] = {"text": item.text}
    return found


def _events(path: Path, rows: Mapping[str, int]) -> tuple[Events, int]:
    """Returns the events of known items, and how many lines could not be used."""
    by_user: dict[str, list[tuple[float, int]]] = {}
    unread = 0
    for _, event in read_events(path):
        when = None if isinstance(event, str) else _seconds(event)
        if isinstance(event, str) or when is None or event["item_id"] not in rows:
            unread += 1
        else:
            by_user.setdefault(event["user_id"], []).append((when, rows[event["item_id"]]))
    if not by_user:
        raise ClientError(f"{path} has no events about items of items.csv.")
    histories = [sorted(by_user[user], key=lambda pair: pair[0]) for user in sorted(by_user)]
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    flat = [pair for history in histories for pair in history]
    times = np.array([when for when, _ in flat], dtype=np.float64).astype(np.int64)
    return Events(offsets, np.array([row for _, row in flat], dtype=np.int32), times), unread


def _seconds(event: Mapping[str, Any]) -> float | None:
    """Returns when an event was, in seconds since 1970; a time without a zone is UTC. None if it cannot be read."""
    stamp = event["timestamp"]
    if isinstance(stamp, float):
        return stamp
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
