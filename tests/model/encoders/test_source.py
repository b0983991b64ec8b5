"""A fingerprint follows the content and the options of an encoder, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from model.encoders.source import fingerprint, locate
from model.encoders.spec import EncoderSpec, SpecError


def _fingerprint(spec: EncoderSpec) -> str:
    return fingerprint(spec, locate(spec))


@pytest.fixture
def folder(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(tiny("bert"), tmp_path / "copy")


def test_moving_the_folder_changes_nothing(tiny: Callable[[str], Path], folder: Path) -> None:
    spec = EncoderSpec("text", str(tiny("bert")))
    assert _fingerprint(replace(spec, model=str(folder))) == _fingerprint(spec)


def test_what_does_not_change_the_output_changes_nothing(folder: Path) -> None:
    spec = EncoderSpec("text", str(folder))
    before = _fingerprint(spec)
    (folder / "README.md").write_text("words")
    assert _fingerprint(replace(spec, batch_size=3)) == before
    assert _fingerprint(EncoderSpec("title", str(folder), loader="text")) == before


@pytest.mark.parametrize(
    "options", [{"pooling": "cls"}, {"max_tokens": 64}, {"prefix": "passage: "}, {"layers": (0, 2)}]
)
def test_every_option_counts(folder: Path, options: dict[str, Any]) -> None:
    spec = EncoderSpec("text", str(folder))
    assert _fingerprint(replace(spec, **options)) != _fingerprint(spec)


def test_without_later_options_it_is_what_it_always_was(folder: Path) -> None:
    spec, source = EncoderSpec("text", str(folder)), locate(EncoderSpec("text", str(folder)))
    options = '{"dtype": "float32", "loader": "text", "max_tokens": 128, "pooling": "auto", "prefix": ""}'
    said = f'{{"code": "1", "options": {options}, "source": "{source.identity}"}}'
    assert fingerprint(spec, source) == hashlib.sha256(said.encode()).hexdigest()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_every_file_counts(folder: Path, name: str) -> None:
    spec = EncoderSpec("text", str(folder))
    before = _fingerprint(spec)
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert _fingerprint(spec) != before


def test_a_hub_id_is_known_by_its_commit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = iter(["c0ffee", "c0ffee", "decade"])

    def download(model: str, **options: Any) -> str:
        return str(shutil.copytree(folder, tmp_path / next(commits), dirs_exist_ok=True))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    spec = EncoderSpec("text", "someone/some-model")
    first, same, other = (_fingerprint(spec) for _ in range(3))
    assert first == same != other


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is not a folder"):
        locate(EncoderSpec("text", str(tmp_path / "nowhere")))


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"config\.json"):
        locate(EncoderSpec("text", str(tmp_path)))


def test_a_hub_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: str, **options: Any) -> str:
        raise FileNotFoundError("no cached copy, no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(SpecError, match="neither a folder nor a model of the hub"):
        locate(EncoderSpec("text", "someone/some-model"))
