"""An uploaded file is judged by its header alone."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.media_limits import MediaLimits
from app.items.media_probe import MediaInfo, MediaRejected, probe
from tests.fixtures import media

LIMITS = MediaLimits()


def _refusal(modality: str, data: bytes, limits: MediaLimits = LIMITS) -> MediaRejected:
    with pytest.raises(MediaRejected) as caught:
        probe(modality, io.BytesIO(data), limits)
    assert caught.value.field == modality
    return caught.value


@pytest.mark.parametrize("content_type", media.IMAGES)
def test_images(content_type: str) -> None:
    data = media.IMAGES[content_type]()
    assert probe("image", io.BytesIO(data), LIMITS) == MediaInfo(content_type, len(data), 48, 32)


@pytest.mark.parametrize("content_type", media.SOUNDS)
def test_sounds(content_type: str) -> None:
    info = probe("audio", io.BytesIO(media.SOUNDS[content_type]()), LIMITS)
    assert info.content_type == content_type
    assert info.duration_s == pytest.approx(1.0, abs=0.1)  # of 1 s; codecs pad to whole frames


@pytest.mark.parametrize("content_type", media.VIDEOS)
def test_videos(content_type: str) -> None:
    info = probe("video", io.BytesIO(media.VIDEOS[content_type]()), LIMITS)
    assert info.content_type == content_type
    assert (info.width, info.height) == ((48, 32) if content_type == "image/gif" else (64, 48))
    assert info.duration_s == pytest.approx(0.4 if content_type == "image/gif" else 2.0, abs=0.01)


def test_a_text_may_come_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_text("Grüße")
    assert probe("text", path, LIMITS) == MediaInfo("text/plain; charset=utf-8", 7)


def test_a_video_with_sound_is_a_sound_too() -> None:
    assert probe("audio", io.BytesIO(media.mp4()), LIMITS).duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("modality", "data", "reason"),
    [
        ("image", media.HOSTILE["pdf"](), "a PDF document is not accepted"),
        ("image", media.HOSTILE["svg"](), "an SVG drawing is not accepted"),
        ("image", media.mp3(), "an MP3 sound is not accepted"),
        ("image", media.bomb_png(), "more than 179 megapixels, the limit is 50.0"),
        ("image", b"\x89PNG\r\n\x1a\n", "a PNG image without a readable header"),
        ("image", media.HOSTILE["stretched"](), "6000x4 is thinner than 1:50"),
        ("audio", media.jpeg(), "a JPEG image is not a sound"),
        ("audio", media.webm(), "a WebM file without a sound track"),
        ("audio", media.HOSTILE["playlist"](), "a playlist is not a sound"),
        ("audio", media.HOSTILE["header only wav"](), "a WAV sound that cannot be opened"),
        ("video", media.png(), "a PNG image is not a video"),
        ("video", media.gif(1), "a GIF image is not a video"),
        ("video", media.ogg(), "an Ogg file without moving pictures"),
        ("video", media.HOSTILE["header only mp4"](), "an MP4 file that cannot be opened"),
        ("text", b" \n", "the text is empty"),
        ("text", b"caf\xe9", "it is not UTF-8"),
        ("text", media.jpeg(), "it is not UTF-8, but seems to be a JPEG image"),
        ("text", b"a\x00b", "NUL"),
        ("text", b"", "the file is empty"),
    ],
)
def test_refusals_say_what_it_is(modality: str, data: bytes, reason: str) -> None:
    error = _refusal(modality, data)
    assert reason in error.reason
    assert str(error) == f"{modality}: {error.reason}"


def test_limits_are_named_with_what_was_measured() -> None:
    error = _refusal("image", media.png(width=600, height=600), MediaLimits(image_pixels=250_000))
    assert str(error) == "image: 600x600 = 0.4 megapixels, the limit is 0.2"
    assert (error.limit, error.actual) == (250_000, 360_000)

    error = _refusal("audio", media.wav(seconds=3.0), MediaLimits(audio_seconds=2.5))
    assert str(error) == "audio: 3.0 s long, the limit is 2.5"
    assert (error.limit, error.actual) == (2.5, 3.0)

    error = _refusal("video", media.mp4(), MediaLimits(video_bytes=1000))
    assert error.limit == 1000
    assert error.actual == len(media.mp4())

    error = _refusal("video", media.mp4(), MediaLimits(video_pixels=3000))
    assert str(error) == "video: 64x48 = 0.0 megapixels, the limit is 0.0"

    error = _refusal("text", b"abcdef", MediaLimits(text_characters=5))
    assert str(error) == "text: 6 characters, the limit is 5"
    assert probe("text", io.BytesIO("ééééé".encode()), MediaLimits(text_characters=5)).size_bytes == 10


def test_a_recording_of_unknown_length_is_accepted() -> None:
    streamed = media.webm()
    at = streamed.index(b"\x44\x89")  # the Duration element: its id, its size, and 8 bytes of a float
    without = streamed[:at] + b"\xec\x89" + streamed[at + 2 :]  # a Void element of the same size in its place
    info = probe("video", io.BytesIO(without), LIMITS)
    assert info.duration_s is None
    assert info.width == 64


def test_an_unknown_modality_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no such modality"):
        probe("smell", io.BytesIO(b"x"), LIMITS)


_VALID = [
    *(("image", make()) for make in media.IMAGES.values()),
    *(("audio", make()) for make in media.SOUNDS.values()),
    *(("video", make()) for make in media.VIDEOS.values()),
    ("text", "Grüße an alle".encode()),
]


@settings(max_examples=300, deadline=None, database=None)
@given(st.sampled_from(_VALID), st.integers(0, 600), st.binary(max_size=8), st.integers(1, 4000))
def test_damaged_files_are_accepted_or_refused(valid: tuple[str, bytes], at: int, change: bytes, length: int) -> None:
    modality, data = valid
    damaged = (data[:at] + change + data[at + len(change) :])[:length]
    try:
        info = probe(modality, io.BytesIO(damaged), LIMITS)
    except MediaRejected:
        return
    assert info.size_bytes == len(damaged)


def test_no_torch_is_imported() -> None:
    program = "import sys, app.items.media_probe; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
