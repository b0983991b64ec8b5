"""Runs the frozen encoders over what is pending: claim, decode, encode, store, settle; one batch at a time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from app.core.jobs import JobKind
from app.core.types import ProjectId, VersionId
from app.db.session import Database
from app.items.encoding_repository import Claim, EncodingRepository, register_encoder
from app.jobs.run import JobRun
from app.jobs.service import JobService
from app.stores.blobs import BlobStore
from app.stores.features import FeatureStore
from app.stores.queue import JobQueue
from model.encoders.decode import MediaError, Sample
from model.encoders.spec import EncoderSpec

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 3
"""Content that was being encoded this often when its worker died is given up."""


SLICE_S = 20.0
"""After this long a job ends, and another one goes on."""


@dataclass(frozen=True)
class Progress:
    """What a job has done: how many contents, and whether nothing is left."""

    contents: int
    exhausted: bool


class FrozenEncoder(Protocol):
    """What this domain needs of an encoder."""

    @property
    def spec(self) -> EncoderSpec:
        """What it is."""

    @property
    def fingerprint(self) -> str:
        """Identifies its output."""

    @property
    def layers(self) -> int:
        """Stored states an input: its depth and the embedding layer."""

    @property
    def width(self) -> int:
        """Width of a state."""

    def encode(self, samples: Sequence[Sample]) -> NDArray[np.float16]:
        """Pooled hidden states [n, layers, width]."""

    def check(self) -> None:
        """Raise if not even the encoder's own example goes through."""


@dataclass(frozen=True)
class LiveEncoders:
    """The encoders that a project's live version has changed, and which version that is."""

    version: VersionId
    encoders: Sequence[FrozenEncoder]


LiveEncodersOf = Callable[[ProjectId], LiveEncoders | None]
"""None when the live version reads the states of the encoders in charge."""

Decoder = Callable[[EncoderSpec, Sequence[bytes]], Sequence[Sample | MediaError]]


class Settle(Protocol):
    """What follows from finished contents, in the same transaction."""

    def __call__(
        self, work: EncodingRepository, modality: str, fingerprint: str, /, *, contents: Sequence[str]
    ) -> None:
        """Carry it over to media and items."""


