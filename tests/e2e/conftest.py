"""The service as real processes, shared by the tests of a module."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from model.encoders.spec import EncoderSpec
from tests.fixtures.stack import Stack, running_stack


@pytest.fixture(scope="module")
def stack(encoder_specs: tuple[EncoderSpec, ...]) -> Iterator[Stack]:
    """A service of its own: bundled database and cache, API, workers, beat."""
    with TemporaryDirectory(prefix="crossan-e2e-") as folder, running_stack(Path(folder) / "data", encoder_specs) as up:
        yield up
