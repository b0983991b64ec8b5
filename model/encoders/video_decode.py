"""Decodes a few frames of a video, evenly spread in time, without seeking and without decoding what lies between."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

from model.encoders.media import Kind, MediaError, duration_s, open_container, size_problem, sniff, video_stream

MAX_PACKETS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Target:
    """A wanted moment, in seconds, and the packet from which decoding must run to show it."""

    time: float
    from_packet: int


def decode_frames(data: bytes, *, count: int, edge: int, max_pixels: int, max_seconds: float) -> np.ndarray:
    """Decodes the frames shown at the middles of `count` equal parts of a video.

    Args:
        data: a video file or an animated GIF.
        count: how many frames; a shorter video repeats some.
        edge: the shorter side of the result is at most this many pixels.
        max_pixels: of one frame.
        max_seconds: of the whole video.

    Returns:
        uint8 [count, h, w, 3].

    Raises:
        MediaError: there are no moving pictures in it, it is damaged, or it is beyond the limits.
    """
    kind = sniff(data)
    if kind.family != "video" and kind.demuxer != "gif":
        raise MediaError(f"{kind.label} is not a video")
    targets = _plan(data, kind, count, max_pixels=max_pixels, max_seconds=max_seconds)
    with open_container(io.BytesIO(data), kind) as container:
        stream = _video(container, kind, max_pixels)
        sampler = _Sampler(stream, targets, edge=edge, max_pixels=max_pixels)
        for index, packet in enumerate(_packets(container, stream)):
            sampler.feed(index, packet)
            if sampler.is_done:
                break
        return sampler.finish()


def _video(container: Any, kind: Kind, max_pixels: int) -> Any:
    stream = video_stream(container)
    if stream is None:
        raise MediaError(f"{kind.label} without moving pictures")
    context = stream.codec_context
    if problem := size_problem(context.width, context.height, max_pixels):
        raise MediaError(problem)
    context.thread_count = 1
    context.options = {"max_pixels": str(max_pixels)}
    return stream


def _packets(container: Any, stream: Any) -> Any:
    return (packet for packet in container.demux(stream) if packet.size > 0)


def _plan(data: bytes, kind: Kind, count: int, *, max_pixels: int, max_seconds: float) -> list[_Target]:
    """Reads the time of every packet, decoding none, and says where to look."""
    times: list[float] = []
    keys: list[int] = []
    with open_container(io.BytesIO(data), kind) as container:
        stream = _video(container, kind, max_pixels)
        declared = duration_s(container, stream)
        if declared is not None and declared > max_seconds:
            raise MediaError(f"the video is {declared:.0f} s long, the limit is {max_seconds:.0f} s")
        step = 1.0 / float(stream.average_rate or 25)
        for index, packet in enumerate(_packets(container, stream)):
            times.append(_time(packet, stream, default=index * step))
            if packet.is_keyframe:
                keys.append(index)
            if index >= MAX_PACKETS or times[-1] - times[0] > max_seconds:
                raise MediaError(f"the video is longer than the limit of {max_seconds:.0f} s")
    if not times:
        raise MediaError(f"{kind.label} without a single frame")
    return _targets(times, keys, count, step=step)


def _targets(times: Sequence[float], keys: Sequence[int], count: int, *, step: float) -> list[_Target]:
    order = sorted(range(len(times)), key=times.__getitem__)
    shown = [times[index] for index in order]
    start, length = shown[0], shown[-1] + step - shown[0]
    targets = []
    for part in range(count):
        time = start + (part + 0.5) / count * length
        packet = order[bisect_right(shown, time) - 1]
        key = bisect_right(keys, packet) - 1
        targets.append(_Target(time, keys[key] if key >= 0 else 0))
    return targets


def _time(timed: Any, stream: Any, *, default: float) -> float:
    stamp = timed.pts if timed.pts is not None else timed.dts
    return default if stamp is None or stream.time_base is None else float(stamp * stream.time_base)


@dataclass(slots=True)
class _Sampler:
    """Takes packets in file order, decodes the stretches that targets need, and keeps a small picture for each."""

    stream: Any
    targets: Sequence[_Target]
    edge: int
    max_pixels: int
    pictures: list[np.ndarray] = field(default_factory=list)
    last: Any = None
    last_time: float = 0.0
    is_running: bool = False

    @property
    def is_done(self) -> bool:
        return len(self.pictures) == len(self.targets)

    def feed(self, index: int, packet: Any) -> None:
        """Decodes the packet at this position if the next target needs it."""
        needed_from = self.targets[len(self.pictures)].from_packet
        if index < needed_from:
            self.is_running = False
            return
        if not self.is_running:
            self.stream.codec_context.flush_buffers()
            self.is_running, self.last = True, None
        self._decode(packet)

    def finish(self) -> np.ndarray:
        """Drains the decoder and returns the pictures, [count, h, w, 3]."""
        if not self.is_done:
            self._decode(None)
        while self.last is not None and not self.is_done:
            self._keep(self.last)
        if not self.is_done:
            raise MediaError("the video has no frame that can be decoded")
        return np.stack(self.pictures)

    def _decode(self, packet: Any) -> None:
        try:
            frames = self.stream.codec_context.decode(packet)
        except (av.error.InvalidDataError, av.error.EOFError):
            return  # a broken packet costs its frame; a video without any frame fails in finish
        for frame in frames:
            self._see(frame)

    def _see(self, frame: Any) -> None:
        time = _time(frame, self.stream, default=self.last_time)
        while not self.is_done and time > self.targets[len(self.pictures)].time:
            self._keep(self.last if self.last is not None else frame)
        self.last, self.last_time = frame, time

    def _keep(self, frame: Any) -> None:
        if problem := size_problem(frame.width, frame.height, self.max_pixels):
            raise MediaError(problem)
        scale = min(1.0, self.edge / min(frame.width, frame.height))
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        picture = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        picture = np.rot90(picture, round(frame.rotation / 90) % 4)
        if self.pictures and self.pictures[0].shape != picture.shape:
            height, width = self.pictures[0].shape[:2]
            picture = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
        self.pictures.append(np.ascontiguousarray(picture))
