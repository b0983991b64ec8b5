"""Tells what bytes are by looking at them, and opens audio and video containers without trusting what is inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
from PIL import Image

HEAD_BYTES = 4096
"""How much of a file `sniff` needs."""

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Pillow's names of the image formats that are read."""

MAX_ASPECT = 50
"""Longest side over shortest side; scaling a thinner picture to an encoder's input would explode the long side."""

_FORMATS = "wav,mp3,flac,ogg,aac,gif,avi,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2"
_CODEC_NAMES = """
h264 hevc av1 libdav1d vp8 vp9 libvpx libvpx-vp9 mpeg4 msmpeg4v2 msmpeg4 mpeg1video mpeg2video h263 flv mjpeg theora
gif png prores rawvideo wmv1 wmv2 dvvideo
aac mp3 mp3float mp2 mp2float opus libopus vorbis flac alac ac3 eac3 amrnb amrwb
pcm_u8 pcm_s8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_f64le pcm_f64be
pcm_alaw pcm_mulaw adpcm_ms adpcm_ima_wav adpcm_ima_qt
"""
_CODECS = frozenset(_CODEC_NAMES.split())
"""The decoders that may see hostile bytes; FFmpeg has several hundred more, many of them little used or tested."""


class MediaError(Exception):
    """A medium cannot be decoded.

    Attributes:
        reason: why, for a person.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is.

    Attributes:
        label: for a person, with its article ("a PDF document").
        family: "image", "audio", "video" (a container, which may hold sound only), "text" or "other".
        content_type: the media type; of a container, the one when it has pictures.
        sound_type: the media type of a container without pictures.
        demuxer: FFmpeg's name of the container format.
    """

    label: str
    family: str
    content_type: str
    sound_type: str = ""
    demuxer: str = ""


UNKNOWN = Kind("a file of unknown type", "other", "application/octet-stream")
TEXT = Kind("a text", "text", "text/plain")
SVG = Kind("an SVG drawing", "other", "image/svg+xml")
HTML = Kind("an HTML page", "other", "text/html")
PLAYLIST = Kind("a playlist", "other", "application/vnd.apple.mpegurl")

_MP3 = Kind("an MP3 sound", "audio", "audio/mpeg", "audio/mpeg", "mp3")
_AAC = Kind("an AAC sound", "audio", "audio/aac", "audio/aac", "aac")
_MP4 = Kind("an MP4 file", "video", "video/mp4", "audio/mp4", "mov")
_MOV = Kind("a QuickTime file", "video", "video/quicktime", "audio/mp4", "mov")
_AVIF = Kind("an AVIF image", "other", "image/avif")
_HEIC = Kind("a HEIC image", "other", "image/heic")
_WEBM = Kind("a WebM file", "video", "video/webm", "audio/webm", "matroska")
_MATROSKA = Kind("a Matroska file", "video", "video/x-matroska", "audio/x-matroska", "matroska")

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", Kind("a JPEG image", "image", "image/jpeg")),
    (b"\x89PNG\r\n\x1a\n", Kind("a PNG image", "image", "image/png")),
    (b"GIF87a", Kind("a GIF image", "image", "image/gif", demuxer="gif")),
    (b"GIF89a", Kind("a GIF image", "image", "image/gif", demuxer="gif")),
    (b"II*\x00", Kind("a TIFF image", "image", "image/tiff")),
    (b"MM\x00*", Kind("a TIFF image", "image", "image/tiff")),
    (b"fLaC", Kind("a FLAC sound", "audio", "audio/flac", "audio/flac", "flac")),
    (b"OggS", Kind("an Ogg file", "video", "video/ogg", "audio/ogg", "ogg")),
    (b"ID3", _MP3),
    (b"%PDF", Kind("a PDF document", "other", "application/pdf")),
    (b"PK\x03\x04", Kind("a ZIP archive", "other", "application/zip")),
    (b"\x1f\x8b", Kind("a gzip archive", "other", "application/gzip")),
    (b"\x7fELF", Kind("a program", "other", "application/x-elf")),
    (b"#EXTM3U", PLAYLIST),
    (b"ffconcat", PLAYLIST),
)
_RIFF = {
    b"WEBP": Kind("a WebP image", "image", "image/webp"),
    b"WAVE": Kind("a WAV sound", "audio", "audio/wav", "audio/wav", "wav"),
    b"AVI ": Kind("an AVI video", "video", "video/x-msvideo", "audio/x-msvideo", "avi"),
}
_BRANDS = {
    b"avif": _AVIF,
    b"avis": _AVIF,
    b"heic": _HEIC,
    b"heix": _HEIC,
    b"mif1": _HEIC,
    b"msf1": _HEIC,
    b"qt  ": _MOV,
}
_BMP = Kind("a BMP image", "image", "image/bmp")


