"""Both services together: one supervisor a data folder, and the file that tells other processes where they are."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.core.config import ENDPOINTS_FILE
from app.embedded.errors import FolderInUse
from app.embedded.postgres import Postgres
from app.embedded.valkey import Valkey

LOCK_FILE = "supervisor.lock"


@dataclass(frozen=True)
class Endpoints:
    """Where the database and the cache answer."""

    database_url: str
    redis_url: str


class BundledServices:
    """What a data folder needs started: PostgreSQL unless `database_url` is given, Valkey unless `redis_url` is.

    Args:
        data_dir: Folder of the cluster, the logs and the endpoints file.
        database_url: A database that runs already; no PostgreSQL is started then.
        redis_url: A Redis or Valkey that runs already.
        durable: Off trades safety at a crash of the machine for speed (tests).
    """

    def __init__(
        self, data_dir: Path, *, database_url: str | None = None, redis_url: str | None = None, durable: bool = True
    ) -> None:
        self.data_dir = data_dir.resolve()
        logs = self.data_dir / "logs"
        self._lock: IO[str] | None = None
        self._database_url = database_url
        self._redis_url = redis_url
        self._postgres = (
            None if database_url else Postgres(self.data_dir / "postgres", log=logs / "postgres.log", durable=durable)
        )
        self._valkey = None if redis_url else Valkey(log=logs / "valkey.log")

    @property
    def endpoints(self) -> Endpoints:
        """Valid after `start`."""
        return Endpoints(
            database_url=self._postgres.url if self._postgres else str(self._database_url),
            redis_url=self._valkey.url if self._valkey else str(self._redis_url),
        )

    def start(self) -> Endpoints:
        """Start what is bundled and write the endpoints file, which names only that.

        Raises:
            FolderInUse: Another supervisor holds the folder.
            EmbeddedError: A service did not come up; nothing of it stays running.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_folder(self.data_dir)
        self._endpoints_path.unlink(missing_ok=True)
        try:
            for service in self._services:
                service.start()
            self._write_endpoints()
        except BaseException:
            self.stop()
            raise
        return self.endpoints

    def revive(self) -> list[str]:
        """Start again, at the same address, what has died; returns the names."""
        dead = [service for service in self._services if not service.is_running()]
        for service in dead:
            service.start()
        return [type(service).__name__ for service in dead]

    def stop(self) -> None:
        """Remove the endpoints file, end the services, release the folder; nothing if it was not held."""
        if self._lock is None:
            return
        self._endpoints_path.unlink(missing_ok=True)
        for service in reversed(self._services):
            service.stop()
        self._lock.close()
        self._lock = None

    @property
    def _services(self) -> list[Postgres | Valkey]:
        return [service for service in (self._postgres, self._valkey) if service is not None]

    @property
    def _endpoints_path(self) -> Path:
        return self.data_dir / ENDPOINTS_FILE

    def _write_endpoints(self) -> None:
        found = {}
        if self._postgres:
            found["database_url"] = self._postgres.url
        if self._valkey:
            found["redis_url"] = self._valkey.url
        write_private(self._endpoints_path, json.dumps(found))


@contextmanager
def bundled_services(
    data_dir: Path, *, database_url: str | None = None, redis_url: str | None = None, durable: bool = True
) -> Iterator[Endpoints]:
    """Run the services for the time of the block, from a thread that lives as long (the kernel ends them with it).

    Raises:
        FolderInUse: Another supervisor holds the folder.
        EmbeddedError: A service did not come up.
    """
    services = BundledServices(data_dir, database_url=database_url, redis_url=redis_url, durable=durable)
    try:
        yield services.start()
    finally:
        services.stop()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _lock_folder(folder: Path) -> IO[str]:
    """Hold the folder's lock until the file is closed or this process ends.

    Raises:
        FolderInUse: Someone else holds it.
    """
    lock = (folder / LOCK_FILE).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise FolderInUse(folder, holder) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
