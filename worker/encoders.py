"""Loads the configured encoders, and decodes media for them away from this process."""

from collections.abc import Mapping, Sequence

import structlog

from app.core.config import Settings
from app.items.encoding import FrozenEncoder
from model.encoders.base import load_encoder
from model.encoders.decode import DecodeLimits, MediaError, Sample
from model.encoders.decode_pool import DecodePool
from model.encoders.offline import default_specs
from model.encoders.spec import EncoderSpec
from worker.device import pick_device

log = structlog.get_logger(__name__)


def load_encoders(settings: Settings) -> Mapping[str, FrozenEncoder]:
    """The encoder of each modality, on this process's device; the default set unless the settings name another."""
    specs = settings.encoders or default_specs(settings.encoders_dir)
    device = pick_device(settings.device)
    encoders = {spec.modality: load_encoder(spec, device, compiled=settings.encode_compile) for spec in specs}
    for modality, encoder in encoders.items():
        if encoder.parity:
            log.info("encoder in int8", modality=modality, cosine_to_float32=[round(one, 4) for one in encoder.parity])
    return encoders


class DecodingPool:
    """Decodes in child processes with the bounds of the settings."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.media
        self._pool = DecodePool(
            settings.decode_processes,
            DecodeLimits(
                max_pixels=max(limits.image_pixels, limits.video_pixels),
                max_seconds=max(limits.audio_seconds, limits.video_seconds),
            ),
            settings.decode_timeout_s,
            settings.decode_memory_bytes,
        )

    def decode(self, spec: EncoderSpec, blobs: Sequence[bytes]) -> Sequence[Sample | MediaError]:
        """A sample for each blob, or why there is none."""
        return self._pool.decode_all(spec, blobs)

    def close(self) -> None:
        """End the processes."""
        self._pool.close()
