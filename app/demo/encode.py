"""Encodes pictures, sounds and frames as files that are the same for the same input and library version."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from numpy.typing import NDArray
from PIL import Image

FRAMES_A_SECOND = 8
_BIT_EXACT = {"fflags": "+bitexact"}
_EXACT_CODEC = {"flags": "+bitexact", "threads": "1"}
# Adaptive quantisation and the macroblock tree are not reproducible in x264, not even on one thread.
_H264 = {"preset": "veryfast", "qp": "25", "x264-params": "aq-mode=0:mbtree=0"}
_QUICK = {"compression_level": "3"}


def write_jpeg(path: Path, picture: Image.Image) -> None:
    """Writes an RGB picture as JPEG."""
    picture.save(path, "JPEG", quality=88, optimize=True)


def write_ogg(path: Path, samples: NDArray[np.int16], rate: int) -> None:
    """Writes mono samples as Ogg, with Opus where PyAV has its encoder and FLAC otherwise."""
    codec = _first_codec("libopus", "flac")
    with av.open(str(path), "w", format="ogg", container_options=_BIT_EXACT) as container:
        stream = cast(av.AudioStream, container.add_stream(codec, rate=rate, options=_EXACT_CODEC | _QUICK))
        stream.layout = "mono"
        if codec == "libopus":
            stream.bit_rate = 32_000
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = rate
        packets = [*stream.encode(frame), *stream.encode(None)]
        # FLAC ends with an empty packet that Ogg does not take.
        container.mux([packet for packet in packets if packet.size])


def write_mp4(path: Path, frames: Iterable[Image.Image], size: int) -> None:
    """Writes square RGB frames as MP4, with H.264 where PyAV has its encoder and MPEG-4 part 2 otherwise."""
    codec = _first_codec("libx264", "mpeg4")
    tuning = _H264 if codec == "libx264" else {"qscale": "4"}
    with av.open(str(path), "w", format="mp4", container_options=_BIT_EXACT) as container:
        options = _EXACT_CODEC | tuning
        stream = cast(av.VideoStream, container.add_stream(codec, rate=FRAMES_A_SECOND, options=options))
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def _first_codec(*names: str) -> str:
    for name in names[:-1]:
        try:
            av.codec.Codec(name, "w")
        except UnknownCodecError:
            continue
        return name
    return names[-1]
