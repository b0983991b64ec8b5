"""Decodes the beginning of a sound, as mono at a given rate."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from model.encoders.media import MediaError, audio_stream, open_container, sniff

MAX_BROKEN_PACKETS = 100
"""A sound with a scratch still plays; one with more broken packets than this, or than good ones, is damaged."""

MIN_RATE, MAX_RATE, MAX_CHANNELS = 2_000, 768_000, 64
"""What sounds are recorded with; sample rates in hertz."""

BLOCK_SAMPLES = 8_192
"""Samples that are resampled at once: a sound often comes in frames of 20 ms."""


def decode_audio(data: bytes, *, sample_rate: int, seconds: float) -> np.ndarray:
    """Decodes the first seconds of the first sound track.

    Args:
        data: a sound file, or a video with a sound track.
        sample_rate: of the result, in hertz.
        seconds: how much to decode at most.

    Returns:
        float32 [t] in -1..1, t <= seconds * sample_rate.

    Raises:
        MediaError: there is no sound in it, or it is damaged.
    """
    kind = sniff(data)
    if kind.family not in ("audio", "video"):
        raise MediaError(f"{kind.label} is not a sound")
    wanted = max(1, round(seconds * sample_rate))
    with open_container(io.BytesIO(data), kind) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError(f"{kind.label} without a sound track")
        _check_rate(stream.codec_context)
        stream.codec_context.thread_count = 1
        samples = _collect(_resampled(container, stream, sample_rate), wanted)
    if not np.isfinite(samples).all():
        raise MediaError("the sound has samples that are not numbers")
    return samples.clip(-1.0, 1.0)


def _check_rate(context: Any) -> None:
    """A few samples at 1 Hz would become hours at 16 kHz."""
    if not MIN_RATE <= context.sample_rate <= MAX_RATE or not 1 <= context.channels <= MAX_CHANNELS:
        raise MediaError(f"a sound of {context.channels} channels at {context.sample_rate} Hz is not accepted")


def _collect(blocks: Iterator[np.ndarray], wanted: int) -> np.ndarray:
    kept: list[np.ndarray] = []
    count = 0
    for block in blocks:
        kept.append(block)
        count += block.size
        if count >= wanted:
            break
    if count == 0:
        raise MediaError("the sound track has no samples")
    return np.concatenate(kept)[:wanted]


def _resampled(container: Any, stream: Any, sample_rate: int) -> Iterator[np.ndarray]:
    """Yields mono blocks, float32 [t]."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
    for frame in _joined(_frames(container, stream)):
        for block in resampler.resample(frame):
            yield block.to_ndarray().reshape(-1)
    for block in resampler.resample(None):
        yield block.to_ndarray().reshape(-1)


def _joined(frames: Iterator[Any]) -> Iterator[Any]:
    """Yields the same samples in frames of at least `BLOCK_SAMPLES`: what a frame costs besides is paid once for many.

    They have no time stamps: gaps and jumps do not matter, and upset the resampler.
    """
    joined = av.AudioFifo()
    for frame in frames:
        frame.pts = None
        joined.write(frame)
        if joined.samples >= BLOCK_SAMPLES:
            yield joined.read(joined.samples)
    if joined.samples:
        yield joined.read(joined.samples)


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    good = broken = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError as error:
            broken += 1
            if broken > min(MAX_BROKEN_PACKETS, good + 3):
                raise MediaError("the sound is damaged") from error
            continue
        good += 1
        yield from frames
