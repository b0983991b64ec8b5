"""Has the media of a catalogue encoded into a dataset, once for all cells."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.cli.comparing.catalogue import Catalogue
from app.cli.comparing.children import Job, Show, run_jobs
from app.core.config import Settings
from crossan.client import ClientError
from model.compare.files import digest_of
from model.encoders.offline import default_specs

MODULE = "model.compare.encode"


def encode(
    catalogue: Catalogue,
    subsets: Sequence[Sequence[str]],
    settings: Settings,
    *,
    folders: Mapping[str, Path],
    keeps_media: bool,
    threads: int,
    show: Show,
) -> dict[str, Any]:
    """Encodes what no earlier run has encoded; see `model.compare.encode` for the result.

    Args:
        catalogue: every item can be described by each subset.
        subsets: of modalities, that will be compared.
        settings: name the encoders and the bounds of decoding.
        folders: `cache` and `work`.
        keeps_media: whether decoded media are needed as well.
        threads: to compute with.
        show: told now and then how far it is.

    Raises:
        ClientError: it failed; the message says why.
    """
    work, events = folders["work"], catalogue.events
    asked = {"items": list(catalogue.ids), "subsets": subsets, "media": keeps_media, "events": events.digest}
    job = Job(MODULE, work / "encode" / digest_of(asked)[:16], "encoding")
    job.folder.mkdir(parents=True, exist_ok=True)
    np.savez(job.folder / "events.npz", offsets=events.offsets, items=events.items, times=events.times)
    wanted = {name for subset in subsets for name in subset}
    specs = settings.encoders or default_specs(settings.encoders_dir)
    job.prepare(
        {
            "items": [
                {"id": item, "media": {name: medium for name, medium in media.items() if name in wanted}}
                for item, media in zip(catalogue.ids, catalogue.media, strict=True)
            ],
            "events": str(job.folder / "events.npz"),
            "encoders": [spec.to_dict() for spec in specs if spec.modality in wanted],
            "subsets": [list(subset) for subset in subsets],
            "keeps_media": keeps_media,
            "cache": str(folders["cache"]),
            "datasets": str(work / "datasets"),
            "device": settings.device,
            "threads": threads,
            "decode": _decoding(settings),
        }
    )
    [(_, result)] = run_jobs([job], at_once=1, threads=threads, show=show)
    if "error" in result:
        raise ClientError(f"The media could not be encoded: {result['error']}")
    return result


def _decoding(settings: Settings) -> dict[str, Any]:
    limits = settings.media
    return {
        "processes": settings.decode_processes,
        "timeout_s": settings.decode_timeout_s,
        "memory_bytes": settings.decode_memory_bytes,
        "max_pixels": max(limits.image_pixels, limits.video_pixels),
        "max_seconds": max(limits.audio_seconds, limits.video_seconds),
    }
