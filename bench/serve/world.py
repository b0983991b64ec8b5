"""The world that is served: a data folder with PostgreSQL, a project with a key, items, users and a version."""

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import psycopg

import app.db
import migrations
import model
from app.core.config import Settings
from app.core.types import ProjectId, Scope
from app.db.migrate import upgrade
from app.db.session import Database
from app.embedded.services import Endpoints, bundled_services
from app.projects.service import ProjectService
from app.stores.artifacts import ArtifactStore
from bench.serve.synthetic import MODALITIES, draw_histories, draw_shares, draw_vectors, item_id, title, user_id
from model.artifact import Manifest

HERE = Path(__file__).parent
SOURCES = (HERE / "world.py", HERE / "artifact.py", HERE / "synthetic.py")
PACKAGES = (app.db, migrations, model)
"""What a world is made by: one that other code has made is made again."""
READY = "world.json"
FIRST_EVENT_S = 1_760_000_000
PUBLISHED = "2026-01-01 00:00:00+00"
ITEM_COLUMNS = "project_id, item_id, title, state, content_key, published_at"
EVENT_COLUMNS = "project_id, event_id, user_id, item_id, type, timestamp"


@dataclass(frozen=True)
class WorldSpec:
    """How large a world is: items, users, events of each, d of the vectors, items that the user encoder reads."""

    items: int
    users: int = 500
    history: int = 50
    width: int = 64
    max_length: int = 50

    @property
    def name(self) -> str:
        """Of its folder: tells everything that makes it differ from another."""
        return "-".join(f"{field}{value}" for field, value in asdict(self).items())


@dataclass(frozen=True)
class World:
    """A world with its services running.

    Attributes:
        settings: of every process of it.
        key: with every scope.
        users: their ids.
    """

    spec: WorldSpec
    settings: Settings
    key: str
    users: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the service is told."""
        return {
            "CROSSAN_DATA_DIR": str(self.settings.data_dir),
            "CROSSAN_DATABASE_URL": str(self.settings.database_url),
            "CROSSAN_REDIS_URL": str(self.settings.redis_url),
        }


@contextmanager
def running_world(spec: WorldSpec, root: Path) -> Iterator[World]:
    """Start PostgreSQL and Valkey on the world's folder below `root`; it is filled if it is new, or only half made."""
    folder = root / spec.name
    found = _built(folder)
    if found is None:
        shutil.rmtree(folder, ignore_errors=True)
    with bundled_services(folder, durable=False) as endpoints:
        settings = _settings(folder, endpoints)
        key = found or _build(spec, settings)
        _forget_answers(endpoints)
        yield World(spec, settings, key, tuple(user_id(number) for number in range(spec.users)))


def _built(folder: Path) -> str | None:
    """The key of a finished world, None if there is no such world."""
    path = folder / READY
    made = json.loads(path.read_text()) if path.is_file() else {}
    return made["key"] if made.get("sources") == _digest() else None


@cache
def _digest() -> str:
    """Of the code that makes a world, as it was when it was first asked for."""
    digest = hashlib.sha256()
    packages = [sorted(Path(package.__path__[0]).rglob("*.py")) for package in PACKAGES]
    for path in [*SOURCES, *itertools.chain(*packages)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _settings(folder: Path, endpoints: Endpoints) -> Settings:
    return Settings(data_dir=folder, database_url=endpoints.database_url, redis_url=endpoints.redis_url)


def _build(spec: WorldSpec, settings: Settings) -> str:
    # Brings torch: a world that is there needs none.
    from bench.serve.artifact import export_random

    upgrade(settings.database)
    project, key = project_with_key(settings)
    store = ArtifactStore(settings.artifacts_dir)
    folder = store.new_folder(project)
    manifest = export_random(folder, width=spec.width, max_length=spec.max_length)
    artifact = store.publish(project, "v1", folder)
    with psycopg.connect(str(settings.database_url)) as connection:
        version = _add_version(connection, project, artifact, manifest)
        _add_items(connection, project, version, spec)
        _add_events(connection, project, spec)
        connection.execute("UPDATE projects SET live_version_id = %s WHERE id = %s", (version, project))
    with psycopg.connect(str(settings.database_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    (settings.data_dir / READY).write_text(json.dumps({"sources": _digest(), "key": key}))
    return key


def project_with_key(settings: Settings) -> tuple[ProjectId, str]:
    """The default project, and a new key that may do everything."""
    database = Database(settings.database, pool_size=1)
    try:
        with database.transaction() as transaction:
            projects = ProjectService(transaction)
            project = projects.ensure_project("default")
            return project, projects.create_key(project, name="bench", scopes=list(Scope)).key
    finally:
        database.close()


def _add_version(connection: psycopg.Connection, project: ProjectId, artifact: str, manifest: Manifest) -> int:
    row = connection.execute(
        "INSERT INTO model_versions (project_id, number, method, artifact, manifest) VALUES (%s, 1, %s, %s, %s)"
        " RETURNING id",
        (project, manifest.method, artifact, manifest.to_json()),
    ).fetchone()
    assert row is not None
    return int(row[0])


def _add_items(connection: psycopg.Connection, project: ProjectId, version: int, spec: WorldSpec) -> None:
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY items ({ITEM_COLUMNS}) FROM STDIN") as copy:
            for number in range(spec.items):
                copy.write_row((project, item_id(number), title(number), "ready", "bench", PUBLISHED))
        keys = cursor.execute("SELECT id FROM items WHERE project_id = %s ORDER BY id", (project,)).fetchall()
        vectors = draw_vectors(spec.items, spec.width)
        shares = draw_shares(spec.items, len(MODALITIES))
        with cursor.copy("COPY item_vectors (version_id, item_pk, vector, shares, content_key) FROM STDIN") as copy:
            for (pk,), vector, share in zip(keys, vectors, shares, strict=True):
                copy.write_row((version, pk, vector.tobytes(), share.tobytes(), "bench"))


def _add_events(connection: psycopg.Connection, project: ProjectId, spec: WorldSpec) -> None:
    """Each user's events are of different items, one a minute."""
    histories = draw_histories(spec.users, spec.items, spec.history)
    with connection.cursor() as cursor, cursor.copy(f"COPY events ({EVENT_COLUMNS}) FROM STDIN") as copy:
        for user, history in enumerate(histories.tolist()):
            for step, number in enumerate(history):
                at = f"{np.datetime64(FIRST_EVENT_S + 60 * step, 's')}+00"
                copy.write_row((project, f"{user}-{step}", user_id(user), item_id(number), "view", at))


def _forget_answers(endpoints: Endpoints) -> None:
    """What an earlier run has been answered does not slow this one down."""
    with psycopg.connect(endpoints.database_url) as connection:
        connection.execute("TRUNCATE answers, answer_pools")
