from pathlib import Path

import pytest

from bench.measuring import Skipped
from bench.peers import environments
from bench.peers.environments import Peer, python_of


def test_what_cannot_be_installed_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match=r"absent can't be installed for Python 3\.\d+: "):
        python_of(Peer("absent", (str(tmp_path / "absent-1-py3-none-any.whl"),)), tmp_path)


def test_a_finished_environment_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments.venv, "create", lambda *_, **__: pytest.fail("made again"))
    folder = tmp_path / "peers" / "some"
    folder.mkdir(parents=True)
    (folder / environments.READY).write_text("one==1 two==2")
    assert python_of(Peer("some", ("one==1", "two==2")), tmp_path) == folder / "bin" / "python"
