"""The bench of encoding: what it encodes, with which encoders, and that every content is stored."""

import csv
import tempfile
from pathlib import Path

import pytest

from app.core.config import Settings
from bench.encode.figures import processor_s
from bench.encode.forward import BareForward
from bench.encode.media import contents_of
from bench.encode.specs import specs_of
from bench.encode.work import NotEncoded, Worker
from bench.measuring import Skipped
from model.encoders.base import load_encoder
from model.encoders.spec import EncoderSpec
from tests.fixtures import media


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalogue with two different texts and three pictures."""
    with (tmp_path / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["item_id", "title", "plot"], ["1", "a", "b"], ["2", "", ""], ["3", "a", "b"], ["4", "c", ""]])
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / f"{number}.png").write_bytes(media.png(number))
    return tmp_path


def test_contents_are_different_ones_and_no_more_than_asked_for(folder: Path) -> None:
    assert sorted(contents_of(folder, "text", 10)) == [b"a\nb", b"c"]
    assert len(contents_of(folder, "image", 2)) == 2
    assert contents_of(folder, "audio", 5) == []


def test_encoders_of_a_folder_are_told_by_their_architecture(encoder_specs: tuple[EncoderSpec, ...]) -> None:
    models = Path(encoder_specs[0].model).parent
    with tempfile.TemporaryDirectory() as cache:
        found = specs_of(models, Path(cache))
    assert set(found) == {"text", "image", "audio", "video"}
    assert all(Path(spec.model).parent == models for spec in found.values())


def test_without_any_encoder_the_group_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(Skipped, match="--encoders"):
        specs_of(tmp_path, tmp_path)


def test_every_content_is_stored_anew_at_each_call(
    settings: Settings, encoder_specs: tuple[EncoderSpec, ...], folder: Path
) -> None:
    spec = encoder_specs[1]
    contents = contents_of(folder, "image", 3)
    BareForward(spec, contents, batch_size=2).run()
    worker = Worker(settings, {"image": load_encoder(spec)})
    settings.data_dir.mkdir(exist_ok=True)
    worker.upload("image", contents, settings.data_dir)
    before = processor_s()
    for _ in range(2):
        worker.encode_all("image")
    assert processor_s() > before
    worker.upload("image", [*contents, media.truncated_jpeg()], settings.data_dir)
    with pytest.raises(NotEncoded, match="1 image"):
        worker.encode_all("image")
    worker.close()
