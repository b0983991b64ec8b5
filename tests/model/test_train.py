import dataclasses
import time

import numpy as np
import pytest
import torch

from model.config import OptimisationConfig, TrainingConfig, parse_config
from model.data.dataset import Dataset, TrainingDataError, interactions_of
from model.train import Progress, Trained, TrainingDiverged, TrainingStopped, fit
from model.trainer import learning_rate
from tests.model.conftest import SMALL, Version, small_config
from tests.model.synthetic import content_log


def _fit(dataset: Dataset, method: str = "crossan", **hyperparameters: object) -> tuple[Trained, list[Progress]]:
    config = small_config(method, **{"learning_rate": 8e-3, **hyperparameters})
    seen: list[Progress] = []
    return fit(dataset, config, on_progress=seen.append, should_stop=lambda: False), seen


def test_content_is_learned_far_above_popularity(crossan: Version) -> None:
    """Each topic has ten items and the next topic is certain: a perfect content model finds nearly all in ten."""
    found, baselines = crossan.trained.metrics["test"], crossan.trained.metrics["baselines"]
    assert found["hr10"] > 0.7
    assert found["hr10"] > 4 * baselines["popular"]["hr10"]
    assert found["ndcg10"] > 4 * baselines["popular"]["ndcg10"]


def test_same_seed_same_result_and_another_seed_another(dataset: Dataset) -> None:
    first, second, other = (_fit(dataset, epochs=2, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vectors, second.vectors)
    for name, tensor in first.recommender.state_dict().items():
        assert torch.equal(tensor, second.recommender.state_dict()[name]), name
    assert first.metrics["test"] == second.metrics["test"]
    assert not np.array_equal(first.vectors, other.vectors)


def test_training_leaves_the_random_state_alone(dataset: Dataset) -> None:
    before = torch.get_rng_state()
    _fit(dataset, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", ["crossan", "id"])
@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_loss_falls(dataset: Dataset, method: str, loss: str) -> None:
    _, progress = _fit(dataset, method, loss=loss, epochs=4, learning_rate=3e-3)
    assert progress[-1].loss < 0.97 * progress[0].loss


def test_progress_is_told_and_patience_ends_it(dataset: Dataset) -> None:
    trained, progress = _fit(dataset, "id", epochs=40, patience=2, learning_rate=1e-6)
    assert [one.epoch for one in progress] == list(range(1, trained.metrics["epochs"] + 1))
    assert trained.metrics["epochs"] == trained.metrics["best_epoch"] + 2 < 40
    best = progress[trained.metrics["best_epoch"] - 1]
    assert best.ndcg10 == max(one.ndcg10 for one in progress) == trained.metrics["validation"]["ndcg10"]
    assert best.hr10 == trained.metrics["validation"]["hr10"]


def test_it_stops_when_asked(dataset: Dataset) -> None:
    asked = iter([False, False, True])
    started = time.monotonic()
    with pytest.raises(TrainingStopped, match="epoch 1"):
        fit(
            dataset,
            parse_config("crossan", {**SMALL, "batch_size": 16, "epochs": 1000}),
            on_progress=lambda progress: None,
            should_stop=lambda: next(asked),
        )
    assert time.monotonic() - started < 5


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_a_loss_that_is_no_number_is_an_error(dataset: Dataset) -> None:
    broken = [dataclasses.replace(one, states=np.full_like(one.states, np.inf)) for one in dataset.features]
    with pytest.raises(TrainingDiverged, match="the loss is nan in epoch 1"):
        _fit(dataclasses.replace(dataset, features=broken), epochs=1)


def test_too_few_users_are_an_error(dataset: Dataset) -> None:
    tiny = dataclasses.replace(dataset, interactions=interactions_of([[7, 1, 2], [3, 4]]))
    with pytest.raises(TrainingDataError, match="at least 2 users with 3 or more events about known items, found 1"):
        _fit(tiny)


def test_content_methods_need_content(dataset: Dataset) -> None:
    with pytest.raises(TrainingDataError, match="crossan needs at least one modality, found none"):
        _fit(dataclasses.replace(dataset, features=[]))


def test_the_smallest_data_that_is_enough_trains(dataset: Dataset) -> None:
    smallest = dataclasses.replace(dataset, interactions=interactions_of([[8, 1, 2, 3], [4, 5, 6, 7]]))
    trained, _ = _fit(smallest, epochs=2)
    assert np.isfinite(trained.vectors).all()


def test_histories_that_leave_nothing_to_train_on_are_an_error(dataset: Dataset) -> None:
    short = dataclasses.replace(dataset, interactions=interactions_of([[7, 1, 2], [4, 5, 6]]))
    with pytest.raises(TrainingDataError, match="nothing to train on"):
        _fit(short, epochs=2)


def test_items_without_content_are_neither_learned_nor_recommended() -> None:
    dataset = content_log(users=40)
    text = dataclasses.replace(dataset.features[0], row_of_item=dataset.features[0].row_of_item.copy())
    text.row_of_item[:20] = -1
    trained, _ = _fit(dataclasses.replace(dataset, features=[text]), epochs=1)
    assert trained.rankable.tolist() == [False] * 20 + [True] * 100
    assert np.isfinite(trained.vectors).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_trains_in_mixed_precision_on_a_gpu(dataset: Dataset) -> None:
    config = parse_config("crossan", {**SMALL, "epochs": 8})
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False, device="cuda")
    assert trained.metrics["test"]["hr10"] > 0.5
    assert next(trained.recommender.parameters()).device.type == "cpu"


def test_learning_rate_warms_up_and_falls_to_a_tenth() -> None:
    wanted = OptimisationConfig(learning_rate=1.0, epochs=11, warmup_epochs=1)
    # Half-way up; at the top; half of the cosine: 0.55; at the end: 0.1.
    rates = [learning_rate(wanted, epoch) for epoch in (0.5, 1.0, 6.0, 11.0)]
    assert rates == pytest.approx([0.5, 1.0, 0.55, 0.1])


def test_default_configuration_is_a_training_configuration() -> None:
    assert parse_config("crossan", {}) == TrainingConfig()
