"""A causal language model as the text encoder of a recommender (PAPER section 8, second neighbour)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from model.data.dataset import Dataset, FeatureTable, MediaTable, interactions_of
from model.encoders.base import load_encoder
from model.encoders.spec import EncoderSpec
from model.train import fit
from tests.fixtures.tiny_decoders import make_decoder
from tests.model.conftest import small_config

ITEMS, USERS, TOPICS, EVENTS = 120, 150, 12, 12
NOISE = [f"noise{index}" for index in range(40)]
OWN = [[f"topic{topic}word{index}" for index in range(2)] for topic in range(TOPICS)]


def _texts(rng: np.random.Generator) -> list[str]:
    """Item i is of topic i mod TOPICS: both words of the topic among six of no meaning, in any order."""
    texts = []
    for item in range(ITEMS):
        words = [*OWN[item % TOPICS], *rng.choice(NOISE, 6)]
        texts.append(" ".join(rng.permutation(words)))
    return texts


def _walks(rng: np.random.Generator) -> list[list[int]]:
    """Every user goes from topic to the next topic; the item within the topic is chance."""
    starts = rng.integers(TOPICS, size=USERS)
    copies = rng.integers(ITEMS // TOPICS, size=(USERS, EVENTS))
    topics = (starts[:, None] + np.arange(EVENTS)) % TOPICS
    walks: list[list[int]] = (topics + TOPICS * copies).tolist()
    return walks


def _dataset(spec: EncoderSpec, *others: FeatureTable) -> Dataset:
    rng = np.random.default_rng(7)
    texts, everywhere = _texts(rng), np.arange(ITEMS, dtype=np.int32)
    features = FeatureTable("text", load_encoder(spec).encode(texts), everywhere)
    events = interactions_of(_walks(rng))
    return Dataset(ITEMS, [features, *others], events, [MediaTable(spec, texts, everywhere)])


def _ndcg(dataset: Dataset, method: str, seeds: Sequence[int] = (0, 1), **options: Any) -> float:
    runs = []
    for seed in seeds:
        config = small_config(method, seed=seed, **options)
        trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
        runs.append(trained.metrics["test"]["ndcg10"])
    return float(np.mean(runs))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> EncoderSpec:
    """A Llama whose random weights are large: each of its 8 layers stirs what the one before knew."""
    folder = make_decoder(
        tmp_path_factory.mktemp("llama") / "stirring",
        words=[*NOISE, *(word for words in OWN for word in words)],
        padding_side="left",
        config={"initializer_range": 0.08, "num_hidden_layers": 8},
    )
    return EncoderSpec("text", str(folder), pooling="mean", max_tokens=16)


def test_side_adapters_beat_the_frozen_last_state(spec: EncoderSpec) -> None:
    """Adapters on the cached states of all layers find what the last state has lost: NDCG@10 0.40 against 0.22.

    The texts and this network are made so: the average of the words tells the topic, and each layer of random weights
    hides more of it. Trained language models keep more, so this says that the adapters read the layers, not by how
    much they gain. Knowing the topic alone gives the mean of 1 / log2(1 + rank) over ranks 1 to 10, which is 0.45.
    """
    dataset = _dataset(spec)
    adapted = _ndcg(dataset, "crossan", epochs=24, learning_rate=8e-3, side_layers=8)
    frozen = _ndcg(dataset, "frozen", epochs=24, learning_rate=8e-3)
    assert adapted > frozen + 0.08


def test_lora_trains_inside_the_language_model(spec: EncoderSpec) -> None:
    config = small_config("lora", epochs=1, lora_rank=2, encoder_learning_rate=1e-2, windows="last")
    trained = fit(_dataset(spec), config, on_progress=lambda progress: None, should_stop=lambda: False)
    weights = trained.encoders["text"].weights
    assert weights
    assert all("lora" in name for name in weights)
    assert any(weight.abs().sum() > 0 for name, weight in weights.items() if "lora_B" in name)  # they start from zero


@pytest.mark.parametrize("method", ["crossan", "frozen"])
def test_another_depth_and_width_beside_it_are_normal(spec: EncoderSpec, method: str) -> None:
    states = np.random.default_rng(3).standard_normal((ITEMS, 3, 24)).astype(np.float16)
    dataset = _dataset(spec, FeatureTable("image", states, np.arange(ITEMS, dtype=np.int32)))
    assert [(one.layers_total, one.width) for one in dataset.shape.modalities] == [(9, 40), (3, 24)]
    config = small_config(method, epochs=1)
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    assert trained.shares.shape == (ITEMS, 2)
    assert np.isfinite(trained.vectors).all()
