"""The media of one modality of a catalogue, decoded and encoded into caches by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.compare.child import Report
from model.compare.files import digest_of
from model.compare.states import ArrayCache
from model.encoders.base import Encoder, NonFiniteStates, load_encoder
from model.encoders.decode import Sample
from model.encoders.decode_pool import DecodePool
from model.encoders.media import MediaError
from model.encoders.source import fingerprint, locate
from model.encoders.spec import EncoderSpec

BATCHES_AT_ONCE = 2
"""Of an encoder, between two looks at the cache."""


@dataclass
class Modality:
    """The media of one modality of n items.

    Attributes:
        spec: of its encoder.
        fingerprint: of its encoder.
        sources: the text or the file of each item, or None.
        contents: the sha256 of each item's medium, or None where it has none that can be encoded.
        failures: what could not be encoded, and why.
    """

    spec: EncoderSpec
    fingerprint: str
    sources: Sequence[str | Path | None]
    contents: list[str | None] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def bytes_of(self, row: int) -> bytes:
        """Returns the medium of an item.

        Raises:
            OSError: its file cannot be read.
        """
        source = self.sources[row]
        return source.read_bytes() if isinstance(source, Path) else (source or "").encode()

    def refuse(self, row: int, reason: str) -> None:
        """Notes that the medium of an item cannot be used."""
        self.contents[row] = None
        self.failures.append(f"item {row}: {reason}")


def modality_of(spec: EncoderSpec, items: Sequence[dict[str, Any]]) -> Modality:
    """Finds the media of one modality, and hashes them."""
    media = [item["media"].get(spec.modality) for item in items]
    sources = [None if one is None else one.get("text") or Path(one["file"]) for one in media]
    modality = Modality(spec, fingerprint(spec, locate(spec)), sources)
    for row, source in enumerate(sources):
        modality.contents.append(None)
        if source is None:
            continue
        try:
            modality.contents[row] = hashlib.sha256(modality.bytes_of(row)).hexdigest()
        except OSError as error:
            modality.refuse(row, error.strerror or str(error))
    return modality


def samples_cache(cache: Path, spec: EncoderSpec) -> ArrayCache:
    """Decoded media, told apart by what decides how they are decoded."""
    return ArrayCache(cache / "samples" / digest_of(spec.output_options())[:32])


def states_cache(cache: Path, modality: Modality) -> ArrayCache:
    """Hidden states of an encoder."""
    return ArrayCache(cache / "states" / modality.fingerprint)


class ModalityEncoder:
    """Fills the caches of one modality.

    Args:
        modality: what cannot be encoded is noted there.
        pool: decodes.
        cache: the folder of all caches.
        device: of torch.
        keeps_media: whether decoded media are kept too.
    """

    def __init__(self, modality: Modality, pool: DecodePool, *, cache: Path, device: str, keeps_media: bool) -> None:
        self._modality = modality
        self._pool = pool
        self._device = device
        self._states = states_cache(cache, modality)
        keeps = keeps_media and modality.spec.loader != "text"
        self._samples = samples_cache(cache, modality.spec) if keeps else None
        contents = [content for content in modality.contents if content is not None]
        self._unencoded = self._states.missing(contents)
        self._undecoded = self._samples.missing(contents) if self._samples else set()

    def run(self, report: Report) -> None:
        """Decodes and encodes what is missing, telling how far it is."""
        missing = self._unencoded | self._undecoded
        rows = {content: row for row, content in enumerate(self._modality.contents) if content in missing}
        encoder = load_encoder(self._modality.spec, self._device) if self._unencoded else None
        waiting = list(rows.items())
        size = BATCHES_AT_ONCE * self._modality.spec.batch_size
        for start in range(0, len(waiting), size):
            chunk = waiting[start : start + size]
            decoded = self._decode(chunk)
            if encoder:
                self._encode(encoder, {one: sample for one, sample in decoded.items() if one in self._unencoded})
            report({"modality": self._modality.spec.modality, "done": start + len(chunk), "of": len(waiting)})

    def _decode(self, chunk: Sequence[tuple[str, int]]) -> dict[str, Sample]:
        """Returns the samples by content, and keeps those that are to be kept."""
        samples = self._pool.decode_all(self._modality.spec, [self._modality.bytes_of(row) for _, row in chunk])
        good: dict[str, Sample] = {}
        for (content, _), sample in zip(chunk, samples, strict=True):
            if isinstance(sample, MediaError):
                self._refuse(content, sample.reason)
                continue
            good[content] = sample
            if self._samples and content in self._undecoded:
                self._samples.put(content, sample)
        return good

    def _encode(self, encoder: Encoder, samples: dict[str, Sample]) -> None:
        """Keeps the states of samples; those that are not finite are refused."""
        try:
            states = encoder.encode(list(samples.values()))
        except NonFiniteStates as error:
            contents = list(samples)
            for content in [contents[index] for index in error.indices]:
                self._refuse(content, "its hidden states are not finite")
                del samples[content]
            states = encoder.encode(list(samples.values()))
        for content, state in zip(samples, states, strict=True):
            self._states.put(content, state)

    def _refuse(self, content: str, reason: str) -> None:
        for row, one in enumerate(self._modality.contents):
            if one == content:
                self._modality.refuse(row, reason)
