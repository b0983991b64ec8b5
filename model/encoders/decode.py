"""Decodes raw media into arrays of bounded size; whatever the bytes are, it returns a sample or raises MediaError."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from model.encoders.audio_decode import decode_audio
from model.encoders.media import IMAGE_FORMATS, MediaError, bomb_problem, size_problem, sniff
from model.encoders.spec import EncoderSpec
from model.encoders.video_decode import decode_frames

__all__ = ["DecodeLimits", "MediaError", "Sample", "decode"]

Sample = Any
"""str for text; uint8 [h, w, 3] for an image; float32 [t] for audio; uint8 [frames, h, w, 3] for a video."""

_IMAGE_EDGE = 1024
_VIDEO_EDGE = 320
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What is decoded at most.

    Attributes:
        max_pixels: of an image, or of one frame of a video.
        max_seconds: of a video.
    """

    max_pixels: int = 50_000_000
    max_seconds: float = 1800.0


def decode(spec: EncoderSpec, data: bytes, limits: DecodeLimits) -> Sample:
    """Decodes one medium for an encoder.

    Args:
        spec: says what kind of sample, how long and how large.
        data: the raw file.
        limits: beyond them nothing is decoded.

    Returns:
        str for the text loader, uint8 [h, w, 3] for image, float32 [t] mono for audio, uint8 [frames, h, w, 3] for
        video and frames. Pictures keep their shape; their shorter side is at most twice the encoder's input.

    Raises:
        MediaError: these bytes are not such a medium, are damaged, or are beyond the limits.
    """
    if not data:
        raise MediaError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _DECODERS[spec.loader](spec, data, limits)
    except MediaError:
        raise
    except MemoryError as error:
        raise MediaError("decoding it takes more memory than is allowed") from error
    # The decoders are other people's code at work on hostile bytes: what they raise has no list.
    except Exception as error:
        raise MediaError(f"it cannot be decoded: {type(error).__name__}: {error}"[:300]) from error


def _decode_text(spec: EncoderSpec, data: bytes, limits: DecodeLimits) -> str:
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise MediaError(f"the text is not UTF-8 at byte {error.start}") from error
    if not text:
        raise MediaError("the text is empty")
    return text


def _decode_image(spec: EncoderSpec, data: bytes, limits: DecodeLimits) -> np.ndarray:
    kind = sniff(data)
    if kind.family != "image":
        raise MediaError(f"{kind.label} is not an image that is read here")
    edge = 2 * spec.image_size if spec.image_size else _IMAGE_EDGE
    try:
        with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            if problem := size_problem(*image.size, limits.max_pixels):
                raise MediaError(problem)
            image.draft(None, _shrunk(image.size, edge))
            image.load()
            orientation = _orientation(image)
            rgb = _to_rgb(image)
    except Image.DecompressionBombError as error:
        raise MediaError(bomb_problem(limits.max_pixels)) from error
    except (OSError, SyntaxError, EOFError) as error:
        raise MediaError(f"{kind.label} that is damaged or cut off: {error}") from error
    rgb = rgb.resize(_shrunk(rgb.size, edge), Image.Resampling.BICUBIC, reducing_gap=3.0)
    rgb.getexif()[_ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(rgb))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, EOFError):
        return 1  # a damaged note about the picture is no damage to the picture


def _shrunk(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Returns the size with the shorter side no longer than edge."""
    scale = min(1.0, edge / min(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Converts any mode; what is transparent becomes white, and 16 and 32 bit grey is scaled, not clipped."""
    if image.mode.startswith(("I", "F")):
        return _grey(np.asarray(image, dtype=np.float32))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _grey(values: np.ndarray) -> Image.Image:
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    top = next((top for top in (1.0, 255.0, 65535.0) if high <= top), high)
    scaled = (values - low) * (255.0 / max(top - low, 1e-12))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).convert("RGB")


def _decode_audio(spec: EncoderSpec, data: bytes, limits: DecodeLimits) -> np.ndarray:
    return decode_audio(data, sample_rate=spec.sample_rate, seconds=spec.seconds)


def _decode_video(spec: EncoderSpec, data: bytes, limits: DecodeLimits) -> np.ndarray:
    edge = 2 * spec.image_size if spec.image_size else _VIDEO_EDGE
    return decode_frames(
        data, count=spec.frames, edge=edge, max_pixels=limits.max_pixels, max_seconds=limits.max_seconds
    )


_DECODERS: Mapping[str, Callable[[EncoderSpec, bytes, DecodeLimits], Sample]] = {
    "text": _decode_text,
    "image": _decode_image,
    "audio": _decode_audio,
    "video": _decode_video,
    "frames": _decode_video,
}
