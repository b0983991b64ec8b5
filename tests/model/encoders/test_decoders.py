"""Causal language models as text encoders, against each text alone and unpadded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BartConfig, BartModel

from model.encoders.base import EncoderError, load_encoder, weights_dtype
from model.encoders.parts import MeanPool, last_pool
from model.encoders.spec import EncoderSpec
from model.encoders.text import read_architecture
from model.encoders.trainable import TrainableEncoder, take_apart
from tests.fixtures.tiny_decoders import make_decoder

Decoder = Callable[..., Path]

TEXTS = ["robot", "the star of love", "wolf bear king sword magic star planet love rain city night jazz", "a song"]
FAMILIES = ["llama", "gpt2", "bloom", "opt", "falcon", "olmo2", "phi3", "gemma3_text", "qwen3", "mamba"]
"""Rotary, learned and linear-bias positions, pre- and post-norm, windows, grouped keys, and one without attention."""


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """Gives the folder of a decoder, made once for the same options."""
    root, made = tmp_path_factory.mktemp("decoders"), dict[str, Path]()

    def folder(kind: str = "llama", **options: Any) -> Path:
        name = json.dumps([kind, options], sort_keys=True)
        if name not in made:
            made[name] = make_decoder(root / str(len(made)), kind, **options)
        return made[name]

    return folder


def _spec(folder: Path, **options: Any) -> EncoderSpec:
    return EncoderSpec("text", str(folder), **{"max_tokens": 16, **options})


def _encode(folder: Path, texts: list[str] = TEXTS, **options: Any) -> np.ndarray:
    return load_encoder(_spec(folder, **options)).encode(texts)


@torch.inference_mode()
def _alone(folder: Path, text: str, pooling: str) -> np.ndarray:
    """One text without padding through the plain network: [layers, width]."""
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    states = torch.cat(AutoModel.from_pretrained(folder).eval()(ids, output_hidden_states=True).hidden_states)
    return (states[:, -1] if pooling == "last" else states.mean(dim=1)).numpy()


class TestPadding:
    @pytest.mark.parametrize("kind", FAMILIES)
    def test_a_batch_gives_each_text_the_states_it_has_alone(self, decoder: Decoder, kind: str) -> None:
        folder = decoder(kind, padding_side="left", pad_token="[PAD]", eos_token="[END]")
        for pooling in ("last", "mean"):
            expected = np.stack([_alone(folder, text, pooling) for text in TEXTS])
            # float16 keeps three digits
            np.testing.assert_allclose(_encode(folder, pooling=pooling), expected, rtol=2e-3, atol=2e-4)

    @pytest.mark.parametrize(
        "tokenizer",
        [
            {"padding_side": "right", "pad_token": "[PAD]"},
            {"padding_side": "left", "eos_token": "[END]"},
            {"padding_side": "left"},
        ],
        ids=["right", "no padding token", "no special token at all"],
    )
    @pytest.mark.parametrize("pooling", ["last", "mean"])
    def test_no_tokenizer_setting_matters(self, decoder: Decoder, tokenizer: dict[str, str], pooling: str) -> None:
        expected = _encode(decoder(padding_side="left", pad_token="[PAD]", eos_token="[END]"), pooling=pooling)
        assert np.array_equal(_encode(decoder(**tokenizer), pooling=pooling), expected)

    @pytest.mark.parametrize("kind", ["gpt2", "llama"])
    def test_a_text_without_a_token_has_a_state(self, decoder: Decoder, kind: str) -> None:
        states = _encode(decoder(kind, eos_token="[END]", pad_token="[PAD]"), ["", "robot", "[END]"])
        assert np.array_equal(states[0], states[2])

    def test_the_last_real_position_is_found_on_either_side(self) -> None:
        hidden = torch.arange(8.0).reshape(2, 4, 1)
        mask = torch.tensor([[False, False, True, True], [True, True, False, False]])
        assert last_pool(hidden, mask).flatten().tolist() == [3.0, 5.0]


class TestReading:
    """Which networks decode is told by their config, not by a list of names."""

    @pytest.mark.parametrize(
        ("config", "decodes", "pooling"),
        [
            ({"model_type": "cohere2"}, True, "last"),
            ({"model_type": "mixtral"}, True, "last"),
            ({"model_type": "gemma3_text"}, True, "last"),
            ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, True, "mean"),
            ({"model_type": "llama", "is_causal": False}, True, "mean"),
            ({"model_type": "bert"}, False, "mean"),
            ({"model_type": "bert", "is_decoder": True}, True, "last"),
            ({"model_type": "roberta"}, False, "mean"),
            ({"model_type": "modernbert"}, False, "mean"),
            ({"model_type": "xlnet"}, False, "mean"),
            ({"model_type": "t5"}, False, "mean"),
        ],
    )
    def test_by_config(self, tmp_path: Path, config: dict[str, Any], decodes: bool, pooling: str) -> None:
        (tmp_path / "config.json").write_text(json.dumps(config))
        architecture = read_architecture(tmp_path)
        assert ("use_cache" in architecture.arguments, architecture.pooling) == (decodes, pooling)

    def test_what_transformers_does_not_know_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"model_type": "abacus"}')
        with pytest.raises(EncoderError, match="abacus"):
            read_architecture(tmp_path)

    def test_a_decoder_that_sees_both_ways_is_averaged(self, decoder: Decoder) -> None:
        folder = decoder("gemma3_text", eos_token="[END]", config={"use_bidirectional_attention": True})
        assert isinstance(load_encoder(_spec(folder))._parts.pool, MeanPool)
        alone = np.concatenate([_encode(folder, [text]) for text in TEXTS])
        np.testing.assert_allclose(_encode(folder), alone, rtol=2e-3, atol=2e-4)

    def test_of_two_halves_it_is_the_encoder(self, tmp_path: Path) -> None:
        folder = make_decoder(tmp_path / "bart", pad_token="[PAD]")
        sizes = {
            "d_model": 40,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "vocab_size": 24,
            "max_position_embeddings": 64,
        }
        network = BartModel(BartConfig(**sizes, encoder_attention_heads=2, decoder_attention_heads=2)).eval()
        network.save_pretrained(folder)
        ids = AutoTokenizer.from_pretrained(folder)("robot love", return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            expected = network.get_encoder()(ids, output_hidden_states=True).hidden_states
        reference = torch.cat(expected).mean(dim=1).numpy()
        np.testing.assert_allclose(_encode(folder, ["robot love"])[0], reference, rtol=2e-3, atol=2e-4)


class TestPrecision:
    @pytest.mark.parametrize("kind", ["llama", "gpt2", "mamba"])
    def test_half_precision_on_a_cpu_is_close(self, decoder: Decoder, kind: str) -> None:
        folder = decoder(kind, eos_token="[END]")
        half = load_encoder(_spec(folder, dtype="bfloat16"))
        assert {parameter.dtype for parameter in half._tower.parameters()} == {torch.bfloat16}
        exact, near = _encode(folder).astype(np.float32), half.encode(TEXTS).astype(np.float32)
        assert not np.array_equal(near, exact)
        # bfloat16 rounds to 2^-8 of a value, once a layer and more
        assert np.abs(near - exact).max() < 0.03 * np.abs(exact).max()

    def test_which_type_a_device_takes(self) -> None:
        types = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
        for dtype, expected in types.items():
            spec = EncoderSpec("text", "m", dtype=dtype)
            assert weights_dtype(spec, "cuda:0") == expected
            assert weights_dtype(spec, "cpu") == (torch.float32 if dtype == "float16" else expected)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_on_cuda_is_close_in_half_the_memory(self, decoder: Decoder, dtype: str) -> None:
        folder = decoder(eos_token="[END]")
        half = load_encoder(_spec(folder, dtype=dtype), "cuda")
        assert {str(parameter.dtype) for parameter in half._tower.parameters()} == {f"torch.{dtype}"}
        exact = _encode(folder).astype(np.float32)
        assert np.abs(half.encode(TEXTS) - exact).max() < 0.03 * np.abs(exact).max()


class TestLayers:
    @pytest.mark.parametrize("kind", ["llama", "gpt2"])
    @pytest.mark.parametrize("layers", [[0, 2], [1, 2, 3], [0, 2, -1], [-1], [-3, -2]])
    def test_they_are_those_of_all(self, decoder: Decoder, kind: str, layers: list[int]) -> None:
        folder = decoder(kind, eos_token="[END]")
        encoder = load_encoder(_spec(folder, layers=layers))
        assert (encoder.layers, encoder.width) == (len(layers), 40)
        assert np.array_equal(encoder.encode(TEXTS), _encode(folder)[:, layers])

    @pytest.mark.parametrize(("layers", "kept"), [([0, 1], 2), ([3], 4), ([-1], 4), ([0], 1)])
    def test_what_comes_after_them_is_not_run(self, decoder: Decoder, layers: list[int], kept: int) -> None:
        # one more than the last stored one, so that no stored state but the last passes the final norm
        encoder = load_encoder(_spec(decoder(eos_token="[END]"), layers=layers))
        assert len(encoder._tower.layers) == kept

    def test_encoders_of_other_media_have_them_too(self, tiny: Callable[[str], Path]) -> None:
        images = [np.full((20, 30, 3), shade, np.uint8) for shade in (0, 90)]
        every = load_encoder(EncoderSpec("image", str(tiny("dinov2")))).encode(images)
        some = load_encoder(EncoderSpec("image", str(tiny("dinov2")), layers=(1, -1))).encode(images)
        assert np.array_equal(some, every[:, [1, -1]])

    @pytest.mark.parametrize(("layers", "problem"), [([0, 5], r"5 hidden states"), ([3, -2], "do not ascend")])
    def test_layers_that_are_not_there_are_refused(self, decoder: Decoder, layers: list[int], problem: str) -> None:
        for kind in ("llama", "gpt2"):
            with pytest.raises(EncoderError, match=problem):
                load_encoder(_spec(decoder(kind, eos_token="[END]"), layers=layers))

    def test_an_encoder_in_training_gives_the_same(self, decoder: Decoder) -> None:
        spec = _spec(decoder(eos_token="[END]"), layers=[0, 2, 3])
        stored = load_encoder(spec).encode(TEXTS[:1]).astype(np.float32)
        trained = TrainableEncoder(apart := take_apart(spec), [1, 2], 40, checkpointing=False).eval()
        states = trained._pooled(apart.parts.frontend(TEXTS[:1])).detach().numpy()
        np.testing.assert_allclose(states, stored[:, 1:], rtol=2e-3, atol=2e-4)
