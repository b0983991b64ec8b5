"""Several versions in one process: each as good as if it were alone, and none at the cost of another."""

import shutil

import numpy as np
import pytest

from app.recommendations import catalogue
from app.recommendations import state as state_module
from app.recommendations.as_of import catalogue_as_of
from app.recommendations.filters import parse
from app.recommendations.state import ProjectState, TrendingPolicy
from tests.fixtures.experiments import end_experiment, run_experiment
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS, put_item


def new_state(service: Service) -> ProjectState:
    context = service.context
    policy = TrendingPolicy(half_life_s=1.0, window_events=10, refresh_s=0.0)
    return ProjectState(service.project, database=context.database, artifacts=context.artifacts, trending=policy)


def look(state: ProjectState) -> None:
    state.accept(state.look())


@pytest.fixture
def state(trained: Service) -> ProjectState:
    """With v1 live and v2 ready beside it."""
    trained.train(promote="never")
    made = new_state(trained)
    look(made)
    return made


def with_vectors(state: ProjectState, name: str) -> set[str]:
    vectors = state.versions[name].vectors
    assert len(vectors) == len(state.catalogue)
    return {state.catalogue.ids[row] for row in np.flatnonzero(vectors.present)}


EVERY = {f"i{number}" for number in range(ITEMS)}


def test_versions_come_and_go_with_experiments(trained: Service, state: ProjectState) -> None:
    assert set(state.versions) == {"v1"}
    first = state.live
    experiment = run_experiment(trained, "v1", "v2", "v9")
    look(state)
    assert set(state.versions) == {"v1", "v2"}
    assert state.live is first is state.versions["v1"]
    assert [one.id for one in state.experiments] == [experiment]
    assert with_vectors(state, "v1") == with_vectors(state, "v2") == EVERY
    end_experiment(trained, experiment)
    look(state)
    assert (set(state.versions), state.live) == ({"v1"}, first)


def test_new_and_changed_items_have_vectors_under_every_version(trained: Service, state: ProjectState) -> None:
    run_experiment(trained, "v2")
    look(state)
    before = {name: version.vectors.values.copy() for name, version in state.versions.items()}
    put_item(trained, "new", "harbour")
    put_item(trained, "i3", "something else")
    trained.client.delete("/items/i5")
    trained.run_jobs()
    look(state)
    for name in ("v1", "v2"):
        assert with_vectors(state, name) == EVERY - {"i5"} | {"new"}
        now = state.versions[name].vectors.values[:ITEMS]
        changed = {state.catalogue.ids[row] for row in np.flatnonzero((now != before[name]).any(axis=1))}
        assert changed == {"i3", "i5"}
    # Both versions are the same artifact here.
    np.testing.assert_allclose(state.versions["v1"].vectors.values, state.versions["v2"].vectors.values, atol=1e-5)


def test_a_new_process_has_the_same_versions(trained: Service, state: ProjectState) -> None:
    run_experiment(trained, "v2")
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    look(state)
    fresh = new_state(trained)
    look(fresh)
    rows = fresh.catalogue.rows(state.catalogue.ids)
    for name in ("v1", "v2"):
        np.testing.assert_array_equal(fresh.versions[name].vectors.values[rows], state.versions[name].vectors.values)


def test_a_promoted_version_is_the_one_that_was_beside(trained: Service, state: ProjectState) -> None:
    run_experiment(trained, "v1", "v2")
    look(state)
    first, second = state.versions["v1"], state.versions["v2"]
    trained.client.post("/admin/models/v2/promote")
    look(state)
    assert state.live is second
    assert state.versions == {"v1": first, "v2": second}


@pytest.mark.parametrize("is_live_damaged", [False, True])
def test_a_damaged_version_harms_no_other(trained: Service, state: ProjectState, is_live_damaged: bool) -> None:
    second = trained.client.get("/admin/trainings").json()["trainings"][0]
    shutil.rmtree(trained.parts.artifacts.path(f"{trained.project}/{second['id']}"))
    run_experiment(trained, "v1", "v2")
    if is_live_damaged:
        trained.client.post("/admin/models/v2/promote")
    look(state)
    assert state.live is not None
    assert (state.live.name, set(state.versions)) == ("v1", {"v1"})
    fresh = new_state(trained)
    look(fresh)
    assert set(fresh.versions) == {"v1"}
    assert (fresh.live is None) == is_live_damaged


def test_an_archived_version_is_not_served(trained: Service, state: ProjectState) -> None:
    run_experiment(trained, "v2")
    with trained.context.database.transaction() as transaction:
        transaction.session.connection().exec_driver_sql(
            "UPDATE model_versions SET archived_at = now() WHERE number = 2"
        )
    look(state)
    assert set(state.versions) == {"v1"}


