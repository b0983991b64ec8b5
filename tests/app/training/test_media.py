"""The media of a training: decoded before it begins, one file each."""

from pathlib import Path

import numpy as np
import pytest

from app.jobs.run import JobStopped
from app.stores.blobs import FsspecBlobStore
from app.training import media as training_media
from app.training.cut import DataCut, read_cut
from app.training.media import MediaSource
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, decode_here
from tests.fixtures.trained import put_item


def cut_of(service: Service, scratch: Path, source: MediaSource) -> DataCut:
    context = service.context
    return read_cut(
        context.database,
        context.features,
        service.project,
        modalities=("text", "image"),
        scratch=scratch,
        media=source,
    )


def fill(service: Service) -> None:
    for number in range(5):
        put_item(service, f"i{number}", f"title {number % 3}")
        if number % 2:
            assert service.client.post(f"/items/i{number}/media/image", content=media.png(number)).status_code == 202
    put_item(service, "bare", "")
    service.run_jobs()


def test_samples_are_those_that_the_encoders_were_given(
    light: Service, fakes: dict[str, FakeEncoder], tmp_path: Path
) -> None:
    fill(light)
    cut = cut_of(light, tmp_path, MediaSource(light.context.blobs, decode_here))
    rows = {item.item_id: row for row, item in enumerate(cut.items)}
    text, image = cut.dataset.media
    assert (text.spec, image.spec) == (fakes["text"].spec, fakes["image"].spec)
    assert len(text.samples) == 3, "the same bytes are decoded once"
    for number in range(5):
        assert text.samples[text.row_of_item[rows[f"i{number}"]]] == f"title {number % 3}"
    pictures = {image.samples[image.row_of_item[rows[f"i{number}"]]].tobytes() for number in (1, 3)}
    assert pictures == set(fakes["image"].encoded)
    assert text.row_of_item[rows["bare"]] == image.row_of_item[rows["i0"]] == -1
    for table, features in zip(cut.dataset.media, cut.dataset.features, strict=True):
        np.testing.assert_array_equal(table.row_of_item >= 0, features.row_of_item >= 0)


def test_what_cannot_be_decoded_any_more_is_left_out_with_its_states(light: Service, tmp_path: Path) -> None:
    fill(light)
    blobs = light.context.blobs
    assert isinstance(blobs, FsspecBlobStore)
    picture = light.client.get("/items/i1").json()["media"]["image"]["sha256"]
    blobs._fs.rm(blobs._path(light.project, picture))
    words = light.client.get("/items/i4").json()["media"]["text"]["sha256"]
    Path(blobs._path(light.project, words)).write_bytes(b"\xff\xfe")
    cut = cut_of(light, tmp_path, MediaSource(blobs, decode_here))
    rows = {item.item_id: row for row, item in enumerate(cut.items)}
    text, image = cut.dataset.media
    # i1 and i4 have the same title.
    assert [text.row_of_item[rows[name]] >= 0 for name in ("i0", "i1", "i2", "i3", "i4")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert [image.row_of_item[rows[name]] >= 0 for name in ("i1", "i3")] == [False, True]
    for table, features in zip(cut.dataset.media, cut.dataset.features, strict=True):
        np.testing.assert_array_equal(table.row_of_item >= 0, features.row_of_item >= 0)


def test_only_wanted_modalities_are_decoded(light: Service, tmp_path: Path) -> None:
    fill(light)
    source = MediaSource(light.context.blobs, decode_here, modalities=frozenset({"text"}))
    cut = cut_of(light, tmp_path, source)
    assert [table.modality for table in cut.dataset.media] == ["text"]
    assert [table.modality for table in cut.dataset.features] == ["text", "image"]


def test_decoding_leaves_off_when_it_is_told_to(
    light: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_media, "CHUNK", 1)
    fill(light)
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise JobStopped

    with pytest.raises(JobStopped):
        cut_of(light, tmp_path, MediaSource(light.context.blobs, decode_here, check))
    assert len(list(tmp_path.glob("media-text/*"))) == 1
