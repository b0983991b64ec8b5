"""Contents a second from pending to stored, against those that the bare network runs over; and what int8 gives."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import structlog

from app.core.config import Settings
from app.db.migrate import upgrade
from app.embedded.services import bundled_services
from bench.encode.forward import BareForward
from bench.encode.media import contents_of, demo_folder
from bench.encode.specs import specs_of
from bench.encode.work import Worker
from bench.measuring import Figure, Options, compare
from model.encoders import decode_child
from model.encoders.base import Encoder, load_encoder
from model.encoders.decode import DecodeLimits, decode
from model.encoders.int8 import INT8, layer_cosines
from model.encoders.spec import EncoderSpec

Clock = Callable[[], float]
"""Seconds since some moment."""
log = logging.getLogger(__name__)
COUNTS = {"text": 1_024, "image": 128, "audio": 96, "video": 48}
QUICK_COUNTS = {"text": 256, "image": 32, "audio": 24, "video": 8}
QUICK_RUNS = 3


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """The figures of the group; unit of the floors: contents a second, of `…_int8` seconds in float32."""
    # A line a chunk is for a worker's log.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    specs = specs_of(options.encoders, options.cache_dir)
    media = options.media or demo_folder(options.cache_dir)
    for modality, spec in specs.items():
        contents = contents_of(media, modality, (QUICK_COUNTS if options.quick else COUNTS)[modality])
        if not contents:
            log.warning("encode_%s skipped: %s has no media of it", modality, media)
            continue
        if options.wants(f"encode_{modality}"):
            yield f"encode_{modality}", _end_to_end(spec, contents, options)
        if options.wants(f"encode_{modality}_int8") and not options.quick:
            yield f"encode_{modality}_int8", _int8(spec, contents, options)


def _end_to_end(spec: EncoderSpec, contents: list[bytes], options: Options) -> Figure:
    encoder = load_encoder(spec)
    bare = BareForward(spec, contents, batch_size=encoder.batch_size)
    with _settings(spec) as settings:
        worker = Worker(settings, {spec.modality: encoder})
        worker.upload(spec.modality, contents, settings.data_dir)
        worker.encode_all(spec.modality)
        bare.run()
        clock = processor_s if options.by_cpu else time.perf_counter
        figure = compare(
            lambda: _per_s(f"{spec.modality}, end to end", contents, clock, lambda: worker.encode_all(spec.modality)),
            lambda: _per_s(f"{spec.modality}, forward alone", contents, clock, bare.run),
            runs=_runs(options),
        )
        worker.close()
    return figure


def _int8(spec: EncoderSpec, contents: list[bytes], options: Options) -> Figure:
    samples = [decode(spec, content, DecodeLimits()) for content in contents]
    whole, small = load_encoder(spec), load_encoder(replace(spec, dtype=INT8))
    cosines = layer_cosines(small.encode(samples), whole.encode(samples))
    log.info("%s in int8: least cosine of each layer %s", spec.modality, [round(one, 4) for one in cosines])
    return compare(lambda: _seconds(small, samples), lambda: _seconds(whole, samples), runs=_runs(options))


def _seconds(encoder: Encoder, samples: list[Any]) -> float:
    started = time.perf_counter()
    encoder.encode(samples)
    return time.perf_counter() - started


@contextmanager
def _settings(spec: EncoderSpec) -> Iterator[Settings]:
    """Of a service with this encoder, on durable stores of its own."""
    # Not below a folder that only its owner may enter: PostgreSQL never runs as root.
    with (
        tempfile.TemporaryDirectory(prefix="crossan-bench-encode-") as folder,
        bundled_services(Path(folder), durable=True) as endpoints,
    ):
        settings = Settings(
            data_dir=Path(folder) / "data",
            database_url=endpoints.database_url,
            redis_url=endpoints.redis_url,
            encoders=(spec,),
        )
        settings.data_dir.mkdir(exist_ok=True)
        upgrade(settings.database)
        yield settings


def processor_s() -> float:
    """Processor time of this process and of those that decode for it; the stores' is left out."""
    process = psutil.Process()
    decoding = [one for one in process.children() if decode_child.__name__ in one.cmdline()]
    return sum(sum(one.cpu_times()[:2]) for one in (process, *decoding))


def _per_s(name: str, contents: list[bytes], clock: Clock, work: Callable[[], object]) -> float:
    started = clock()
    work()
    rate = len(contents) / (clock() - started)
    log.info("%s: %.1f a second", name, rate)
    return rate


def _runs(options: Options) -> int:
    return min(options.runs, QUICK_RUNS) if options.quick else options.runs
