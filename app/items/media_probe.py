"""Looks at an uploaded file before it is stored: what it is, how large, and whether it may be decoded at all."""

from __future__ import annotations

import codecs
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from app.core.media_limits import MediaLimits
from model.encoders.media import (
    HEAD_BYTES,
    IMAGE_FORMATS,
    TEXT,
    UNKNOWN,
    Kind,
    MediaError,
    audio_stream,
    bomb_problem,
    duration_s,
    open_container,
    size_problem,
    sniff,
    video_stream,
)

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file is, from its header.

    Attributes:
        content_type: the media type found in the bytes.
        size_bytes: of the file.
        width: in pixels, of an image or a video.
        height: in pixels, likewise.
        duration_s: of a sound or a video, None when the file does not say.
    """

    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


class MediaRejected(Exception):
    """A file that is not accepted.

    Attributes:
        field: the modality it was sent for.
        reason: why, for a person.
        limit: the limit that it is beyond, None when it is refused for what it is.
        actual: what was measured, in the unit of the limit.
    """

    def __init__(self, field: str, reason: str, limit: float | None = None, actual: float | None = None) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.limit = limit
        self.actual = actual


def probe(modality: str, file: BinaryIO | str | os.PathLike[str], limits: MediaLimits) -> MediaInfo:
    """Reads the header of a file and decides whether it is accepted. Nothing is decoded.

    Args:
        modality: "text", "image", "audio" or "video".
        file: seekable, read from its start and left anywhere; or a path.
        limits: what is accepted at most.

    Raises:
        MediaRejected: it is another kind of file, beyond a limit, or has no readable header.
        ValueError: the modality is not one of the four.
    """
    if modality not in _PROBES:
        raise ValueError(f"no such modality: {modality!r}")
    if not isinstance(file, str | os.PathLike):
        return _probe_open(modality, file, limits)
    with Path(file).open("rb") as opened:
        return _probe_open(modality, opened, limits)


def _probe_open(modality: str, file: BinaryIO, limits: MediaLimits) -> MediaInfo:
    size_bytes = file.seek(0, os.SEEK_END)
    if size_bytes == 0:
        raise MediaRejected(modality, "the file is empty")
    max_bytes = limits.max_bytes(modality)
    if size_bytes > max_bytes:
        reason = f"{size_bytes / 1e6:.1f} MB, the limit is {max_bytes / 1e6:.1f}"
        raise MediaRejected(modality, reason, max_bytes, size_bytes)
    file.seek(0)
    kind = sniff(file.read(HEAD_BYTES))
    file.seek(0)
    try:
        return _PROBES[modality](file, kind, size_bytes, limits)
    except MediaError as error:
        raise MediaRejected(modality, error.reason) from error


def _probe_text(file: BinaryIO, kind: Kind, size_bytes: int, limits: MediaLimits) -> MediaInfo:
    decoder = codecs.getincrementaldecoder("utf-8")()
    characters, is_blank = 0, True
    try:
        while chunk := file.read(_CHUNK_BYTES):
            text = decoder.decode(chunk)
            characters += len(text)
            is_blank = is_blank and not text.strip("\ufeff \t\r\n")
            if "\x00" in text:
                raise MediaRejected("text", "it has NUL characters, so it is not a text")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        seems = "" if kind in (TEXT, UNKNOWN) else f", but seems to be {kind.label}"
        raise MediaRejected("text", f"it is not UTF-8{seems}") from error
    if is_blank:
        raise MediaRejected("text", "the text is empty")
    if characters > limits.text_characters:
        reason = f"{characters} characters, the limit is {limits.text_characters}"
        raise MediaRejected("text", reason, limits.text_characters, characters)
    return MediaInfo("text/plain; charset=utf-8", size_bytes)


def _probe_image(file: BinaryIO, kind: Kind, size_bytes: int, limits: MediaLimits) -> MediaInfo:
    if kind.family != "image":
        raise MediaRejected("image", f"{kind.label} is not accepted, but JPEG, PNG, WebP, GIF, BMP and TIFF are")
    width, height = _image_size(file, kind, limits.image_pixels)
    _check_pixels("image", width, height, limits.image_pixels)
    return MediaInfo(kind.content_type, size_bytes, width, height)


def _image_size(file: BinaryIO, kind: Kind, max_pixels: int) -> tuple[int, int]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size: the limit is checked by the caller
            image = Image.open(file, formats=IMAGE_FORMATS)
            return image.size
    except Image.DecompressionBombError as error:
        raise MediaRejected("image", bomb_problem(max_pixels), max_pixels) from error
    # Pillow's parsers of headers raise whatever a damaged one makes them stumble over.
    except Exception as error:
        raise MediaError(f"{kind.label} without a readable header") from error


def _probe_audio(file: BinaryIO, kind: Kind, size_bytes: int, limits: MediaLimits) -> MediaInfo:
    if kind.family not in ("audio", "video"):
        raise MediaRejected("audio", f"{kind.label} is not a sound")
    with open_container(file, kind) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaRejected("audio", f"{kind.label} without a sound track")
        seconds = duration_s(container, stream)
        content_type = kind.sound_type if video_stream(container) is None else kind.content_type
    _check_seconds("audio", seconds, limits.audio_seconds)
    return MediaInfo(content_type, size_bytes, duration_s=seconds)


def _probe_video(file: BinaryIO, kind: Kind, size_bytes: int, limits: MediaLimits) -> MediaInfo:
    if kind.family != "video" and not _is_animation(file, kind):
        raise MediaRejected("video", f"{kind.label} is not a video")
    with open_container(file, kind) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaRejected("video", f"{kind.label} without moving pictures")
        seconds = duration_s(container, stream)
        width, height = int(stream.codec_context.width), int(stream.codec_context.height)
    _check_pixels("video", width, height, limits.video_pixels)
    _check_seconds("video", seconds, limits.video_seconds)
    return MediaInfo(kind.content_type, size_bytes, width, height, seconds)


def _is_animation(file: BinaryIO, kind: Kind) -> bool:
    if kind.demuxer != "gif":
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return int(getattr(Image.open(file, formats=("GIF",)), "n_frames", 1)) > 1
        except Exception as error:
            raise MediaError(f"{kind.label} without a readable header") from error


def _check_pixels(modality: str, width: int, height: int, limit: int) -> None:
    if problem := size_problem(width, height, limit):
        exceeds = width * height > limit
        raise MediaRejected(modality, problem, limit if exceeds else None, width * height if exceeds else None)


def _check_seconds(modality: str, seconds: float | None, limit: float) -> None:
    """An unknown length passes: recordings of browsers have none, and the decoder stops at its own limit."""
    if seconds is not None and seconds > limit:
        raise MediaRejected(modality, f"{seconds:.1f} s long, the limit is {limit:.1f}", limit, seconds)


_PROBES: Mapping[str, Callable[[BinaryIO, Kind, int, MediaLimits], MediaInfo]] = {
    "text": _probe_text,
    "image": _probe_image,
    "audio": _probe_audio,
    "video": _probe_video,
}