def test_a_worn_catalogue_is_read_anew_and_keeps_its_versions(
    trained: Service, state: ProjectState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "MIN_ROWS", 4)
    run_experiment(trained, "v2")
    for number in range(ITEMS // 2 + 1):
        trained.client.delete(f"/items/i{number}")
    look(state)
    assert state.catalogue.is_worn
    worn, encoders = state.catalogue, {name: one.user_encoder for name, one in state.versions.items()}
    left = {f"i{number}" for number in range(ITEMS // 2 + 1, ITEMS)}
    put_item(trained, "new", "x")
    look(state)
    assert state.catalogue is not worn
    assert set(state.catalogue.ids) == left | {"new"}
    assert with_vectors(state, "v1") == with_vectors(state, "v2") == left
    assert {name: one.user_encoder for name, one in state.versions.items()} == encoders
    assert {state.catalogue.ids[row] for row in state.latest} == left | {"new"}


def test_a_large_change_is_read_into_a_new_catalogue_and_a_small_one_into_the_present(
    trained: Service, state: ProjectState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "LARGE_CHANGE", 3)
    present = state.catalogue
    for number in range(3):
        put_item(trained, f"i{number}", "changed")
    look(state)
    assert state.catalogue is present
    put_item(trained, "new", "x")
    trained.client.delete("/items/i9")
    for number in range(3, 6):
        put_item(trained, f"i{number}", "changed")
    look(state)
    assert state.catalogue is not present
    everything = {f"i{number}" for number in range(ITEMS)} - {"i9"}
    assert set(state.catalogue.ids) == everything | {"new"}
    assert {state.catalogue.titles[state.catalogue.row_of[f"i{number}"]] for number in range(6)} == {"changed"}
    assert with_vectors(state, "v1") <= everything
    assert len(state.live.vectors) == len(state.catalogue) if state.live else False


def test_a_change_of_many_comes_in_steps_and_no_snapshot_has_seen_a_part_of_it(
    trained: Service, state: ProjectState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "AT_ONCE", 4)
    before = state.snapshot
    for number in range(6):
        put_item(trained, f"i{number}", f"changed {number}")
    put_item(trained, "new", "harbour")
    trained.run_jobs()
    found = state.look()
    steps = 0
    for _ in state.accepting(found):
        steps += 1
        assert state.snapshot == ""
        assert state.live is not None
        assert len(state.live.vectors) == len(state.catalogue)
    # Seven items and seven vectors, four at once.
    assert steps == 3
    assert state.snapshot not in ("", before)
    assert with_vectors(state, "v1") == EVERY | {"new"}
    fresh = new_state(trained)
    look(fresh)
    assert {state.catalogue.titles[state.catalogue.row_of[name]] for name in EVERY} == {
        fresh.catalogue.titles[fresh.catalogue.row_of[name]] for name in EVERY
    }
    put_item(trained, "i3", "once more")
    assert not list(state.accepting(state.look()))


def test_a_change_that_was_written_in_part_is_found_again(
    trained: Service, state: ProjectState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "AT_ONCE", 2)
    for number in range(6):
        put_item(trained, f"i{number}", "changed")
    next(state.accepting(state.look()))
    look(state)
    assert {state.catalogue.titles[state.catalogue.row_of[f"i{number}"]] for number in range(6)} == {"changed"}
    assert state.snapshot


def test_a_new_catalogue_has_the_columns_that_filters_need(
    trained: Service, state: ProjectState, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained.client.put("/admin/scenarios/rail", json={"options": {"filter": "price < 30 and brand = 'acme'"}})
    state.catalogue.matches(parse("year > 2000"))
    monkeypatch.setattr(state_module, "LARGE_CHANGE", 1)
    for number in range(8):
        put_item(trained, f"i{number}", "changed")
    present = state.catalogue
    look(state)
    assert state.catalogue is not present
    needed = {str(path) for path in state.catalogue._filters.paths}
    assert needed == {"categories", "attributes.price", "attributes.brand", "attributes.year"}


def test_the_last_item_leaves_an_empty_catalogue(trained: Service, state: ProjectState) -> None:
    with trained.context.database.transaction() as transaction:
        transaction.session.connection().exec_driver_sql("UPDATE items SET deleted_at = now()")
    fresh = new_state(trained)
    look(fresh)
    assert len(fresh.catalogue) == 0
    state.catalogue.deleted = 10_000
    look(state)
    assert len(state.catalogue) == 0


def test_the_snapshot_gives_the_state_back(trained: Service, state: ProjectState) -> None:
    snapshot, values = state.snapshot, state.versions["v1"].vectors.values.copy()
    put_item(trained, "i3", "something else")
    put_item(trained, "new", "harbour", available=False)
    trained.run_jobs()
    assert state.live is not None
    with trained.context.database.transaction() as transaction:
        then, vectors = catalogue_as_of(transaction, trained.project, snapshot=snapshot, version=state.live.id)
    assert then.ids == state.catalogue.ids
    assert then.titles == state.catalogue.titles
    np.testing.assert_array_equal(vectors.values, values)
    look(state)
    assert state.snapshot != snapshot
    assert "new" in state.catalogue.row_of
