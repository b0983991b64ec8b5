"""Every loader against a slow reference: one sample at a time, unpadded, pooled by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoFeatureExtractor, AutoModel, AutoTokenizer, CLIPModel, SiglipModel

from model.encoders.base import EncoderError, load_encoder
from model.encoders.spec import EncoderSpec
from tests.fixtures import media
from tests.fixtures.tiny_models import LAYERS, WIDTH, tiny_specs

Tiny = Callable[[str], Path]

TEXTS = ["a robot in love", "the star", "a wolf and a bear sing of the mountain snow and the river in the rain", "?"]
IMAGES = [media.picture(seed, width=40 + 9 * seed, height=70 - 8 * seed) for seed in range(4)]
CLIPS = [np.stack([media.picture(10 * seed + frame) for frame in range(4)]) for seed in range(3)]
SOUNDS = [media.tone(200.0 * (1 + index), seconds=seconds) for index, seconds in enumerate((0.4, 1.0, 0.4, 1.7, 0.05))]
HALF = 2e-3
"""Of values near 1, float16 keeps three digits."""


def _close(states: np.ndarray, expected: list[Tensor]) -> None:
    """Compares with one [layers, width] a sample."""
    assert states.shape == (len(expected), LAYERS + 1, WIDTH)
    reference = torch.stack(expected).numpy()
    assert np.abs(reference).max() < 16.0
    assert len({row.tobytes() for row in states}) == len(states)
    np.testing.assert_allclose(states.astype(np.float32), reference, rtol=HALF, atol=HALF)


@torch.inference_mode()
def _states(network: Any, **inputs: Any) -> Tensor:
    """Returns all layers of one sample, [layers, positions, width]."""
    return torch.stack(network.eval()(**inputs, output_hidden_states=True).hidden_states).squeeze(1)


def _network(folder: Path) -> Any:
    return AutoModel.from_pretrained(folder)


def _pixels(image: np.ndarray, *, edge: int | None = None, size: int = 32) -> Tensor:
    """Resizes, crops the middle and normalises to -1..1, as the tiny preprocessors say: [1, 3, size, size]."""
    picture = Image.fromarray(image)
    if edge is None:
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    else:
        scale = edge / min(picture.size)
        picture = picture.resize([int(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
        left, top = (picture.width - size) // 2, (picture.height - size) // 2
        picture = picture.crop((left, top, left + size, top + size))
    values = torch.from_numpy(np.array(picture)).float() / 255
    return ((values - 0.5) / 0.5).permute(2, 0, 1).unsqueeze(0)


class TestText:
    @pytest.mark.parametrize("pooling", ["auto", "mean", "cls", "last"])
    def test_bert(self, tiny: Tiny, pooling: str) -> None:
        encoder = load_encoder(EncoderSpec("text", str(tiny("bert")), pooling=pooling, max_tokens=64, batch_size=3))
        network, tokenizer = _network(tiny("bert")), AutoTokenizer.from_pretrained(tiny("bert"))
        pool = {"cls": lambda states: states[:, 0], "last": lambda states: states[:, -1]}.get(
            pooling, lambda states: states.mean(dim=1)
        )
        _close(
            encoder.encode(TEXTS), [pool(_states(network, **tokenizer(text, return_tensors="pt"))) for text in TEXTS]
        )

    def test_a_causal_model_takes_its_last_token(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("text", str(tiny("llama")), max_tokens=64))
        network, tokenizer = _network(tiny("llama")), AutoTokenizer.from_pretrained(tiny("llama"))
        expected = [_states(network, **tokenizer(text, return_tensors="pt"))[:, -1] for text in TEXTS]
        _close(encoder.encode(TEXTS), expected)

    def test_the_prefix_is_put_before(self, tiny: Tiny) -> None:
        folder = str(tiny("bert"))
        prefixed = load_encoder(EncoderSpec("text", folder, prefix="the ", max_tokens=64)).encode(["star"])
        assert np.array_equal(prefixed, load_encoder(EncoderSpec("text", folder, max_tokens=64)).encode(["the star"]))

    def test_the_rest_is_cut(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("text", str(tiny("bert")), max_tokens=4))
        assert np.array_equal(encoder.encode(["the star"]), encoder.encode(["the star of the night"]))

    def test_longer_than_the_model_takes_is_refused(self, tiny: Tiny) -> None:
        with pytest.raises(EncoderError, match=r"max_tokens: .* at most 64"):
            load_encoder(EncoderSpec("text", str(tiny("bert")), max_tokens=65))


class TestImage:
    @pytest.mark.parametrize(("name", "edge"), [("vit", None), ("dinov2", 40)])
    @pytest.mark.parametrize("pooling", ["auto", "mean"])
    def test_with_class_token(self, tiny: Tiny, name: str, edge: int | None, pooling: str) -> None:
        encoder = load_encoder(EncoderSpec("image", str(tiny(name)), pooling=pooling, batch_size=3))
        network = _network(tiny(name))
        pool = {"auto": lambda states: states[:, 0], "mean": lambda states: states[:, 1:].mean(dim=1)}[pooling]
        expected = [pool(_states(network, pixel_values=_pixels(image, edge=edge))) for image in IMAGES]
        _close(encoder.encode(IMAGES), expected)

    def test_clip_is_its_vision_tower(self, tiny: Tiny) -> None:
        tower = CLIPModel.from_pretrained(tiny("clip")).vision_model
        expected = [_states(tower, pixel_values=_pixels(image, edge=40))[:, 0] for image in IMAGES]
        _close(load_encoder(EncoderSpec("image", str(tiny("clip")))).encode(IMAGES), expected)

    def test_siglip_is_the_mean_of_its_vision_tower(self, tiny: Tiny) -> None:
        tower = SiglipModel.from_pretrained(tiny("siglip")).vision_model
        expected = [_states(tower, pixel_values=_pixels(image)).mean(dim=1) for image in IMAGES]
        _close(load_encoder(EncoderSpec("image", str(tiny("siglip")))).encode(IMAGES), expected)

    def test_siglip_has_no_class_token(self, tiny: Tiny) -> None:
        with pytest.raises(EncoderError, match="no class token"):
            load_encoder(EncoderSpec("image", str(tiny("siglip")), pooling="cls"))

    def test_another_size_keeps_the_share_that_is_cropped(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("image", str(tiny("dinov2")), image_size=64))
        network = _network(tiny("dinov2"))
        # crop 32 of an edge of 40, so crop 64 of an edge of 80
        expected = [_states(network, pixel_values=_pixels(image, edge=80, size=64))[:, 0] for image in IMAGES]
        _close(encoder.encode(IMAGES), expected)

    @pytest.mark.parametrize("name", ["vit", "clip", "siglip"])
    def test_positions_are_interpolated(self, tiny: Tiny, name: str) -> None:
        states = load_encoder(EncoderSpec("image", str(tiny(name)), image_size=48)).encode(IMAGES)
        assert states.shape == (4, LAYERS + 1, WIDTH)

    def test_one_pixel_is_an_image(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("image", str(tiny("dinov2"))))
        assert encoder.encode([np.full((1, 1, 3), 7, np.uint8), np.full((3, 1, 3), 7, np.uint8)]).shape[0] == 2


class TestAudio:
    def test_whisper_runs_whole_seconds_and_pools_what_was_heard(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("audio", str(tiny("whisper")), seconds=2.0))
        network = _network(tiny("whisper")).get_encoder()
        extractor = AutoFeatureExtractor.from_pretrained(tiny("whisper"))
        _close(encoder.encode(SOUNDS), [_whisper_reference(network, extractor, sound) for sound in SOUNDS])

    def test_wav2vec2_sees_no_padding(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("audio", str(tiny("wav2vec2")), seconds=2.0))
        network = _network(tiny("wav2vec2"))
        expected = []
        for sound in SOUNDS:
            wave = torch.from_numpy((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))
            expected.append(_states(network, input_values=wave.unsqueeze(0)).mean(dim=1))
        _close(encoder.encode(SOUNDS), expected)

    def test_wav2vec2_takes_a_click(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("audio", str(tiny("wav2vec2"))))
        # kernels 20, 8, 4 and strides 10, 8, 4: (((1 - 1) * 4 + 4 - 1) * 8 + 8 - 1) * 10 + 20 = 330 samples
        assert encoder._parts.frontend.bucket(np.zeros(1, np.float32)) == 330
        assert encoder.encode([np.ones(1, np.float32)]).shape == (1, LAYERS + 1, WIDTH)

    def test_ast_pools_the_patches_of_real_time(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("audio", str(tiny("ast")), seconds=1.0))
        network, extractor = _network(tiny("ast")), AutoFeatureExtractor.from_pretrained(tiny("ast"))
        expected = []
        for sound in (sounds := [SOUNDS[0], SOUNDS[1]]):
            values = extractor(sound, sampling_rate=16_000, return_tensors="pt")["input_values"]
            patches = _states(network, input_values=values)[:, 2:].unflatten(1, (2, 8))  # 2 bands, 8 steps of 0.16 s
            steps = -(-sound.size // 2560)
            expected.append(patches[:, :, :steps].mean(dim=(1, 2)))
        _close(encoder.encode(sounds), expected)

    def test_another_rate_is_refused(self, tiny: Tiny) -> None:
        with pytest.raises(EncoderError, match=r"sample_rate: .* 16000 Hz"):
            load_encoder(EncoderSpec("audio", str(tiny("whisper")), sample_rate=8000))

    def test_more_than_its_window_is_refused(self, tiny: Tiny) -> None:
        with pytest.raises(EncoderError, match=r"seconds: .* at most 30"):
            load_encoder(EncoderSpec("audio", str(tiny("whisper")), seconds=31.0))

    def test_an_unknown_architecture_is_refused(self, tiny: Tiny) -> None:
        with pytest.raises(EncoderError, match=r"'bert'; this loader knows .*whisper"):
            load_encoder(EncoderSpec("audio", str(tiny("bert"))))


@torch.inference_mode()
def _whisper_reference(network: Any, extractor: Any, sound: np.ndarray) -> Tensor:
    """Whisper's encoder written out: two convolutions, the first positions, the layers, the last norm."""
    seconds = -(-sound.size // 16_000)
    mel = extractor(sound, sampling_rate=16_000, max_length=seconds * 16_000, return_tensors="pt")["input_features"]
    gelu = torch.nn.functional.gelu
    hidden = gelu(network.conv2(gelu(network.conv1(mel)))).permute(0, 2, 1)
    assert hidden.shape[1] == 50 * seconds
    states = [hidden + network.embed_positions.weight[: 50 * seconds]]
    for layer in network.layers:
        states.append(layer(states[-1], None))
    states[-1] = network.layer_norm(states[-1])
    heard = -(-sound.size // 320)
    return torch.stack(states)[:, 0, :heard].mean(dim=1)


class TestVideo:
    def test_videomae_is_the_mean_of_its_tubelets(self, tiny: Tiny) -> None:
        encoder = load_encoder(EncoderSpec("video", str(tiny("videomae")), frames=4))
        network = _network(tiny("videomae"))
        expected = []
        for clip in CLIPS:
            pixels = torch.stack([_pixels(frame, edge=40) for frame in clip], dim=1)
            expected.append(_states(network, pixel_values=pixels).mean(dim=1))
        _close(encoder.encode(CLIPS), expected)

    def test_frames_are_images_averaged_over_time(self, tiny: Tiny) -> None:
        folder = str(tiny("dinov2"))
        frames = load_encoder(EncoderSpec("video", folder, loader="frames", frames=4, image_size=32, batch_size=2))
        images = load_encoder(EncoderSpec("image", folder, image_size=32))
        expected = [torch.from_numpy(images.encode(list(clip)).astype(np.float32).mean(axis=0)) for clip in CLIPS]
        _close(frames.encode(CLIPS), expected)

    @pytest.mark.parametrize(("field", "options"), [("frames", {}), ("image_size", {"frames": 4, "image_size": 64})])
    def test_other_clips_are_refused(self, tiny: Tiny, field: str, options: dict[str, int]) -> None:
        with pytest.raises(EncoderError, match=f"{field}: .* takes exactly"):
            load_encoder(EncoderSpec("video", str(tiny("videomae")), **options))


def test_missing_weights_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("vit"), tmp_path / "vit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": LAYERS + 1}))
    with pytest.raises(EncoderError, match="lacks 16 weights"):
        load_encoder(EncoderSpec("image", str(folder)))


