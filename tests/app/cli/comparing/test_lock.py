from pathlib import Path

import pytest

from app.cli.comparing.lock import locked
from crossan.client import ClientError


def test_a_folder_is_for_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "work"
    with locked(folder), pytest.raises(ClientError, match=rf"works in {folder}.*--work"), locked(folder):
        pass
    with locked(folder), locked(tmp_path / "another"):
        assert folder.is_dir()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClientError, match="can't be written"), locked(tmp_path / "file" / "work"):
        pass
