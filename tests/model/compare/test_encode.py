from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.compare import encoding
from model.compare.encode import encode_catalogue
from model.compare.states import ArrayCache
from model.data.dataset import TrainingDataError, interactions_of
from model.data.saved import load_dataset
from model.encoders.base import load_encoder
from model.encoders.decode import DecodeLimits, decode
from model.encoders.spec import EncoderSpec
from tests.fixtures.media import noise, png
from tests.fixtures.tiny_models import tiny_specs

HISTORIES = [[0, 1, 2, 3], [3, 2, 4], [4]]
DECODE = {
    "processes": 1,
    "timeout_s": 30.0,
    "memory_bytes": 2 << 30,
    "max_pixels": 1_000_000,
    "max_seconds": 60.0,
}


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[EncoderSpec]:
    return tiny_specs(tmp_path_factory.mktemp("encoders"))[:2]


@pytest.fixture
def order(tmp_path: Path, specs: Sequence[EncoderSpec]) -> dict[str, Any]:
    """Five items: 0 and 3 have the same picture, 1 has none, the picture of 2 is damaged, that of 4 is missing."""
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "b.png").write_bytes(noise())
    pictures = ["a.png", None, "b.png", "a.png", "absent.png"]
    events = interactions_of(
        HISTORIES, [[10 * user + place for place in range(4)][: len(one)] for user, one in enumerate(HISTORIES)]
    )
    np.savez(tmp_path / "events.npz", offsets=events.offsets, items=events.items, times=events.times)
    items = [{"id": f"item-{row}", "media": {"text": {"text": f"story {row}"}}} for row in range(len(pictures))]
    for item, name in zip(items, pictures, strict=True):
        if name:
            item["media"] |= {"image": {"file": str(tmp_path / name)}}
    return {
        "items": items,
        "events": str(tmp_path / "events.npz"),
        "encoders": [spec.to_dict() for spec in specs],
        "subsets": [["text"], ["text", "image"]],
        "keeps_media": True,
        "cache": str(tmp_path / "cache"),
        "datasets": str(tmp_path / "datasets"),
        "device": "cpu",
        "threads": 1,
        "decode": DECODE,
    }


def test_states_are_what_the_encoder_gives(order: dict[str, Any], specs: Sequence[EncoderSpec], tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    found = encode_catalogue(order, told.append)
    assert (found["items"], found["users"], found["events"], found["left_out"]) == (5, 3, 8, 0)
    assert found["media"] == {"text": 5, "image": 2}
    assert found["failures"] == {"text": 0, "image": 2}
    assert len(found["failed"]) == 2
    assert {progress["modality"] for progress in told} == {"text", "image"}
    dataset = load_dataset(Path(found["dataset"]))
    image = dataset.features[1]
    np.testing.assert_array_equal(image.row_of_item, [0, -1, -1, 1, -1])
    sample = decode(specs[1], png(1), DecodeLimits())
    expected = load_encoder(specs[1]).encode([sample])[0]
    np.testing.assert_allclose(image.states[0], expected, atol=2e-3)
    np.testing.assert_array_equal(image.states[0], image.states[1])
    assert list(dataset.media[0].samples) == [f"story {row}" for row in range(5)]
    np.testing.assert_array_equal(dataset.media[1].samples[1], sample)
    np.testing.assert_array_equal(dataset.interactions.items, np.concatenate(HISTORIES))
    assert dataset.interactions.times is not None
    assert dataset.interactions.times[:4].tolist() == [0, 1, 2, 3]


def test_nothing_is_encoded_twice(order: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    order["items"] = [item for item in order["items"] if "b.png" not in str(item)]
    events = interactions_of([[0, 1], [2, 3]], [[1, 2], [3, 4]])
    np.savez(order["events"], offsets=events.offsets, items=events.items, times=events.times)
    first = encode_catalogue({**order, "keeps_media": False}, lambda progress: None)

    def refuse(*arguments: object) -> None:
        raise AssertionError("an encoder is loaded")

    monkeypatch.setattr(encoding, "load_encoder", refuse)
    again = encode_catalogue({**order, "keeps_media": False}, lambda progress: None)
    assert again == first
    assert load_dataset(Path(first["dataset"])).media == []
    # Decoded media alone need no encoder; the same dataset then has them.
    with_media = encode_catalogue(order, lambda progress: None)
    assert with_media["fingerprint"] == first["fingerprint"]
    assert len(load_dataset(Path(first["dataset"])).media) == 2


def test_items_that_a_subset_cannot_describe_are_left_out_for_all(order: dict[str, Any]) -> None:
    found = encode_catalogue({**order, "subsets": [["text"], ["image"]]}, lambda progress: None)
    assert (found["items"], found["left_out"]) == (2, 3)
    dataset = load_dataset(Path(found["dataset"]))
    # Items 0 and 3 stay, as 0 and 1: the first user has both, the second item 3 alone, the third nothing.
    assert [dataset.interactions.of(user).tolist() for user in range(2)] == [[0, 1], [1]]
    assert len(dataset.interactions) == found["users"] == 2
    assert dataset.present.all()


def test_another_text_is_another_dataset(order: dict[str, Any]) -> None:
    first = encode_catalogue(order, lambda progress: None)
    order["items"][0]["media"]["text"]["text"] = "another story"
    assert encode_catalogue(order, lambda progress: None)["fingerprint"] != first["fingerprint"]


def test_a_modality_that_nothing_has_is_an_error(order: dict[str, Any]) -> None:
    for item in order["items"]:
        item["media"].pop("image", None)
    with pytest.raises(TrainingDataError, match="no item has image"):
        encode_catalogue(order, lambda progress: None)


def test_the_cache_keeps_arrays_by_content(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    cache.put("abc", np.arange(3, dtype=np.float16))
    cache.put("abd", np.arange(3, 6, dtype=np.float16))
    assert cache.missing(["abc", "xyz"]) == {"xyz"}
    np.testing.assert_array_equal(cache.stack(["abd", "abc"]), [[3, 4, 5], [0, 1, 2]])
    assert len(list((tmp_path / "ab").iterdir())) == 2
