"""Media become arrays of bounded size, whatever their format, and damaged ones become MediaError."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.encoders.decode import DecodeLimits, MediaError, decode
from model.encoders.spec import EncoderSpec
from tests.fixtures import media

LIMITS = DecodeLimits()
TEXT = EncoderSpec("text", "m")
IMAGE = EncoderSpec("image", "m")
AUDIO = EncoderSpec("audio", "m", seconds=0.5)
VIDEO = EncoderSpec("video", "m", loader="frames", frames=4)


def _image(image: Image.Image, form: str = "PNG", **options: object) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, form, **options)
    return decode(IMAGE, file.getvalue(), LIMITS)


class TestText:
    def test_is_stripped_and_loses_its_byte_order_mark(self) -> None:
        assert decode(TEXT, "\ufeff Grüße \n".encode(), LIMITS) == "Grüße"

    @pytest.mark.parametrize("data", [b"", b" \n\t", b"\xff\xfe", b"caf\xe9"])
    def test_must_be_some_utf8(self, data: bytes) -> None:
        with pytest.raises(MediaError):
            decode(TEXT, data, LIMITS)


class TestImage:
    @pytest.mark.parametrize("content_type", media.IMAGES)
    def test_formats(self, content_type: str) -> None:
        pixels = decode(IMAGE, media.IMAGES[content_type](), LIMITS)
        assert pixels.shape == (32, 48, 3)
        assert pixels.dtype == np.uint8
        tolerance = 0 if content_type in ("image/png", "image/bmp", "image/tiff") else 12
        assert np.abs(pixels.astype(int) - media.picture()).max() <= tolerance

    def test_transparent_becomes_white(self) -> None:
        half = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
        half.putpixel((1, 0), (255, 0, 0, 0))
        assert _image(half).tolist() == [[[255, 0, 0], [255, 255, 255]]]

    def test_a_palette_with_transparency_becomes_white(self) -> None:
        palette = Image.new("P", (2, 1))
        palette.putpalette([10, 20, 30, 40, 50, 60])
        palette.putpixel((1, 0), 1)
        assert _image(palette, transparency=1).tolist() == [[[10, 20, 30], [255, 255, 255]]]

    def test_16_bit_grey_is_scaled(self) -> None:
        # 65535 is white, 0 black, and 32896 = 128 * 257 the level 128 of 255
        values = np.array([[0, 128 * 257, 65535]], np.uint16)
        assert _image(Image.fromarray(values))[0, :, 0].tolist() == [0, 128, 255]

    def test_float_grey_is_scaled(self) -> None:
        assert _image(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)), "TIFF")[0, :, 0].tolist() == [
            0,
            127,
            255,
        ]

    def test_the_first_frame_of_an_animation_is_taken(self) -> None:
        still, moving = decode(IMAGE, media.gif(1), LIMITS), decode(IMAGE, media.gif(3), LIMITS)
        assert np.abs(still.astype(int) - moving).max() <= 8

    def test_is_turned_as_the_camera_was_held(self) -> None:
        image = Image.fromarray(media.picture())
        exif = image.getexif()
        exif[0x0112] = 6  # turn by 90 degrees clockwise to show
        turned = _image(image, exif=exif)
        assert np.array_equal(turned, np.rot90(media.picture(), -1))

    def test_a_large_one_is_made_smaller(self) -> None:
        data = media.jpeg(width=900, height=600)
        assert decode(replace(IMAGE, image_size=64), data, LIMITS).shape == (128, 192, 3)

    def test_too_many_pixels_are_not_decoded(self) -> None:
        with pytest.raises(MediaError, match=r"300x200 = 0\.1 megapixels, the limit is 0\.0"):
            decode(IMAGE, media.png(width=300, height=200), DecodeLimits(max_pixels=10_000))


class TestAudio:
    @pytest.mark.parametrize("content_type", media.SOUNDS)
    def test_formats(self, content_type: str) -> None:
        samples = decode(AUDIO, media.SOUNDS[content_type](), LIMITS)
        assert samples.shape == (8000,)
        assert samples.dtype == np.float32
        # A sine of 440 Hz: its strongest bin among those of 2 Hz is number 220, its RMS 0.5 / sqrt(2).
        assert np.abs(np.fft.rfft(samples)).argmax() == 220
        assert np.sqrt((samples**2).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.12)

    def test_wav_is_exact(self) -> None:
        samples = decode(replace(AUDIO, seconds=2.0), media.wav(), LIMITS)
        assert samples.size == 16_000
        assert np.abs(samples - media.tone()).max() <= 1 / 32768

    def test_is_resampled(self) -> None:
        samples = decode(replace(AUDIO, sample_rate=8000), media.wav(), LIMITS)
        assert samples.size == 4000
        assert np.abs(np.fft.rfft(samples)).argmax() == 220

    def test_the_track_of_a_video_is_taken(self) -> None:
        assert decode(AUDIO, media.mp4(), LIMITS).size == 8000

    def test_a_video_without_sound_says_so(self) -> None:
        with pytest.raises(MediaError, match="an MP4 file without a sound track"):
            decode(AUDIO, media.mp4(has_sound=False), LIMITS)

    @pytest.mark.parametrize("rate", [1, 1_000_000_000])
    def test_rates_of_no_recording_are_refused(self, rate: int) -> None:
        data = bytearray(media.wav())
        data[24:28] = rate.to_bytes(4, "little")  # of the format chunk
        with pytest.raises(MediaError, match=f"{rate} Hz is not accepted"):
            decode(AUDIO, bytes(data), LIMITS)

    def test_numbers_only(self) -> None:
        samples = media.tone()
        samples[100] = np.nan
        with pytest.raises(MediaError, match="not numbers"):
            decode(AUDIO, media.sound(samples, codec="pcm_f32le"), LIMITS)

    def test_is_clipped(self) -> None:
        assert decode(AUDIO, media.sound(media.tone() * 1000, codec="pcm_f32le"), LIMITS).max() == 1.0


class TestVideo:
    @pytest.mark.parametrize("content_type", [kind for kind in media.VIDEOS if kind != "image/gif"])
    def test_frames_are_evenly_spread(self, content_type: str) -> None:
        frames = decode(VIDEO, media.VIDEOS[content_type](), LIMITS)
        assert frames.shape == (4, 48, 64, 3)
        # 16 frames in 2 s; the middles of 4 parts are at .25, .75, 1.25 and 1.75 s, where frames 2, 6, 10 and 14 start
        expected = media.shades()[[2, 6, 10, 14]].mean(axis=(1, 2, 3))
        assert np.abs(frames.mean(axis=(1, 2, 3)) - expected).max() <= 4

    @pytest.mark.parametrize("count", [1, 3, 8, 40])
    def test_long_groups_of_pictures_with_b_frames(self, count: int) -> None:
        levels = media.shades(120)
        data = media.clip(levels, fps=25, options={"g": "50", "bf": "3"})
        frames = decode(replace(VIDEO, frames=count), data, LIMITS)
        shown = [int((part + 0.5) / count * 120) for part in range(count)]
        assert np.abs(frames.mean(axis=(1, 2, 3)) - levels[shown].mean(axis=(1, 2, 3))).max() <= 3

    def test_a_short_one_repeats_frames(self) -> None:
        frames = decode(VIDEO, media.mp4(1), LIMITS)
        assert frames.shape[0] == 4
        assert (frames == frames[0]).all()

    def test_an_animated_gif_is_one(self) -> None:
        frames = decode(VIDEO, media.gif(4), LIMITS)
        assert frames.shape == (4, 32, 48, 3)
        assert len({frame.tobytes() for frame in frames}) == 4

    def test_is_made_smaller(self) -> None:
        data = media.clip(media.shades(4, width=320, height=160))
        assert decode(replace(VIDEO, image_size=32), data, LIMITS).shape == (4, 64, 128, 3)

    def test_is_turned_as_the_camera_was_held(self) -> None:
        pictures = np.zeros((4, 48, 64, 3), np.uint8)
        pictures[:, :, :16] = 255
        one, zero = "00010000", "00000000"
        upright = bytes.fromhex(one + zero * 3 + one + zero * 3 + "40000000")
        clockwise = bytes.fromhex(zero + one + zero + "ffff0000" + zero * 4 + "40000000")
        data = media.clip(pictures)
        at = data.rindex(upright)  # the matrix of the track; the first one is the matrix of the file
        frames = decode(VIDEO, data[:at] + clockwise + data[at + 36 :], LIMITS)
        assert frames.shape == (4, 64, 48, 3)
        assert frames[0, :14].mean() > 240
        assert frames[0, 18:].mean() < 15

    def test_limits(self) -> None:
        with pytest.raises(MediaError, match="2 s long, the limit is 1 s"):
            decode(VIDEO, media.mp4(), DecodeLimits(max_seconds=1.0))
        with pytest.raises(MediaError, match=r"64x48 = 0\.0 megapixels"):
            decode(VIDEO, media.mp4(), DecodeLimits(max_pixels=1000))

    def test_a_sound_is_not_one(self) -> None:
        with pytest.raises(MediaError, match="an MP3 sound is not a video"):
            decode(VIDEO, media.mp3(), LIMITS)
        with pytest.raises(MediaError, match="an Ogg file without moving pictures"):
            decode(VIDEO, media.ogg(), LIMITS)


@pytest.mark.parametrize("spec", [IMAGE, AUDIO, VIDEO], ids=lambda spec: spec.modality)
@pytest.mark.parametrize("name", media.HOSTILE)
def test_hostile_files_are_refused(spec: EncoderSpec, name: str) -> None:
    with pytest.raises(MediaError) as caught:
        decode(spec, media.HOSTILE[name](), LIMITS)
    assert len(caught.value.reason) < 300


_VALID = [
    *((IMAGE, make()) for make in media.IMAGES.values()),
    *((AUDIO, make()) for make in media.SOUNDS.values()),
    *((VIDEO, make()) for make in media.VIDEOS.values()),
]


@st.composite
def _damaged(draw: st.DrawFn) -> tuple[EncoderSpec, bytes]:
    spec, data = draw(st.sampled_from(_VALID))
    content = bytearray(data)
    reach = draw(st.sampled_from([64, 512, len(content)]))  # headers are where parsers stumble
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, min(reach, len(content)) - 1))
        content[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=6))
    return spec, bytes(content[: draw(st.integers(1, len(content)))] if draw(st.booleans()) else content)


@settings(max_examples=300, deadline=None, database=None)
@given(_damaged())
def test_damaged_files_give_a_sample_or_a_media_error(case: tuple[EncoderSpec, bytes]) -> None:
    spec, data = case
    try:
        sample = decode(spec, data, DecodeLimits(max_pixels=1_000_000, max_seconds=60.0))
    except MediaError:
        return
    assert sample.size > 0
    assert sample.ndim == {"image": 3, "audio": 1, "frames": 4}[spec.loader]
    assert np.isfinite(sample).all()
