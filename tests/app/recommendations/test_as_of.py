"""The catalogue of the past against what was read of it then."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text, update

from app.core.errors import CatalogueForgotten
from app.core.types import ProjectId, VersionId
from app.db.session import Database
from app.db.tables import (
    ItemHistoryRow,
    ItemRow,
    ItemVectorHistoryRow,
    ItemVectorRow,
    ModelVersionRow,
    ProjectRow,
)
from app.items.repository import ItemRepository
from app.models.repository import ModelRepository, NewVector
from app.recommendations.as_of import catalogue_as_of, forget_history
from app.recommendations.catalogue import Catalogue
from app.recommendations.repository import FROM_THE_START, CatalogueRepository
from app.recommendations.vectors import ItemVectors

WIDTH = 2
MODALITIES = ("text", "image")
MANIFEST = {"item_width": WIDTH, "modalities": [{"name": name} for name in MODALITIES]}
Picture = Mapping[str, tuple[Any, ...]]


def picture(catalogue: Catalogue, vectors: ItemVectors) -> Picture:
    """Everything of every item that is there."""
    assert len(vectors) == len(catalogue)
    return {
        item_id: (
            catalogue.pks[row],
            catalogue.titles[row],
            catalogue.showable(now=np.inf)[row],
            catalogue.published[row],
            catalogue.categories(row),
            dict(catalogue.attributes(row)),
            vectors.values[row].tolist() if vectors.present[row] else None,
            vectors.shares(row),
        )
        for item_id, row in catalogue.row_of.items()
        if not catalogue._is_deleted[row]
    }


@dataclass
class World:
    """A project with two versions, a copy of it that follows by looks, and what was seen in each of them."""

    database: Database
    project: ProjectId
    versions: Sequence[VersionId]
    catalogue: Catalogue = field(default_factory=Catalogue)
    start: int = FROM_THE_START
    seen: dict[str, list[Picture]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vectors = [ItemVectors(width=WIDTH, modalities=MODALITIES) for _ in self.versions]

    def look(self) -> str:
        """Read everything, and what has changed: both give the same picture."""
        with self.database.transaction() as transaction:
            repository = CatalogueRepository(transaction, self.project)
            mark = repository.mark()
            self.catalogue.apply(repository.changed_items(since=self.start))
            whole = Catalogue()
            whole.apply(repository.changed_items(since=FROM_THE_START))
            pictures = []
            for version, vectors in zip(self.versions, self.vectors, strict=True):
                vectors.apply(repository.changed_vectors(version, since=self.start), self.catalogue.row_of)
                vectors.extend(len(self.catalogue))
                whole_vectors = ItemVectors(width=WIDTH, modalities=MODALITIES)
                whole_vectors.apply(repository.changed_vectors(version, since=FROM_THE_START), whole.row_of)
                whole_vectors.extend(len(whole))
                pictures.append(picture(whole, whole_vectors))
                assert picture(self.catalogue, vectors) == pictures[-1]
        self.start = mark.start
        self.seen[mark.snapshot] = pictures
        return mark.snapshot

    def as_of(self, snapshot: str) -> list[Picture]:
        with self.database.transaction() as transaction:
            return [
                picture(*catalogue_as_of(transaction, self.project, snapshot=snapshot, version=version))
                for version in self.versions
            ]

    def count(self, table: type[ItemHistoryRow] | type[ItemVectorHistoryRow]) -> int:
        with self.database.transaction() as transaction:
            return transaction.session.scalars(select(func.count()).select_from(table)).one()

    def put(self, item_id: str, **fields: Any) -> None:
        with self.database.transaction() as transaction:
            ItemRepository(transaction, self.project).upsert(item_id, fields)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def world(database: Database) -> World:
    return new_world(database, "only")


def new_world(database: Database, name: str) -> World:
    with database.transaction() as transaction:
        project = ProjectRow(name=name)
        transaction.session.add(project)
        transaction.session.flush()
        models = ModelRepository(transaction, ProjectId(project.id))
        rows = [
            ModelVersionRow(project_id=project.id, number=n, method="x", artifact="", manifest=MANIFEST) for n in (1, 2)
        ]
        transaction.session.add_all(rows)
        transaction.session.flush()
        assert models.all()
        return World(database, ProjectId(project.id), [VersionId(row.id) for row in rows])


@dataclass(frozen=True)
class Step:
    """One write of one transaction."""

    kind: str
    item_id: str
    number: int

    def do(self, world: World, transaction: Any) -> None:
        items = ItemRepository(transaction, world.project)
        if self.kind == "put":
            items.upsert(self.item_id, self.fields())
            return
        row = items.lock(self.item_id)
        if row is not None:
            getattr(self, self.kind)(world, transaction, row)
        transaction.session.flush()

    def fields(self) -> dict[str, Any]:
        return {
            "title": f"t{self.number}",
            "available": self.number != 1,
            "published_at": datetime(2020, 1, 1 + self.number, tzinfo=UTC) if self.number else None,
            "categories": [f"c{self.number}"],
            "attributes": {"n": self.number, "deep": {"x": [self.number]}},
        }

    def patch(self, world: World, transaction: Any, row: ItemRow) -> None:
        row.attributes = {"n": self.number}

    def hide(self, world: World, transaction: Any, row: ItemRow) -> None:
        row.available = False

    def settle(self, world: World, transaction: Any, row: ItemRow) -> None:
        row.state, row.description = "encoded", str(self.number)

    def delete(self, world: World, transaction: Any, row: ItemRow) -> None:
        ItemRepository(transaction, world.project).delete(row)

    def vector(self, world: World, transaction: Any, row: ItemRow) -> None:
        vector = np.full(WIDTH, self.number, np.float32)
        new = NewVector.of(row.id, vector, vector / 4, str(self.number))
        ModelRepository(transaction, world.project).write_vectors(world.versions[self.number % 2], [new])

    def drop_vector(self, world: World, transaction: Any, row: ItemRow) -> None:
        ItemRepository(transaction, world.project).drop_vectors(row)


KINDS = ["put", "put", "patch", "hide", "settle", "delete", "vector", "vector", "drop_vector"]
STEPS = st.builds(Step, st.sampled_from(KINDS), st.sampled_from(["a", "b", "c"]), st.integers(0, 3))
SLOW_STEPS = st.builds(Step, st.sampled_from(KINDS), st.just("slow"), st.integers(0, 3))
ACTIONS = st.lists(
    st.one_of(
        st.just("look"),
        st.lists(STEPS, min_size=1, max_size=3),
        st.tuples(st.just("begin"), st.lists(SLOW_STEPS, min_size=1, max_size=2)),
        st.just("end"),
    ),
    min_size=3,
    max_size=25,
)


@given(ACTIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_look_can_be_given_back(database: Database, actions: list[Any]) -> None:
    """Transactions of several changes, some of them begun before others and ended after."""
    with database.transaction() as transaction:
        number = transaction.session.scalars(text("SELECT count(*) FROM projects")).one()
    world = new_world(database, f"p{number}")
    slow: ExitStack = ExitStack()
    is_open = False
    for action in actions:
        if action == "look":
            world.look()
        elif action == "end":
            slow.close()
            is_open = False
        elif isinstance(action, tuple) and not is_open:
            transaction = slow.enter_context(database.transaction())
            for step in action[1]:
                step.do(world, transaction)
            is_open = True
        elif isinstance(action, list):
            with database.transaction() as transaction:
                for step in action:
                    step.do(world, transaction)
    slow.close()
    world.look()
    for snapshot, pictures in world.seen.items():
        assert world.as_of(snapshot) == pictures


def test_what_no_ranking_sees_leaves_no_history(world: World) -> None:
    world.put("a", title="A", attributes={"n": 1})
    snapshot = world.look()
    with world.database.transaction() as transaction:
        transaction.session.execute(update(ItemRow).values(state="encoded", needs_vector=True, content_key="k"))
    world.put("a", title="A", attributes={"n": 1})
    assert world.count(ItemHistoryRow) == 0
    with world.database.transaction() as transaction:
        repository = CatalogueRepository(transaction, world.project)
        assert repository.changed_items(since=int(snapshot.partition(":")[0])) == []
    world.put("a", title="B", attributes={"n": 1})
    assert world.count(ItemHistoryRow) == 1


def test_one_transaction_leaves_one_row(world: World) -> None:
    with world.database.transaction() as transaction:
        for number in range(3):
            Step("put", "a", number).do(world, transaction)
            Step("vector", "a", 2 * number).do(world, transaction)
    assert (world.count(ItemHistoryRow), world.count(ItemVectorHistoryRow)) == (0, 0)
    with world.database.transaction() as transaction:
        for number in range(3):
            Step("put", "a", number).do(world, transaction)
            Step("vector", "a", 2 * number).do(world, transaction)
    assert (world.count(ItemHistoryRow), world.count(ItemVectorHistoryRow)) == (1, 1)


def test_the_same_vector_again_leaves_no_history(world: World) -> None:
    for kind in ("put", "vector", "vector"):
        with world.database.transaction() as transaction:
            Step(kind, "a", 2).do(world, transaction)
    assert world.count(ItemVectorHistoryRow) == 0


def filled(world: World) -> str:
    """An item that has changed, and the snapshot from before."""
    for kind, number in (("put", 1), ("vector", 2), ("vector", 1)):
        with world.database.transaction() as transaction:
            Step(kind, "a", number).do(world, transaction)
    snapshot = world.look()
    for kind, number in (("put", 2), ("vector", 0)):
        with world.database.transaction() as transaction:
            Step(kind, "a", number).do(world, transaction)
    return snapshot


def test_an_item_that_is_gone_for_good_was_there(world: World) -> None:
    snapshot = filled(world)
    with world.database.transaction() as transaction:
        transaction.session.execute(delete(ItemRow))
    assert world.as_of(snapshot) == world.seen[snapshot]
    assert set(world.seen[snapshot][0]) == {"a"}
    anew = World(world.database, world.project, world.versions)
    assert anew.as_of(anew.look()) == [{}, {}]


def test_a_version_takes_its_history_along(world: World) -> None:
    snapshot = filled(world)
    with world.database.transaction() as transaction:
        transaction.session.execute(delete(ModelVersionRow).where(ModelVersionRow.id == world.versions[0]))
    assert world.count(ItemVectorHistoryRow) == 0
    with world.database.transaction() as transaction:
        catalogue, vectors = catalogue_as_of(transaction, world.project, snapshot=snapshot, version=None)
        assert (catalogue.ids, catalogue.titles, vectors.present.tolist()) == (["a"], ["t1"], [False])
        with pytest.raises(CatalogueForgotten):
            catalogue_as_of(transaction, world.project, snapshot=snapshot, version=world.versions[0])


@pytest.mark.parametrize("has_vectors", [True, False])
def test_a_project_takes_its_history_along(world: World, has_vectors: bool) -> None:
    filled(world)
    assert world.count(ItemHistoryRow) == 1
    with world.database.transaction() as transaction:
        if not has_vectors:
            transaction.session.execute(delete(ItemVectorRow))
        transaction.session.execute(delete(ProjectRow))
    assert (world.count(ItemHistoryRow), world.count(ItemVectorHistoryRow)) == (0, 0)


def test_a_version_of_another_project_is_not_given(world: World) -> None:
    snapshot = filled(world)
    other = new_world(world.database, "other")
    with world.database.transaction() as transaction, pytest.raises(CatalogueForgotten):
        catalogue_as_of(transaction, other.project, snapshot=snapshot, version=world.versions[0])
    assert other.as_of(snapshot) == [{}, {}]


@pytest.mark.parametrize("snapshot", ["", "5", "a:b:", "5:6:;", f"{10**15}:{10**15}:"])
def test_what_is_no_snapshot_of_this_database(world: World, snapshot: str) -> None:
    with world.database.transaction() as transaction, pytest.raises(CatalogueForgotten):
        catalogue_as_of(transaction, world.project, snapshot=snapshot, version=None)


def forget(world: World, older_s: float) -> int:
    with world.database.transaction() as transaction:
        return forget_history(transaction, older_s=older_s)


def test_what_is_forgotten_is_refused_and_not_made_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = filled(world)
    after = world.look()
    assert forget(world, 3_600) == 0
    assert world.as_of(before) == world.seen[before]
    monkeypatch.setattr("app.recommendations.as_of.FORGET_AT_ONCE", 1)
    assert [forget(world, 0), forget(world, 0)] == [2, 0], "a row of each history"
    with pytest.raises(CatalogueForgotten):
        world.as_of(before)
    assert world.as_of(after) == world.seen[after]


def test_only_the_project_whose_history_went_is_affected(world: World) -> None:
    other = new_world(world.database, "other")
    snapshot = other.look()
    filled(world)
    assert forget(world, 0) == 2
    assert other.as_of(snapshot) == [{}, {}]
