"""Takes pending contents from the work list and decodes them, a chunk ahead of the encoder that runs over them."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar
from uuid import UUID

from app.core.types import ProjectId
from app.db.session import Database
from app.items.encoding_repository import Claim, EncodingRepository
from app.stores.blobs import BlobStore
from model.encoders.decode import MediaError, Sample
from model.encoders.spec import EncoderSpec

MAX_ATTEMPTS = 3
"""Content that was being encoded this often when its worker died is given up."""
CHUNK_S = 1.5
"""A chunk is about as much as is encoded in this time: what it costs besides is little then, and others wait little."""
CHUNK_BYTES = 256 << 20
"""Decoded samples of a chunk; what would go beyond is left for the next one."""

Decoder = Callable[[EncoderSpec, Sequence[bytes]], Sequence[Sample | MediaError]]


class Specified(Protocol):
    """An encoder, as far as is needed here."""

    @property
    def spec(self) -> EncoderSpec:
        """What it is."""

    @property
    def fingerprint(self) -> str:
        """Identifies its output."""


AnEncoder = TypeVar("AnEncoder", bound=Specified)


class JobNames(Protocol):
    """A job: which, and whose."""

    id: UUID
    project: ProjectId


@dataclass
class Chunk:
    """Contents that a job has claimed: decoded, or failed for a reason."""

    samples: dict[Claim, Sample] = field(default_factory=dict)
    failed: dict[Claim, str] = field(default_factory=dict)
    decode_s: float = 0.0

    @property
    def claims(self) -> list[Claim]:
        """All of them."""
        return [*self.samples, *self.failed]

    @property
    def size_bytes(self) -> int:
        """Of the samples that are arrays; texts are small."""
        return sum(int(getattr(sample, "nbytes", 0)) for sample in self.samples.values())


class ChunkTaker:
    """Claims, reads and decodes.

    Args:
        database: holds the work list.
        blobs: raw media.
        decode: bytes to samples, safe against hostile input.
        most: contents of a chunk, at most; the first one of an encoder has as many as go through it at once.
    """

    def __init__(self, database: Database, blobs: BlobStore, *, decode: Decoder, most: int) -> None:
        self._database = database
        self._blobs = blobs
        self._decode = decode
        self._most = most
        self._per_s: dict[str, float] = {}

    def learn_speed(self, encoder: Specified, contents: int, seconds: float) -> None:
        """Remember how fast an encoder is: its next chunk is as large as suits that."""
        self._per_s[encoder.fingerprint] = contents / max(seconds, 1e-3)

    def take(self, job: JobNames, encoder: Specified, besides: Sequence[Claim], *, awaited: bool = False) -> Chunk:
        """Contents that nobody is at, decoded; none if there are none. If it fails they are given back.

        Args:
            job: that takes them.
            encoder: they are for.
            besides: what the job is at now.
            awaited: whether the encoder stands still until it is there: then it is half of what goes through at once.
        """
        claims = self._claim(job, encoder, besides, awaited)
        chunk = Chunk()
        started = time.monotonic()
        try:
            chunk.failed = {
                claim: "the worker died each time it was encoded" for claim in claims if claim.attempts > MAX_ATTEMPTS
            }
            left = [claim for claim in claims if claim not in chunk.failed]
            while left and chunk.size_bytes < CHUNK_BYTES:
                some, left = left[: encoder.spec.batch_size], left[encoder.spec.batch_size :]
                self._add(chunk, job.project, encoder.spec, some)
            if left:
                self.give_back(job.project, left)
        except Exception:
            self.give_back(job.project, claims)
            raise
        chunk.decode_s = time.monotonic() - started
        return chunk

    def give_back(self, project: ProjectId, claims: Sequence[Claim]) -> None:
        """As if they had never been claimed."""
        if claims:
            with self._database.transaction() as transaction:
                EncodingRepository(transaction, project).release(claims)

    def _claim(self, job: JobNames, encoder: Specified, besides: Sequence[Claim], awaited: bool) -> Sequence[Claim]:
        size = encoder.spec.batch_size
        wanted = max(size, round(self._per_s.get(encoder.fingerprint, 0) * CHUNK_S))
        limit = min(self._most, -(-size // 2) if awaited else wanted)
        with self._database.transaction() as transaction:
            work = EncodingRepository(transaction, job.project)
            claims = work.claim(encoder.fingerprint, job=job.id, limit=limit, besides=besides)
            if any(claim.attempts > 1 for claim in claims):
                # A worker died over one of these: take them one by one, so that only the culprit is given up.
                work.release(claims[1:])
                claims = claims[:1]
        return claims

    def _add(self, chunk: Chunk, project: ProjectId, spec: EncoderSpec, claims: Iterable[Claim]) -> None:
        blobs: dict[Claim, bytes] = {}
        for claim in claims:
            try:
                blobs[claim] = self._blobs.get(project, claim.content_hash)
            except FileNotFoundError:
                chunk.failed[claim] = "the stored bytes are missing"
        for claim, sample in zip(blobs, self._decode(spec, list(blobs.values())), strict=True):
            if isinstance(sample, MediaError):
                chunk.failed[claim] = sample.reason
            else:
                chunk.samples[claim] = sample


class ChunkLine(Generic[AnEncoder]):
    """Chunks of some encoders in turn: while one is encoded, the next one is taken and decoded in a thread.

    Ends when no encoder has anything left or, after a turn of each at least, the time is over. Leave its context when
    done with it: a chunk that nobody has asked for is given back.

    Args:
        taker: of chunks.
        job: for which.
        encoders: in the order of their turns.
        until: on the monotonic clock, in seconds.
    """

    def __init__(self, taker: ChunkTaker, job: JobNames, encoders: Sequence[AnEncoder], *, until: float) -> None:
        self._taker = taker
        self._job = job
        self._line = deque(encoders)
        self._turns_due = len(encoders)
        self._until = until
        self._barren = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chunks")
        self._coming: tuple[AnEncoder, Future[Chunk]] | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether every encoder that is left, asked one after the other, had nothing."""
        return self._barren >= len(self._line)

    def __enter__(self) -> Self:
        self._ask((), awaited=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if self._coming is not None and self._coming[1].exception() is None:
            self._taker.give_back(self._job.project, self._coming[1].result().claims)

    def next(self) -> tuple[AnEncoder, Future[Chunk]] | None:
        """An encoder and what has come of taking its chunk; None at the end. It may be an empty one."""
        current = self._coming
        if current is not None:
            failed = current[1].exception() is not None
            claims = [] if failed else current[1].result().claims
            self._barren = 0 if failed or claims else self._barren + 1
            self._ask(claims)
        return current

    def leave_out(self, encoder: AnEncoder) -> None:
        """It has no more turns; what has been taken for it is given back."""
        self._line.remove(encoder)
        if self._coming is not None and self._coming[0] is encoder:
            _, future = self._coming
            if future.exception() is None:
                self._taker.give_back(self._job.project, future.result().claims)
            self._ask(())

    def _ask(self, besides: Sequence[Claim], *, awaited: bool = False) -> None:
        """Have the chunk of the next turn taken, if there is one."""
        self._coming = None
        if self.is_exhausted or (self._turns_due <= 0 and time.monotonic() >= self._until):
            return
        self._turns_due -= 1
        encoder = self._line[0]
        self._line.rotate(-1)
        self._coming = (encoder, self._thread.submit(self._taker.take, self._job, encoder, besides, awaited=awaited))
