"""The media writers, with the codecs at hand and with the ones they fall back to."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.demo import encode

RATE = 24_000
SINE = np.round(20_000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.int16)
FRAMES = [Image.new("RGB", (64, 64), (30 * number, 100, 200)) for number in range(8)]


def read_sound(path: Path) -> tuple[str, np.ndarray, int]:
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        samples = np.concatenate([frame.to_ndarray().mean(axis=0) for frame in frames])
        return container.streams.audio[0].codec_context.name, samples, frames[0].sample_rate


def test_ogg_keeps_length_and_pitch(tmp_path: Path) -> None:
    encode.write_ogg(tmp_path / "a.ogg", SINE, RATE)
    _, samples, rate = read_sound(tmp_path / "a.ogg")
    assert len(samples) / rate == pytest.approx(1.0, abs=0.03)
    loudest = np.fft.rfftfreq(len(samples), 1 / rate)[np.abs(np.fft.rfft(samples)).argmax()]
    assert loudest == pytest.approx(440, abs=2)


def test_mp4_keeps_frames_and_colours(tmp_path: Path) -> None:
    encode.write_mp4(tmp_path / "a.mp4", FRAMES, 64)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 8
    assert np.abs(frames[5].mean(axis=(0, 1)) - (150, 100, 200)).max() < 12


def test_jpeg_is_readable(tmp_path: Path) -> None:
    encode.write_jpeg(tmp_path / "a.jpg", FRAMES[0])
    with Image.open(tmp_path / "a.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 64))


def test_without_opus_and_x264_others_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = av.codec.Codec

    def without(name: str, mode: str) -> av.codec.Codec:
        if name.startswith("lib"):
            raise av.codec.codec.UnknownCodecError(name)
        return real(name, mode)

    monkeypatch.setattr(av.codec, "Codec", without)
    encode.write_ogg(tmp_path / "a.ogg", SINE, RATE)
    encode.write_mp4(tmp_path / "a.mp4", FRAMES, 64)
    name, samples, rate = read_sound(tmp_path / "a.ogg")
    assert (name, len(samples), rate) == ("flac", RATE, RATE)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        assert len(list(container.decode(video=0))) == 8
