"""The settings of a process: read once from `CROSSAN_*` variables, passed whole."""

import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.errors import NotConfigured
from app.core.media_limits import MediaLimits
from model.encoders.spec import EncoderSpec

ENDPOINTS_FILE = "endpoints.json"
"""Written into the data folder while `crossan up` runs bundled services: {database_url, redis_url}."""

DEFAULT_MODALITIES = ("text", "image", "audio", "video")
LOADER_MEDIA = {"frames": "video"}
"""Loaders that read media of another name than their own."""


class Settings(BaseSettings):
    """Everything a process may be told; a duration is in seconds, a size in bytes."""

    model_config = SettingsConfigDict(env_prefix="CROSSAN_", env_nested_delimiter="__", frozen=True, extra="ignore")

    data_dir: Path = Path("data")
    database_url: str | None = None
    redis_url: str | None = None
    broker_url: str | None = None
    blob_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    log_level: str = "INFO"

    encoders: Annotated[tuple[EncoderSpec, ...] | None, NoDecode] = None
    """Encoders as a JSON list; unset means the default set (`model.encoders.offline`)."""
    device: str = "auto"
    train_processes: int = Field(default=1, ge=1, le=64)
    encode_batch: int = Field(default=32, ge=1, le=1024)
    decode_processes: int = Field(default=1, ge=1)
    decode_timeout_s: float = Field(default=60.0, gt=0)
    decode_memory_bytes: int = Field(default=2 << 30, ge=256 << 20)

    media: MediaLimits = MediaLimits()
    json_body_limit_bytes: int = Field(default=4 << 20, gt=0)

    database_pool: int = Field(default=8, ge=1)
    key_cache_s: float = Field(default=5.0, ge=0)
    sequence_cap: int = Field(default=1_000, ge=1)
    """Most recent events kept of each user in the cache; what is older is not seen by ranking or seen-exclusion."""
    sequence_ttl_s: int = Field(default=3_600, ge=1)
    catalogue_poll_s: float = Field(default=5.0, gt=0)
    trending_half_life_s: float = Field(default=7 * 86_400.0, gt=0)
    trending_window_events: int = Field(default=100_000, ge=1)
    trending_refresh_s: float = Field(default=10.0, ge=0)

    heartbeat_s: float = Field(default=1.0, gt=0)
    job_stale_s: float = Field(default=10.0, gt=0)
    job_resend_s: float = Field(default=20.0, gt=0)
    job_max_attempts: int = Field(default=5, ge=1)
    sweep_every_s: float = Field(default=5.0, gt=0)

    @field_validator("encoders", mode="before")
    @classmethod
    def _parse_encoders(cls, value: Any) -> Any:
        options = json.loads(value) if isinstance(value, str) else value
        return options and tuple(one if isinstance(one, EncoderSpec) else EncoderSpec.from_dict(one) for one in options)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @cached_property
    def _endpoints(self) -> dict[str, str]:
        path = self.data_dir / ENDPOINTS_FILE
        return json.loads(path.read_text()) if path.is_file() else {}

    def _url(self, name: str) -> str:
        url = getattr(self, name) or self._endpoints.get(name)
        if url is None:
            raise NotConfigured(
                f"Set CROSSAN_{name.upper()}, or start the bundled services by `crossan up` (folder {self.data_dir})."
            )
        return str(url)

    @property
    def media_kinds(self) -> dict[str, str]:
        """The modalities items may have, in the order of the encoders, and what kind of media each takes."""
        if self.encoders is None:
            return {modality: modality for modality in DEFAULT_MODALITIES}
        return {spec.modality: LOADER_MEDIA.get(spec.loader, spec.loader) for spec in self.encoders}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities items may have, in the order of the encoders."""
        return tuple(self.media_kinds)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of PostgreSQL, with the psycopg driver."""
        scheme, _, rest = self._url("database_url").partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else f"{scheme}://{rest}"

    @property
    def redis(self) -> str:
        """The URL of Redis or Valkey."""
        return self._url("redis_url")

    @property
    def broker(self) -> str:
        """The URL of the Celery broker; Redis unless set."""
        return self.broker_url or self.redis

    @property
    def blobs(self) -> str:
        """The fsspec URL of the media store."""
        return self.blob_url or f"file://{self.data_dir / 'blobs'}"

    @property
    def features_dir(self) -> Path:
        """Where shards of hidden states lie."""
        return self.data_dir / "features"

    @property
    def artifacts_dir(self) -> Path:
        """Where trained versions lie."""
        return self.data_dir / "artifacts"

    @property
    def encoders_dir(self) -> Path:
        """Where the default encoders are unpacked."""
        return self.data_dir / "encoders"
