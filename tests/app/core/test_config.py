import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.config import ENDPOINTS_FILE, Settings
from app.core.errors import NotConfigured


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "BLOB_URL", "ENCODERS"):
        monkeypatch.delenv(f"CROSSAN_{name}", raising=False)
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_common_scheme_becomes_psycopg(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://me:p%40ss@host:5/db?sslmode=require")
    assert settings.database == "postgresql+psycopg://me:p%40ss@host:5/db?sslmode=require"


def test_the_broker_is_redis_unless_set() -> None:
    assert Settings(redis_url="redis://a").broker == "redis://a"
    assert Settings(redis_url="redis://a", broker_url="amqp://b").broker == "amqp://b"


def test_without_any_service_it_says_what_to_set() -> None:
    with pytest.raises(NotConfigured, match="CROSSAN_DATABASE_URL"):
        _ = Settings().database


def test_bundled_services_are_found_and_variables_win(tmp_path: Path) -> None:
    (tmp_path / ENDPOINTS_FILE).write_text(
        json.dumps({"database_url": "postgresql://a/b", "redis_url": "redis://bundled"})
    )
    assert Settings().redis == "redis://bundled"
    assert Settings(redis_url="redis://mine").redis == "redis://mine"


def test_encoders_come_as_json_and_give_the_modalities(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = [
        {"modality": "cover", "model": "a/b", "loader": "image"},
        {"modality": "trailer", "model": "a/b", "loader": "frames"},
    ]
    monkeypatch.setenv("CROSSAN_ENCODERS", json.dumps(encoders))
    assert Settings().media_kinds == {"cover": "image", "trailer": "video"}
    monkeypatch.setenv("CROSSAN_ENCODERS", '[{"modality": "text"}]')
    with pytest.raises(ValidationError, match="model"):
        Settings()


def test_nested_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSAN_MEDIA__IMAGE_BYTES", "1234")
    assert Settings().media.max_bytes("image") == 1234


def test_the_data_folder_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(data_dir=Path("here")).data_dir == tmp_path / "here"
