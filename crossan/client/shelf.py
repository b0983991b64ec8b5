"""Files of events that wait to be sent; a file belongs to the writer that holds its lock, or to the next that comes."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: files are kept, and `Shelf.adopt` finds nothing.
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".ndjson"


def default_folder() -> Path:
    """Where events are kept that a writer could not send before it had to end."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossan" / "unsent"


class EventFile:
    """One file of events, one a line, locked as long as it is open."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.path = path
        self._file = file

    def append(self, event: Mapping[str, Any]) -> None:
        """Hand one event to the operating system: it outlives this process."""
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()

    def read(self) -> list[dict[str, Any]]:
        """Every whole line: a torn last one, of a writer killed in the middle of it, was never accepted."""
        self._file.seek(0)
        return [json.loads(line) for line in self._file if line.endswith("\n")]

    def leave(self) -> None:
        """Close it for another writer to adopt."""
        self._file.close()

    def remove(self) -> None:
        """The events have arrived."""
        self.path.unlink(missing_ok=True)
        self._file.close()


class Shelf:
    """The files of one service in a folder.

    Args:
        folder: made when it is needed.
        service: address and key: events for one service are never sent to another.
    """

    def __init__(self, folder: Path, service: str) -> None:
        self.folder = folder
        self._prefix = hashlib.sha256(service.encode()).hexdigest()[:16]

    def new(self) -> EventFile:
        """An empty file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self._prefix}-{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
        file = path.open("x+", encoding="utf-8")
        _lock(file)
        return EventFile(path, file)

    def keep(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Put events away for another writer."""
        file = self.new()
        for event in events:
            file.append(event)
        file.leave()

    def adopt(self) -> Iterator[tuple[EventFile, list[dict[str, Any]]]]:
        """Files that no writer holds any more, oldest first, with their events."""
        if fcntl is None:
            return
        for path in sorted(self.folder.glob(f"{self._prefix}-*{SUFFIX}")):
            try:
                file = path.open("r+", encoding="utf-8")
            except FileNotFoundError:
                continue
            if not _lock(file) or not path.exists():
                file.close()
                continue
            found = EventFile(path, file)
            events = found.read()
            if events:
                yield found, events
            else:
                found.remove()


def _lock(file: IO[str]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
