"""Runs the frozen encoders over what is pending: claim, decode, encode, store, settle; one chunk after the other."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from app.core.errors import DependencyUnavailable, InvalidMedia
from app.core.jobs import JobKind
from app.core.types import ProjectId
from app.db.session import Database
from app.items.encoding_chunks import Chunk, ChunkLine, ChunkTaker, Decoder
from app.items.encoding_repository import Claim, EncodingRepository, register_encoder
from app.jobs.run import JobRun
from app.jobs.service import JobService
from app.stores.blobs import BlobStore
from app.stores.features import FeatureStore
from app.stores.queue import JobQueue
from model.encoders.decode import MediaError, Sample
from model.encoders.spec import EncoderSpec

log = structlog.get_logger(__name__)

SLICE_S = 20.0
"""After this long a job ends, and another one goes on."""

FAULTS = (RuntimeError, ValueError, ArithmeticError, LookupError, OSError)
"""What an encoder, a device or a full disk may raise."""


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
class OwnEncoder:
    """An encoder that a project's live version has changed, before it is loaded."""

    modality: str
    fingerprint: str
    load: Callable[[], FrozenEncoder | None]
    """None while it cannot be loaded."""


OwnEncodersOf = Callable[[ProjectId], Sequence[OwnEncoder]]
"""None at all when the live version reads the states of the encoders in charge; this is asked once a job."""


class Settle(Protocol):
    """What follows from finished contents, in the same transaction."""

    def __call__(
        self, work: EncodingRepository, modality: str, fingerprint: str, /, *, contents: Sequence[str]
    ) -> None:
        """Carry it over to media and items."""


@dataclass(frozen=True)
class Turn:
    """How it goes when it is the turn of some encoders.

    Attributes:
        settle: what follows from what they have finished.
        tolerated: what makes one of them be left out, instead of ending the job.
    """

    settle: Settle
    tolerated: tuple[type[Exception], ...]


IN_CHARGE = Turn(EncodingRepository.settle, ())
OF_THE_LIVE_VERSION = Turn(EncodingRepository.want_vectors, FAULTS)


