import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not below pytest's own folder: every pytest that starts closes that one to others, so to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="crossan-tests-") as folder:
        yield Path(folder)