def sniff(head: bytes) -> Kind:
    """Tells what a file is from its first bytes; names and headers of clients are not asked.

    Args:
        head: the first `HEAD_BYTES` of the file, or all of it.
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _BRANDS.get(head[8:12], _MP4) if head[4:8] == b"ftyp" else _MOV
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _WEBM if b"webm" in head[:64] else _MATROSKA
    if head.startswith(b"BM") and len(head) > 26 and head[6:10] == bytes(4):
        return _BMP
    return _mpeg_frame(head) or _written(head[:HEAD_BYTES])


def _mpeg_frame(head: bytes) -> Kind | None:
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _AAC
    is_layer_3 = head[1] & 0xE6 == 0xE2 and head[1] & 0x18 != 0x08
    return _MP3 if is_layer_3 and head[2] >> 4 != 0xF and head[2] & 0x0C != 0x0C else None


def _written(head: bytes) -> Kind:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return UNKNOWN
        text = head[: error.start].decode()
    if "\x00" in text:
        return UNKNOWN
    start = text.lstrip("\ufeff \t\r\n")[:2048].lower()
    if "<svg" in start:
        return SVG
    return HTML if start.startswith(("<!doctype html", "<html")) else TEXT


@contextmanager
def open_container(file: BinaryIO, kind: Kind) -> Iterator[Any]:
    """Opens an audio or video file as what it was sniffed to be.

    Naming the demuxer keeps FFmpeg from taking the bytes for a playlist, which could name other files or addresses.

    Args:
        file: seekable.
        kind: from `sniff`, with a demuxer.

    Raises:
        MediaError: it cannot be opened.
    """
    file.seek(0)
    options = {"codec_whitelist": ",".join(sorted(_CODECS)), "format_whitelist": _FORMATS}
    try:
        container = av.open(file, "r", format=kind.demuxer, options=options, metadata_errors="ignore")
    except av.FFmpegError as error:
        raise MediaError(f"{kind.label} that cannot be opened: {error.strerror or error}") from error
    with container:
        yield container


def audio_stream(container: Any) -> Any:
    """Returns the first sound track, or None.

    Args:
        container: from `open_container`.

    Raises:
        MediaError: it is in a codec that is not accepted.
    """
    return _accepted(next(iter(container.streams.audio), None))


def video_stream(container: Any) -> Any:
    """Returns the first moving-picture track, or None; a cover picture is not one.

    Args:
        container: from `open_container`.

    Raises:
        MediaError: it is in a codec that is not accepted.
    """
    cover = av.stream.Disposition.attached_pic
    return _accepted(next((stream for stream in container.streams.video if not stream.disposition & cover), None))


def _accepted(stream: Any) -> Any:
    if stream is None:
        return None
    codec = "of an unknown kind" if stream.codec_context is None else stream.codec_context.name
    if codec not in _CODECS:
        raise MediaError(f"its {stream.type} codec, {codec}, is not accepted")
    return stream


def duration_s(container: Any, stream: Any) -> float | None:
    """Returns how long a track says it is, in seconds; None when it does not say.

    Args:
        container: from `open_container`.
        stream: one of its streams.
    """
    if stream.duration is not None and stream.time_base is not None:
        return max(0.0, float(stream.duration * stream.time_base))
    if container.duration is not None:
        return max(0.0, float(container.duration) / av.time_base)
    return None


def size_problem(width: int, height: int, max_pixels: int) -> str | None:
    """Returns why a picture of this size is refused, or None.

    Args:
        width: in pixels.
        height: in pixels.
        max_pixels: the most that may be decoded.
    """
    if width < 1 or height < 1:
        return f"{width}x{height} has no pixels"
    if width * height > max_pixels:
        return f"{width}x{height} = {width * height / 1e6:.1f} megapixels, the limit is {max_pixels / 1e6:.1f}"
    if max(width, height) > MAX_ASPECT * min(width, height):
        return f"{width}x{height} is thinner than 1:{MAX_ASPECT}"
    return None


def bomb_problem(max_pixels: int) -> str:
    """Returns why a picture is refused that Pillow itself would not open for its size.

    Args:
        max_pixels: the most that may be decoded.
    """
    ceiling = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return f"more than {ceiling / 1e6:.0f} megapixels, the limit is {min(max_pixels, ceiling) / 1e6:.1f}"
