"""The settings of a process: read once from `CROSSAN_*` variables, passed whole."""

import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

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
    api_processes: int = Field(default=1, ge=1, le=64)
    """API processes that `crossan up` and `crossan serve` run at one address."""
    log_level: str = "INFO"

    encoders: Annotated[tuple[EncoderSpec, ...] | None, NoDecode] = None
    """Encoders as a JSON list; unset means the default set (`model.encoders.offline`)."""
    device: str = "auto"
    train_processes: int = Field(default=1, ge=1, le=64)
    encode_batch: int = Field(default=256, ge=1, le=1024)
    encode_compile: bool = False
    decode_processes: int = Field(default=2, ge=1)
    decode_timeout_s: float = Field(default=60.0, gt=0)
    decode_memory_bytes: int = Field(default=2 << 30, ge=256 << 20)

    media: MediaLimits = MediaLimits()
    json_body_limit_bytes: int = Field(default=4 << 20, gt=0)
    bulk_json_limit_bytes: int = Field(default=32 << 20, gt=0)
    bulk_body_limit_bytes: int = Field(default=16 << 30, gt=0)
    bulk_line_limit_bytes: int = Field(default=2 << 20, gt=0)
    transfer_keep_s: float = Field(default=7 * 86_400.0, gt=0)
    """How long what an import or export has left behind is kept after its end."""

    media_fetch_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that media are fetched from, `host`, `host:port` or `*.domain`, as a list with commas; none: nothing is."""
    media_fetch_parallel: int = Field(default=8, ge=1, le=64)
    media_fetch_timeout_s: float = Field(default=120.0, gt=0)
    media_fetch_read_timeout_s: float = Field(default=10.0, gt=0)

    database_pool: int = Field(default=8, ge=1)
    key_cache_s: float = Field(default=5.0, ge=0)
    sequence_cap: int = Field(default=1_000, ge=1)
    """Most recent events kept of each user in the cache, in order; of older ones only which items they made seen."""
    user_cache: int = Field(default=20_000, ge=0)
    """Users that an API process remembers, with their vectors and candidates, as long as Redis says nothing is new."""
    sequence_ttl_s: int = Field(default=3_600, ge=1)
    catalogue_poll_s: float = Field(default=5.0, gt=0)
    index_kind: Literal["auto", "exact", "quantised", "hnsw", "pgvector"] = "auto"
    """How the best items for a user are found."""
    index_recall: float = Field(default=0.99, gt=0, le=1)
    """Least share of the exact best that an index has to find, or a more exact one takes its place."""
    index_quantised_from: int = Field(default=20_000, ge=0)
    """Items from which on `auto` takes 8-bit copies of the vectors."""
    index_hnsw_from: int = Field(default=1_000_000, ge=0)
    """Items from which on `auto` takes a graph."""
    trending_half_life_s: float = Field(default=7 * 86_400.0, gt=0)
    trending_window_events: int = Field(default=100_000, ge=1)
    trending_refresh_s: float = Field(default=10.0, ge=0)
    similar_timeout_s: float = Field(default=10.0, gt=0)
    """How long a request for what is similar waits for a worker, or for vectors that are not there yet."""
    answer_flush_s: float = Field(default=0.5, gt=0)
    """How often the API writes the answers that it has given into the database."""
    answer_days: int = Field(default=30, ge=1)
    """For how long they are kept."""

    public_url: str | None = None
    """Where clients reach the service; the `type` of problems is a URL below it, or else a path."""
    metrics_public: bool = True
    """Whether `/metrics` needs no key; otherwise one with the scope `admin`."""
    metrics_cache_s: float = Field(default=5.0, ge=0)
    """How long what a scrape reads of the database is shown again."""
    slow_request_s: float = Field(default=2.0, gt=0)
    """Requests that take longer are logged as slow."""
    gzip_min_bytes: int = Field(default=1_024, ge=0)
    """Answers from this size on are compressed for clients that take it; 0 never."""
    rate_per_s: float | None = Field(default=None, gt=0)
    """Requests a second of a key that has no rate of its own; unset means no limit."""
    rate_burst: int | None = Field(default=None, ge=1)
    """Requests at once; unset means twice the rate."""
    idempotency_s: float = Field(default=86_400.0, gt=0)
    """How long answers to requests with an Idempotency-Key are kept."""
    freshness_objective_s: float = Field(default=5.0, gt=0)
    """Seconds from upload to recommendable that are good enough."""
    warm_up_s: float = Field(default=20.0, ge=0)
    """Longest time that a new process spends on loading projects before it is ready; 0 loads none."""
    drain_s: float = Field(default=0.0, ge=0)
    """How long a process that has been asked to end says that it is not ready, and goes on serving, before it ends."""

    keep_versions: int = Field(default=10, ge=1)
    """How many versions of a project stay; those that serve or are archived stay beyond that."""
    keep_jobs_days: float = Field(default=90.0, gt=0)
    """How long ended jobs are remembered; trainings whose version exists are for good."""
    leftover_s: float = Field(default=86_400.0, ge=7_200)
    """Age of files and rows that nothing refers to before they are removed."""
    retain_every_s: float = Field(default=600.0, gt=0)
    schedules_every_s: float = Field(default=5.0, gt=0)
    trigger_check_s: float = Field(default=60.0, gt=0)
    """How often the conditions of a schedule are looked at."""

    webhook_allow_private: bool = False
    """Whether webhooks may lead to private addresses."""
    webhook_timeout_s: float = Field(default=15.0, gt=0)
    webhook_retry_s: float = Field(default=86_400.0, gt=0)
    """For how long a message is tried."""
    webhook_keep_days: float = Field(default=7.0, gt=0)
    """How long messages are remembered after their end."""
    job_streams: int = Field(default=64, ge=1)
    """Event streams of jobs that one API process serves at once."""
    job_stream_s: float = Field(default=900.0, gt=0)
    """After this long a stream ends, and its client asks again."""

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

    @field_validator("media_fetch_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        hosts = value.split(",") if isinstance(value, str) else value
        return tuple(host.strip().lower() for host in hosts if host.strip())

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
    def matrices_dir(self) -> Path:
        """Where item vectors lie that the API processes of a machine share; all of it may go at any time."""
        return self.data_dir / "matrices"

    @property
    def encoders_dir(self) -> Path:
        """Where the default encoders are unpacked."""
        return self.data_dir / "encoders"