@pytest.mark.parametrize(
    ("loader", "name", "lost"),
    [("text", "bert", "tokenizer"), ("image", "vit", "preprocessor"), ("audio", "whisper", "preprocessor")],
)
def test_a_folder_without_its_preprocessor_is_refused(
    tiny: Tiny, tmp_path: Path, loader: str, name: str, lost: str
) -> None:
    folder = shutil.copytree(tiny(name), tmp_path / name, ignore=shutil.ignore_patterns(f"{lost}*"))
    with pytest.raises(EncoderError, match=r"has no (tokenizer|image processor|feature extractor)"):
        load_encoder(EncoderSpec(loader, str(folder)))


def test_the_tiny_set_encodes_each_modality(tmp_path: Path) -> None:
    samples = {"text": TEXTS[0], "image": IMAGES[0], "audio": SOUNDS[0], "video": CLIPS[0]}
    for spec in tiny_specs(tmp_path):
        first, again = (load_encoder(spec) for _ in range(2))
        assert (first.layers, first.width) == (LAYERS + 1, WIDTH)
        assert first.fingerprint == again.fingerprint
        states = first.encode([samples[spec.modality]])
        assert np.array_equal(states, again.encode([samples[spec.modality]]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_cuda_gives_what_the_cpu_gives(tiny: Tiny, dtype: str) -> None:
    spec = EncoderSpec("image", str(tiny("dinov2")), dtype=dtype)
    on_cpu, on_cuda = load_encoder(spec), load_encoder(spec, "cuda")
    assert on_cpu.fingerprint == on_cuda.fingerprint
    tolerance = {"float32": 2e-3, "float16": 2e-2, "bfloat16": 1e-1}[dtype]
    np.testing.assert_allclose(on_cuda.encode(IMAGES), on_cpu.encode(IMAGES), atol=tolerance)
