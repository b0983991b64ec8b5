"""One small training of each method, shared by the tests of what follows it."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from model.artifact import Manifest
from model.config import TrainingConfig, known_options, parse_config
from model.data.dataset import Dataset
from model.encoders.spec import EncoderSpec
from model.export import export_artifact
from model.train import Trained, fit
from tests.fixtures.tiny_models import tiny_model
from tests.model.raw_media import media_log
from tests.model.synthetic import content_log

SMALL = {"item_width": 16, "side_width": 16, "bottleneck": 8, "side_layers": 3, "max_length": 10, "batch_size": 64}


def small_config(method: str, **options: Any) -> TrainingConfig:
    """A configuration for tests: `SMALL` as far as the method reads it, and the given options."""
    small = {name: value for name, value in SMALL.items() if name in known_options(method)}
    return parse_config(method, {**small, "learning_rate": 3e-3, **options})


class Version(NamedTuple):
    dataset: Dataset
    trained: Trained
    folder: Path
    manifest: Manifest
    item_ids: list[str]


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return content_log()


def _version(dataset: Dataset, folder: Path, method: str, epochs: int) -> Version:
    config = small_config(method, epochs=epochs)
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    item_ids = [f"item-{row}" for row in range(dataset.item_count)]
    meta = {"encoders": {"text": "f" * 64}, "cut": "2026-01-01"}
    return Version(
        dataset, trained, folder, export_artifact(trained, dataset, folder, item_ids=item_ids, meta=meta), item_ids
    )


@pytest.fixture(scope="session")
def crossan(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Version:
    return _version(dataset, tmp_path_factory.mktemp("artifacts") / "crossan", "crossan", 12)


@pytest.fixture(scope="session")
def id_only(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Version:
    return _version(dataset, tmp_path_factory.mktemp("artifacts") / "id", "id", 3)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tiny encoders are kept."""
    return tmp_path_factory.mktemp("tiny_encoders")


@pytest.fixture(scope="session")
def raw(tiny_folder: Path) -> Dataset:
    """Raw texts and pictures, with the states that tiny encoders give."""
    text = EncoderSpec("text", str(tiny_model(tiny_folder, "bert")), max_tokens=64)
    return media_log([text, EncoderSpec("image", str(tiny_model(tiny_folder, "vit")))])
