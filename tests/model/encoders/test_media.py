"""What a file is, is told from its bytes."""

from __future__ import annotations

import io

import pytest

from model.encoders.media import MediaError, open_container, size_problem, sniff, video_stream
from tests.fixtures import media


@pytest.mark.parametrize("content_type", media.IMAGES)
def test_images(content_type: str) -> None:
    kind = sniff(media.IMAGES[content_type]())
    assert (kind.family, kind.content_type) == ("image", content_type)


@pytest.mark.parametrize("content_type", media.SOUNDS)
def test_sounds(content_type: str) -> None:
    kind = sniff(media.SOUNDS[content_type]())
    assert kind.family in ("audio", "video")
    assert kind.sound_type == content_type


@pytest.mark.parametrize("content_type", media.VIDEOS)
def test_videos(content_type: str) -> None:
    assert sniff(media.VIDEOS[content_type]()).content_type == content_type


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04rest", "application/zip"),
        (b"\x00\x00\x00\x1cftypavif", "image/avif"),
        (b"\x00\x00\x00\x1cftypheic", "image/heic"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><SVG>", "image/svg+xml"),
        (b"<!DOCTYPE html><html>", "text/html"),
        (b"#EXTM3U\n", "application/vnd.apple.mpegurl"),
        ("Grüße".encode(), "text/plain"),
        (("a" * 4095 + "é").encode()[:4096], "text/plain"),
        (b"\x00\x01\x02\x03", "application/octet-stream"),
        (b"\xff\xfea\x00b\x00", "application/octet-stream"),
        (b"RIFF\x00\x00\x00\x00ACON", "application/octet-stream"),
        (b"BMW is a maker of cars and of motorcycles", "text/plain"),
    ],
)
def test_others(head: bytes, content_type: str) -> None:
    assert sniff(head).content_type == content_type


def test_a_codec_off_the_list_is_refused() -> None:
    data = media.clip(media.shades(4), form="matroska", codec="ffv1")
    with (
        open_container(io.BytesIO(data), sniff(data)) as container,
        pytest.raises(MediaError, match="ffv1, is not accepted"),
    ):
        video_stream(container)


def test_sizes() -> None:
    assert size_problem(100, 50, 5000) is None
    assert size_problem(6000, 6000, 25_000_000) == "6000x6000 = 36.0 megapixels, the limit is 25.0"
    assert size_problem(51, 1, 5000) == "51x1 is thinner than 1:50"
    assert size_problem(0, 10, 5000) == "0x10 has no pixels"
