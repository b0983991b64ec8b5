"""A tiny catalogue for the processes of a comparison."""

from pathlib import Path
from typing import Any

import pytest

from model.data.saved import save_dataset
from tests.model.conftest import SMALL
from tests.model.synthetic import content_log


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved dataset of text, image and audio states."""
    folder = tmp_path_factory.mktemp("saved") / "data"
    save_dataset(content_log(), folder)
    return folder


@pytest.fixture
def job(saved: Path) -> dict[str, Any]:
    """A training of one epoch."""
    options = {**SMALL, "epochs": 2, "modalities": "text,image", "seed": 3}
    return {
        "label": "crossan",
        "method": "crossan",
        "modalities": ["text", "image"],
        "seed": 3,
        "options": options,
        "dataset": str(saved),
        "device": "cpu",
        "threads": 1,
    }
