"""Options of a training step: what must change nothing changes nothing, and the rest does what it says."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.config import ConfigError, UserEncoderConfig
from model.data.dataset import Dataset
from model.data.splits import leave_one_out
from model.methods import assembly
from model.modules.user_encoder import UserEncoder
from model.precision import Precision
from model.recompute import recompute_blocks
from model.train import fit
from model.trainer import Trainer
from tests.model.conftest import small_config
from tests.model.synthetic import content_log

STILL = {"dropout": 0.0, "state_dropout": 0.0, "modality_dropout": 0.0}


@pytest.fixture(scope="module")
def log() -> Dataset:
    return content_log(items=60, users=160, events=6)


def trainer_of(log: Dataset, method: str = "crossan", **options: Any) -> Trainer:
    torch.manual_seed(0)
    rankable = np.any(log.present, axis=1) if method == "crossan" else np.ones(log.item_count, np.bool_)
    events = log.interactions.keep(rankable[log.interactions.items])
    return Trainer(log, small_config(method, **options), leave_one_out(events), rankable, device="cpu")


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: one for name, one in trainer.state().tensors.items() if name.startswith("network.")}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], atol=1e-5, rtol=1e-4, msg=name)


def test_accumulated_batches_are_one_large_batch(log: Dataset) -> None:
    """A full softmax looks at each target alone, so two batches of four are one of eight."""
    first = trainer_of(log, batch_size=4, accumulation=2, **STILL)
    second = trainer_of(log, batch_size=8, accumulation=1, **STILL)
    losses = [one.run_epoch(0, lambda: False) for one in (first, second)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert first.state().facts["steps"] == second.state().facts["steps"]


@pytest.mark.parametrize("windows", ["all", "last"])
def test_windows_decide_how_much_an_epoch_is(log: Dataset, windows: str) -> None:
    """160 users with four training events and so three targets, max_length 2: two windows each, or the last one."""
    trainer = trainer_of(log, "id", max_length=2, batch_size=8, windows=windows)
    trainer.run_epoch(0, lambda: False)
    steps = trainer.state().facts["steps"]
    if windows == "last":
        assert steps == 160 / 8
    else:
        # Three targets in runs of two, the newest of one or two: always two windows.
        assert steps == 320 / 8


def test_recomputed_activations_give_the_same_training(log: Dataset) -> None:
    """With dropout on: what is computed again drops the same."""
    results = []
    for flag in (False, True):
        trainer = trainer_of(log, activation_checkpointing=flag)
        loss = trainer.run_epoch(0, lambda: False)
        results.append((loss, weights(trainer)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    same(results[0][1], results[1][1])


def test_recomputed_blocks_keep_their_input_only() -> None:
    encoder = UserEncoder(UserEncoderConfig(max_length=8), 16)
    before = numbers_kept(encoder)
    recompute_blocks(encoder)
    assert numbers_kept(encoder) < before / 2


def numbers_kept(encoder: UserEncoder) -> int:
    """How many numbers autograd keeps for the backward pass."""
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(torch.randn(4, 8, 16), torch.full((4,), 8))
    return sum(sizes)


def test_recomputing_is_refused_where_it_is_not_possible() -> None:
    with pytest.raises(ConfigError, match="activation_checkpointing"):
        recompute_blocks(torch.nn.Linear(2, 2))


def test_a_gradient_is_clipped_to_its_norm() -> None:
    for clip, expected in ((1.0, 1.0), (0.0, 5.0), (10.0, 5.0)):
        parameter = torch.nn.Parameter(torch.zeros(2))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        precision = Precision("fp32", device="cpu", gradient_clip=clip)
        precision.backward((parameter * torch.tensor([3.0, 4.0])).sum())
        precision.step(optimizer)
        assert float(parameter.detach().norm()) == pytest.approx(expected, rel=1e-5)


def test_precision_decides_the_type_of_products() -> None:
    kinds = {}
    for name in ("auto", "fp32", "bf16"):
        with Precision(name, device="cpu", gradient_clip=1.0).autocast():
            kinds[name] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert kinds == {"auto": torch.float32, "fp32": torch.float32, "bf16": torch.bfloat16}


def test_half_precision_needs_a_gpu(log: Dataset) -> None:
    with pytest.raises(ConfigError, match="precision: fp16 needs a CUDA device, not cpu"):
        trainer_of(log, precision="fp16")


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16"},
        {"loss": "gbce", "negatives": 30},
        {"loss": "sampled", "negatives": 30, "negative_sampling": "popularity", "label_smoothing": 0.1},
        {"score": "cosine", "schedule": "linear"},
        {"windows": "last", "schedule": "constant", "gradient_clip": 0.0},
    ],
)
def test_every_option_learns(log: Dataset, options: dict[str, Any]) -> None:
    losses: list[float] = []
    fit(
        log,
        small_config("crossan", epochs=4, **{"learning_rate": 8e-3, **options}),
        on_progress=lambda progress: losses.append(progress.loss),
        should_stop=lambda: False,
        test=False,
    )
    assert losses[-1] < 0.97 * losses[0]


def test_cosine_gives_unit_vectors(log: Dataset) -> None:
    trainer = trainer_of(log, score="cosine")
    vectors, _ = trainer.describe_items()
    # Item 0 has no content, and so no direction.
    np.testing.assert_allclose(np.linalg.norm(vectors[1:], axis=1), 1.0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "fp16"])
def test_every_precision_learns_on_a_gpu(log: Dataset, precision: str) -> None:
    config = small_config("crossan", epochs=8, precision=precision)
    losses: list[float] = []
    fit(
        log,
        config,
        on_progress=lambda progress: losses.append(progress.loss),
        should_stop=lambda: False,
        device="cuda",
    )
    assert losses[-1] < 0.97 * losses[0]


@pytest.mark.parametrize(
    ("method", "options"),
    [("crossan", {}), ("crossan+id", {}), ("iisan-versa", {}), ("frozen", {}), ("crossan", {"interest_groups": 2})],
)
def test_states_standardised_ahead_give_the_same_training(
    method: str, options: dict[str, Any], log: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights after an epoch, and the vectors that the trained network gives to states as they are stored."""
    config = small_config(method, epochs=1, **options)
    trained = []
    for change in (lambda *_: None, assembly.standardise_ahead):
        monkeypatch.setattr(assembly, "standardise_ahead", change)
        trained.append(fit(log, config, on_progress=lambda progress: None, should_stop=lambda: False))
    before, after = trained
    same(before.recommender.state_dict(), after.recommender.state_dict())
    np.testing.assert_allclose(before.vectors, after.vectors, atol=1e-5)
    raw = assembly.assemble(config, log, device="cpu").inputs.gather(torch.arange(log.item_count))
    with torch.no_grad():
        vectors, _ = after.recommender.describing(after.recommender.tower)(*raw)
    there = after.rankable
    np.testing.assert_allclose(vectors.numpy()[there], after.vectors[there], atol=1e-5)