class EncodingService:
    """Encodes the pending media of projects.

    Args:
        database: holds the work list.
        blobs: raw media.
        features: takes the hidden states.
        encoders: the frozen models, by modality.
        decode: bytes to samples, safe against hostile input.
        batch: contents at once, at most.
        live_encoders: of a project, which encode what its live version has no vector for.
    """

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        features: FeatureStore,
        *,
        encoders: Mapping[str, FrozenEncoder],
        decode: Decoder,
        batch: int,
        live_encoders: LiveEncodersOf = lambda project: None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._features = features
        self._encoders = encoders
        self._decode = decode
        self._batch = batch
        self._live_encoders = live_encoders

    def register(self, queue: JobQueue) -> None:
        """Put these encoders in charge; after a change of encoder everything of its modality is encoded anew."""
        for modality, encoder in self._encoders.items():
            with self._database.transaction() as transaction:
                values = {
                    "modality": modality,
                    "fingerprint": encoder.fingerprint,
                    "spec": asdict(encoder.spec),
                    "layers": encoder.layers,
                    "width": encoder.width,
                }
                for project in register_encoder(transaction, values):
                    JobService(transaction, queue).ensure_waiting(project, JobKind.ENCODE)

    def encode_pending(self, run: JobRun, *, after_batch: Callable[[], object]) -> Progress:
        """Encode what is pending of the job's project, newest first, for a slice of time.

        A slice, so that what is uploaded meanwhile, and other projects, wait seconds and not for a whole import.

        Raises:
            JobStopped: when the job shall leave off; finished batches stay.
        """
        live = self._live_encoders(run.project)
        for encoder in self._encoders.values():
            with self._database.transaction() as transaction:
                work = EncodingRepository(transaction, run.project)
                work.plan(encoder.spec.modality, encoder.fingerprint)
                work.settle(encoder.spec.modality, encoder.fingerprint)
        done = 0
        advanced = True
        until = time.monotonic() + SLICE_S
        while advanced:
            advanced = False
            for encoder in self._encoders.values():
                count = self._encode_batch(run, encoder, EncodingRepository.settle)
                if count:
                    done, advanced = done + count, True
                    after_batch()
            for encoder in self._planned_live(run, live):
                count = self._encode_batch(run, encoder, EncodingRepository.want_vectors)
                if count:
                    done, advanced = done + count, True
                    after_batch()
            if time.monotonic() >= until:
                break
        return Progress(done, exhausted=not advanced)

    def conclude(self, run: JobRun, progress: Progress, queue: JobQueue) -> None:
        """End the job; if something is left, another one goes on."""
        with self._database.transaction() as transaction:
            if not progress.exhausted:
                JobService(transaction, queue).ensure_waiting(run.project, JobKind.ENCODE)
            run.finish(transaction, {"contents": progress.contents})

    def _planned_live(self, run: JobRun, live: LiveEncoders | None) -> Sequence[FrozenEncoder]:
        """The live version's own encoders, after listing what that version has no vector for."""
        if live is None:
            return []
        with self._database.transaction() as transaction:
            work = EncodingRepository(transaction, run.project)
            for encoder in live.encoders:
                work.plan_for_version(encoder.spec.modality, encoder.fingerprint, version=live.version)
        return live.encoders

    def _encode_batch(self, run: JobRun, encoder: FrozenEncoder, settle: Settle) -> int:
        run.check()
        with self._database.transaction() as transaction:
            work = EncodingRepository(transaction, run.project)
            claims = work.claim(encoder.fingerprint, job=run.id, limit=min(self._batch, encoder.spec.batch_size))
            if any(claim.attempts > 1 for claim in claims):
                # A worker died over one of these: take them one by one, so that only the culprit is given up.
                work.release(claims[1:])
                claims = claims[:1]
        if claims:
            try:
                encoded, failed = self._run_encoder(run, encoder, claims)
                self._store(run, encoder, encoded=encoded, failed=failed, settle=settle)
            except Exception:
                # Not the content's fault (a full disk, a lost device): it must not count as an attempt.
                with self._database.transaction() as transaction:
                    EncodingRepository(transaction, run.project).release(claims)
                raise
        return len(claims)

    def _run_encoder(
        self, run: JobRun, encoder: FrozenEncoder, claims: Sequence[Claim]
    ) -> tuple[dict[Claim, NDArray[np.float16]], dict[Claim, str]]:
        failed = {
            claim: "the worker died each time it was encoded" for claim in claims if claim.attempts > MAX_ATTEMPTS
        }
        tried = [claim for claim in claims if claim not in failed]
        blobs = {claim: blob for claim in tried if (blob := self._read(run, claim)) is not None}
        failed |= {claim: "the stored bytes are missing" for claim in tried if claim not in blobs}
        samples: dict[Claim, Sample] = {}
        started = time.monotonic()
        for claim, sample in zip(blobs, self._decode(encoder.spec, list(blobs.values())), strict=True):
            if isinstance(sample, MediaError):
                failed[claim] = sample.reason
            else:
                samples[claim] = sample
        decoded = time.monotonic()
        encoded, unfit = _encode(encoder, samples)
        log.info(
            "encoded",
            modality=encoder.spec.modality,
            contents=len(encoded),
            decode_s=round(decoded - started, 3),
            encode_s=round(time.monotonic() - decoded, 3),
        )
        return encoded, failed | unfit

    def _read(self, run: JobRun, claim: Claim) -> bytes | None:
        try:
            return self._blobs.get(run.project, claim.content_hash)
        except FileNotFoundError:
            return None

    def _store(
        self,
        run: JobRun,
        encoder: FrozenEncoder,
        *,
        encoded: Mapping[Claim, NDArray[np.float16]],
        failed: Mapping[Claim, str],
        settle: Settle,
    ) -> None:
        shard = (
            self._features.write(run.project, encoder.fingerprint, np.stack(list(encoded.values()))) if encoded else ""
        )
        with self._database.transaction() as transaction:
            work = EncodingRepository(transaction, run.project)
            if encoded:
                work.store(list(encoded), shard)
            for claim, reason in failed.items():
                log.info("media failed", project=run.project, content=claim.content_hash, reason=reason)
                work.fail(claim, reason)
            done = [claim.content_hash for claim in (*encoded, *failed)]
            settle(work, encoder.spec.modality, encoder.fingerprint, contents=done)


def _encode(
    encoder: FrozenEncoder, samples: Mapping[Claim, Sample]
) -> tuple[dict[Claim, NDArray[np.float16]], dict[Claim, str]]:
    """States of every sample; if the batch as a whole does not go through, each is tried alone.

    Raises whatever the encoder's own example raises: then not the samples are at fault, but the device.
    """
    if not samples:
        return {}, {}
    try:
        return dict(zip(samples, encoder.encode(list(samples.values())), strict=True)), {}
    except (RuntimeError, ValueError, ArithmeticError) as error:
        encoder.check()
        if len(samples) == 1:
            return {}, {claim: f"the encoder refused it: {error}" for claim in samples}
    encoded: dict[Claim, NDArray[np.float16]] = {}
    unfit: dict[Claim, str] = {}
    for claim, sample in samples.items():
        one, none = _encode(encoder, {claim: sample})
        encoded |= one
        unfit |= none
    return encoded, unfit
