"""Training through the encoders: what learns, what stays, and what it makes no difference to."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from model.data.dataset import Dataset, TrainingDataError
from model.data.splits import leave_one_out
from model.encoders.trainable import EncoderTower, take_apart
from model.train import fit
from model.trainer import Trainer
from tests.model.conftest import small_config

METHODS = ("full", "adapter", "lora", "bitfit")


def losses(dataset: Dataset, method: str, **options: Any) -> list[float]:
    found: list[float] = []
    config = small_config(method, **options)
    fit(dataset, config, on_progress=lambda progress: found.append(progress.loss), should_stop=lambda: False)
    return found


def trained_tower(dataset: Dataset, method: str) -> EncoderTower:
    """The tower after one epoch."""
    config = small_config(method, encoder_learning_rate=1e-2)
    torch.manual_seed(0)
    everything = np.ones(dataset.item_count, np.bool_)
    trainer = Trainer(dataset, config, leave_one_out(dataset.interactions), everything, device="cpu")
    trainer.run_epoch(0, lambda: False)
    tower = trainer.restore(trainer.weights()).tower
    assert isinstance(tower, EncoderTower)
    return tower


# The names of what each method trains in BERT.
WHAT = {
    "full": r".*",
    "adapter": r"encoder\.layer\.\d\.(attention\.)?output\.dense\.adapter\..*",
    "lora": r"encoder\.layer\.\d\.attention\.self\.(query|value)\.lora_[AB]\.default\.weight",
    "bitfit": r".*bias",
}


@pytest.mark.parametrize("method", METHODS)
def test_weights_change_where_they_should_and_nowhere_else(raw: Dataset, method: str) -> None:
    (encoder,) = trained_tower(raw.only("text"), method).trainable()
    before = dict(take_apart(encoder.spec).parts.tower.named_parameters())
    # The pooler, on which no state depends, is not even in the model's files: it is drawn anew whenever one is loaded.
    after = {name: one for name, one in encoder.network.named_parameters() if not name.startswith("pooler.")}
    assert not any(name.startswith("pooler.") for name in encoder.tuned().weights)
    for name, weight in after.items():
        start = before.get(name.replace(".base_layer", ""))
        should_change = re.fullmatch(WHAT[method], name) is not None
        assert weight.requires_grad == should_change, name
        assert (start is None or not torch.equal(weight, start)) == should_change, name
    put_in = [name for name in encoder.tuned().weights if name not in before]
    assert bool(put_in) == (method in ("adapter", "lora"))


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_falls(raw: Dataset, method: str) -> None:
    same_windows = {"windows": "last", "dropout": 0.0, "state_dropout": 0.0, "modality_dropout": 0.0}
    first, last = losses(raw.only("text"), method, epochs=2, encoder_learning_rate=1e-3, **same_windows)
    assert last < first


@pytest.mark.parametrize("method", ["crossan", "frozen"])
def test_running_frozen_encoders_in_every_step_changes_nothing(raw: Dataset, method: str) -> None:
    """Stored states are fp16, so off by 2^-11; the loss, of about 4, follows smoothly."""
    cached, running = (losses(raw, method, epochs=1, loss="full", cached=flag) for flag in (True, False))
    assert running == pytest.approx(cached, rel=1e-3)


def test_checkpointing_changes_nothing(raw: Dataset) -> None:
    texts = raw.only("text")
    plain, again = (losses(texts, "lora", epochs=1, activation_checkpointing=flag) for flag in (False, True))
    assert again == pytest.approx(plain, rel=1e-5)


def test_frozen_encoders_exist_once(raw: Dataset) -> None:
    config = small_config("crossan", cached=False)
    everything = np.ones(raw.item_count, np.bool_)
    trainer = Trainer(raw, config, leave_one_out(raw.interactions), everything, device="cpu")
    average = trainer.restore(trainer.weights()).tower
    assert isinstance(average, EncoderTower)
    current = dict(trainer._network.named_parameters())
    for name, weight in average.encoders.named_parameters():
        assert weight is current[f"tower.encoders.{name}"]
    parameters = {name for name, _ in trainer._network.named_parameters() if name.startswith("tower.encoders.")}
    assert not parameters & set(trainer.weights())


def test_without_media_the_reason_is_given(raw: Dataset) -> None:
    with pytest.raises(TrainingDataError, match="runs the encoders in training and needs the text media"):
        losses(replace(raw, media=()), "lora", epochs=1)


def test_an_encoder_that_cannot_be_found_is_named(raw: Dataset) -> None:
    texts = raw.only("text")
    (table,) = texts.media
    gone = replace(table, spec=replace(table.spec, model="/nowhere/at/all"))
    with pytest.raises(TrainingDataError, match="the text encoder cannot be used by lora"):
        losses(replace(texts, media=[gone]), "lora", epochs=1)
