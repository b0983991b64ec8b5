"""The index of a version: built beside everything else, told of what changed meanwhile, and shown."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.recommendations import directory as directory_module
from app.recommendations.directory import StateDirectory
from app.recommendations.search.exact import ExactIndex
from app.recommendations.state import ProjectState
from app.recommendations.vectors import ItemVectors
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS, put_item

LIST = "/recommend/u0?limit=1000&exclude_seen=false"


@dataclass
class RecordingIndex(ExactIndex):
    """The exact one, which remembers what it was told."""

    vectors: ItemVectors
    is_old: bool = False
    told: list[int] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.vectors)

    @property
    def is_worn(self) -> bool:
        return self.is_old

    def changed(self, rows: np.ndarray) -> None:
        self.told += rows.tolist()
        self.revisions.append(self.vectors.revision)
        super().changed(rows)


class Builder:
    """Stands for `build_index`: it waits for a permission each time, and fails when it is told to."""

    def __init__(self) -> None:
        self.built: list[RecordingIndex] = []
        self.begun = 0
        self.permits = threading.Semaphore(0)
        self.fails = False

    def __call__(self, vectors: ItemVectors, policy: object, kept: object) -> RecordingIndex:
        self.begun += 1
        assert self.permits.acquire(timeout=60)
        if self.fails:
            raise ValueError("no index today")
        self.built.append(RecordingIndex(vectors))
        return self.built[-1]


@pytest.fixture
def builder(trained: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Builder]:
    made = Builder()
    monkeypatch.setattr(directory_module, "build_index", made)
    yield made
    made.permits.release(100)


def directory_of(service: Service) -> StateDirectory:
    found: StateDirectory = service.client.app.state.edge.directory  # type: ignore[attr-defined]
    return found


def state_of(service: Service) -> ProjectState:
    found = directory_of(service).loaded(service.project)
    assert found is not None
    return found


def eventually(found: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + 30.0
    while (last := found()) != wanted:
        assert time.monotonic() < deadline, f"{last!r} is not {wanted!r}"
        time.sleep(0.01)


def live_index(service: Service) -> Any:
    live = state_of(service).live
    return live and live.index


def shown(service: Service) -> set[str]:
    return {item["item_id"] for item in service.client.get(LIST).json()["items"]}


def test_models_and_metrics_show_the_index(trained: Service) -> None:
    assert [model["index"] for model in trained.client.get("/admin/models").json()["models"]] == [None]
    trained.train(promote="never")
    assert len(shown(trained)) == ITEMS
    eventually(lambda: live_index(trained) is not None, True)
    second, first = trained.client.get("/admin/models").json()["models"]
    assert second["index"] is None
    index = first["index"]
    assert (index["kind"], index["recall"], index["items"]) == ("exact", None, ITEMS)
    assert index["built_at"] > first["created_at"]
    assert trained.client.get("/admin/models/v1").json()["index"] == index
    assert trained.client.get("/admin/models/v2").json()["index"] is None
    samples = {
        sample.name: (sample.labels, sample.value)
        for family in text_string_to_metric_families(trained.client.get("/metrics").text)
        for sample in family.samples
    }
    labels = {"project": "default", "version": "v1"}
    assert samples["crossan_index_recall"] == (labels, 1.0)
    assert samples["crossan_index_build_seconds"][0] == labels
    assert samples["crossan_index_bytes"] == ({**labels, "kind": "exact"}, index["size_bytes"])


def test_nobody_waits_for_an_index_and_it_learns_what_changed_meanwhile(trained: Service, builder: Builder) -> None:
    assert len(shown(trained)) == ITEMS
    eventually(lambda: builder.begun, 1)
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    eventually(lambda: "new" in shown(trained), True)
    assert live_index(trained) is None
    builder.permits.release()
    eventually(lambda: live_index(trained) is not None, True)
    index, rows = live_index(trained), state_of(trained).catalogue.row_of
    assert index.told == [rows["new"]]
    put_item(trained, "i3", "something else")
    trained.run_jobs()
    eventually(lambda: rows["i3"] in index.told, True)
    assert live_index(trained) is index
    assert builder.begun == 1


def test_a_worn_index_serves_until_the_next_one_is_built(trained: Service, builder: Builder) -> None:
    shown(trained)
    builder.permits.release()
    eventually(lambda: live_index(trained) is not None, True)
    first = live_index(trained)
    first.is_old = True
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    eventually(lambda: builder.begun, 2)
    assert live_index(trained) is first
    builder.permits.release()
    eventually(lambda: live_index(trained) is builder.built[-1], True)


def test_without_an_index_answers_go_on(trained: Service, builder: Builder) -> None:
    builder.fails = True
    builder.permits.release(100)
    assert len(shown(trained)) == ITEMS
    eventually(lambda: builder.begun, 1)
    builder.fails = False
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    eventually(lambda: "new" in shown(trained), True)
    eventually(lambda: live_index(trained) is not None, True)


def test_a_promoted_version_gets_an_index_of_its_own(trained: Service, builder: Builder) -> None:
    shown(trained)
    builder.permits.release(100)
    eventually(lambda: live_index(trained) is not None, True)
    trained.train(promote="always")
    eventually(lambda: trained.client.get(LIST).json()["model_version"], "v2")
    eventually(lambda: live_index(trained) is builder.built[-1] and len(builder.built), 2)
    live = state_of(trained).live
    assert live is not None
    assert live.index is not None
    assert live.index.vectors is live.vectors  # type: ignore[attr-defined]


def test_an_index_of_vectors_that_have_gone_is_thrown_away(trained: Service) -> None:
    shown(trained)
    state = state_of(trained)
    eventually(lambda: live_index(trained) is not None, True)
    live = state.live
    assert live is not None
    other = RecordingIndex(ItemVectors(width=live.width, modalities=live.modalities))
    state.accept_index(live, other, revision=0)
    assert live_index(trained) is other
    gone = live.__class__(**{**vars(live), "vectors": other.vectors})
    state.accept_index(gone, RecordingIndex(other.vectors), revision=0)
    assert live_index(trained) is other


def test_what_was_searched_before_the_index_knew_of_a_change_is_of_an_older_revision(
    trained: Service, builder: Builder
) -> None:
    shown(trained)
    builder.permits.release()
    eventually(lambda: live_index(trained) is not None, True)
    index = live_index(trained)
    put_item(trained, "i3", "something else")
    trained.run_jobs()
    eventually(lambda: bool(index.revisions), True)
    eventually(lambda: index.vectors.revision > index.revisions[-1], True)
