"""A training's data is what the database holds, no more and no less."""

from pathlib import Path

import numpy as np

from app.training.cut import DataCut, read_cut
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder, states_of
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of, put_item

T0 = 1_700_000_000
MODALITIES = ("text", "image")


def cut_of(service: Service, scratch: Path, modalities: tuple[str, ...] = MODALITIES) -> DataCut:
    context = service.context
    scratch.mkdir(exist_ok=True)
    return read_cut(context.database, context.features, service.project, modalities=modalities, scratch=scratch)


def send(service: Service, *events: tuple[str, str, int]) -> None:
    raw = [{"user_id": user, "item_id": item, "timestamp": T0 + at} for user, item, at in events]
    assert service.client.post("/events", json=raw).json()["accepted"] == len(events)


def histories(cut: DataCut) -> list[list[str]]:
    interactions = cut.dataset.interactions
    return [[cut.items[row].item_id for row in interactions.of(user)] for user in range(len(interactions))]


def test_sequences_are_in_the_order_of_time_and_know_only_known_items(light: Service, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "gone"):
        put_item(light, name, name)
    light.run_jobs()
    send(light, ("u2", "c", 5), ("u1", "b", 9), ("u1", "a", 3), ("u1", "nobody", 4), ("u1", "gone", 1))
    send(light, ("u3", "nobody", 1), ("u1", "c", 3), ("u2", "a", 4), ("u2", "a", 8))
    light.client.delete("/items/gone")
    other = client_of(light, "other")
    other.put("/items/a", json={"title": "x"})
    other.post("/events", json=[{"user_id": "u1", "item_id": "a", "timestamp": T0}])
    cut = cut_of(light, tmp_path / "cut")
    assert [item.item_id for item in cut.items] == ["a", "b", "c"]
    # Equal times ("a" and "c" at 3): the one that was stored first comes first. u3 knows no item of ours.
    assert histories(cut) == [["a", "c", "b"], ["a", "c", "a"]]
    times = cut.dataset.interactions.times
    assert times is not None
    assert (times - T0).tolist() == [3, 3, 9, 4, 5, 8]
    assert {name: cut.summary[name] for name in ("items", "users", "events")} == {"items": 3, "users": 2, "events": 6}
    assert cut.summary["until"].startswith("2023-11-14T22:13:29")


def test_states_are_those_that_the_encoders_made(light: Service, fakes: dict[str, FakeEncoder], tmp_path: Path) -> None:
    for number in range(5):
        put_item(light, f"i{number}", f"title {number % 3}")
        if number % 2:
            answer = light.client.post(f"/items/i{number}/media/image", content=media.png(number))
            assert answer.status_code == 202
    put_item(light, "bare", "")
    light.run_jobs()
    put_item(light, "not yet encoded", "x")
    cut = cut_of(light, tmp_path / "cut")
    text, image = cut.dataset.features
    assert (text.modality, image.modality) == MODALITIES
    rows = {item.item_id: row for row, item in enumerate(cut.items)}
    for number in range(5):
        states = text.states[text.row_of_item[rows[f"i{number}"]]]
        np.testing.assert_array_equal(states, states_of(f"title {number % 3}", fakes["text"].fingerprint))
        assert (image.row_of_item[rows[f"i{number}"]] >= 0) == bool(number % 2)
    assert text.row_of_item[rows["bare"]] == text.row_of_item[rows["not yet encoded"]] == -1
    assert isinstance(text.states, np.memmap)
    assert cut.encoders == {name: fakes[name].fingerprint for name in MODALITIES}
    assert cut.summary["media"] == {"text": 5, "image": 2}


def test_the_modalities_come_in_the_order_asked_for_and_empty_ones_are_left_out(light: Service, tmp_path: Path) -> None:
    put_item(light, "a", "x")
    light.run_jobs()
    for order in (("image", "text"), ("text", "image", "smell")):
        cut = cut_of(light, tmp_path / "-".join(order), order)
        assert [table.modality for table in cut.dataset.features] == ["text"]


def test_an_empty_project(light: Service, tmp_path: Path) -> None:
    cut = cut_of(light, tmp_path / "cut")
    assert (cut.summary["items"], cut.summary["users"], cut.summary["until"]) == (0, 0, None)
    assert len(cut.dataset.interactions) == 0