class EncodingService:
    """Encodes the pending media of projects.

    Args:
        database: holds the work list.
        blobs: raw media.
        features: takes the hidden states.
        encoders: the frozen models, by modality.
        decode: bytes to samples, safe against hostile input.
        batch: contents of a chunk, at most.
        own_encoders: of a project's live version, which encode what has no vector under it.
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
        own_encoders: OwnEncodersOf = lambda project: (),
    ) -> None:
        self._database = database
        self._features = features
        self._encoders = encoders
        self._decode = decode
        self._chunks = ChunkTaker(database, blobs, decode=decode, most=batch)
        self._own_encoders = own_encoders

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

    def encode_one(self, project: ProjectId, modality: str, fingerprint: str, blob: bytes) -> NDArray[np.float16]:
        """Hidden states [layers, width] of a medium that no item has, under the encoder of this fingerprint.

        Raises:
            InvalidMedia: when it cannot be decoded, or the encoder refuses it.
            DependencyUnavailable: when this process does not have the encoder.
        """
        encoder = self._encoder_of(project, modality, fingerprint)
        (sample,) = self._decode(encoder.spec, [blob])
        if isinstance(sample, MediaError):
            raise InvalidMedia.of(modality, sample.reason)
        claim = Claim(0, "", 1)
        encoded, unfit = _encode(encoder, {claim: sample})
        if unfit:
            raise InvalidMedia.of(modality, unfit[claim])
        return encoded[claim]

    def _encoder_of(self, project: ProjectId, modality: str, fingerprint: str) -> FrozenEncoder:
        encoder = self._encoders.get(modality)
        if encoder is not None and encoder.fingerprint == fingerprint:
            return encoder
        for own in self._own_encoders(project):
            if own.fingerprint == fingerprint and (loaded := own.load()) is not None:
                return loaded
        raise DependencyUnavailable(f"The worker does not have the {modality} encoder of the live version.")

    def encode_pending(self, run: JobRun, *, after_batch: Callable[[], object]) -> Progress:
        """Encode what is pending of the job's project, newest first, for a slice of time.

        A slice, so that what is uploaded meanwhile, and other projects, wait seconds and not for a whole import. The
        encoders in charge come first; those of the live version take what is left of the slice, a batch at least, and
        harm nobody when they fail.

        Raises:
            JobStopped: when the job shall leave off; finished batches stay.
        """
        own = self._own_encoders(run.project)
        self._plan(run, own)
        until = time.monotonic() + SLICE_S
        work_off = partial(self._work_off, run, until=until, after_batch=after_batch)
        base = work_off(list(self._encoders.values()), turn=IN_CHARGE)
        live = work_off(self._load_awaited(run, own), turn=OF_THE_LIVE_VERSION)
        return Progress(base.contents + live.contents, exhausted=base.exhausted and live.exhausted)

    def _plan(self, run: JobRun, own: Sequence[OwnEncoder]) -> None:
        """List what waits for the encoders in charge; what is tried again is tried again by the live version's too."""
        for encoder in self._encoders.values():
            modality = encoder.spec.modality
            with self._database.transaction() as transaction:
                work = EncodingRepository(transaction, run.project)
                for changed in own:
                    if changed.modality == modality:
                        work.forget_failures(modality, changed.fingerprint)
                work.plan(modality, encoder.fingerprint)
                work.settle(modality, encoder.fingerprint)

    def _load_awaited(self, run: JobRun, own: Sequence[OwnEncoder]) -> list[FrozenEncoder]:
        """Those of the live version's encoders for which something waits, and which can be loaded."""
        if not own:
            return []
        with self._database.transaction() as transaction:
            work = EncodingRepository(transaction, run.project)
            awaited = [changed for changed in own if work.awaits(changed.fingerprint)]
        return [encoder for changed in awaited if (encoder := changed.load()) is not None]

    def _work_off(
        self,
        run: JobRun,
        encoders: Sequence[FrozenEncoder],
        *,
        turn: Turn,
        until: float,
        after_batch: Callable[[], object],
    ) -> Progress:
        """Chunks of each encoder in turn until nothing is left or, after a round at least, the time is over."""
        done = 0
        with ChunkLine(self._chunks, run, encoders, until=until) as line:
            while (coming := line.next()) is not None:
                encoder, taken = coming
                try:
                    count = self._encode_chunk(run, encoder, taken.result(), turn.settle)
                except turn.tolerated as error:
                    log.error("encoder left out", project=run.project, encoder=encoder.fingerprint, error=str(error))
                    line.leave_out(encoder)
                    continue
                if count:
                    done += count
                    after_batch()
            return Progress(done, exhausted=line.is_exhausted)

    def conclude(self, run: JobRun, progress: Progress, queue: JobQueue) -> None:
        """End the job; if something is left, another one goes on."""
        with self._database.transaction() as transaction:
            if not progress.exhausted:
                JobService(transaction, queue).ensure_waiting(run.project, JobKind.ENCODE)
            run.finish(transaction, {"contents": progress.contents})

    def _encode_chunk(self, run: JobRun, encoder: FrozenEncoder, chunk: Chunk, settle: Settle) -> int:
        """How many contents are finished now."""
        try:
            run.check()
            if not chunk.claims:
                return 0
            started = time.monotonic()
            encoded, unfit = _encode(encoder, chunk.samples)
            encode_s = time.monotonic() - started
            self._store(run, encoder, encoded=encoded, failed=chunk.failed | unfit, settle=settle)
        except Exception:
            # Not the content's fault (a full disk, a lost device): it must not count as an attempt.
            self._chunks.give_back(run.project, chunk.claims)
            raise
        self._chunks.learn_speed(encoder, len(chunk.claims), time.monotonic() - started)
        log.info(
            "encoded",
            modality=encoder.spec.modality,
            contents=len(encoded),
            decode_s=round(chunk.decode_s, 3),
            encode_s=round(encode_s, 3),
        )
        return len(chunk.claims)

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
                log.warning(
                    "media failed",
                    project=run.project,
                    modality=encoder.spec.modality,
                    content=claim.content_hash,
                    encoder=encoder.fingerprint,
                    reason=reason,
                )
                work.fail(claim, reason)
            done = [claim.content_hash for claim in (*encoded, *failed)]
            settle(work, encoder.spec.modality, encoder.fingerprint, contents=done)


def _encode(
    encoder: FrozenEncoder, samples: Mapping[Claim, Sample]
) -> tuple[dict[Claim, NDArray[np.float16]], dict[Claim, str]]:
    """States of every sample; if they do not go through together, each half is tried, down to the one at fault.

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
    listed = list(samples.items())
    middle = len(listed) // 2
    encoded, unfit = _encode(encoder, dict(listed[:middle]))
    others = _encode(encoder, dict(listed[middle:]))
    return encoded | others[0], unfit | others[1]
