"""Users that are worked out together come out as they would alone, and nobody waits for company."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from app.recommendations import micro_batching
from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.memory import RememberedPast
from app.recommendations.micro_batching import LONGEST, MAX_TOGETHER, MicroBatcher, candidates_wanted
from app.recommendations.options import RankingOptions
from app.recommendations.search.refining import inner_products
from app.recommendations.shortlist import scores_of
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.stores.sequence_state import SequenceEvent, SequenceState

ITEMS, WIDTH = 60, 4


@dataclass
class Version:
    """Stands for a served version, and for its index: users are sums, and batches are noted."""

    vectors: ItemVectors
    has_index: bool = True
    max_length: int = 10
    batches: list[int] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    before: Any = lambda: None
    waits: bool = False

    @property
    def index(self) -> Any:
        return self if self.has_index else None

    def encode_users(self, sequences: list[np.ndarray]) -> np.ndarray:
        self.batches.append(len(sequences))
        self.threads.add(threading.get_ident())
        self.before()
        return np.stack([sequence.sum(axis=0) for sequence in sequences])

    def search(self, users: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = inner_products(self.vectors.values[None], users[:, None])
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(scores, rows, 1)
        short = k - rows.shape[1]
        padding = ((0, 0), (0, max(short, 0)))
        return np.pad(rows, padding, constant_values=-1), np.pad(found, padding, constant_values=-np.inf)


@pytest.fixture
def version() -> Version:
    vectors = ItemVectors(width=WIDTH, modalities=())
    write(vectors, np.random.default_rng(0).standard_normal((ITEMS, WIDTH)).astype(np.float32))
    version = Version(vectors)
    vectors.searched_by = version
    return version


def write(vectors: ItemVectors, values: np.ndarray) -> None:
    rows = {f"i{row}": row for row in range(len(values))}
    vectors.apply([VectorUpdate(name, values[row], None) for name, row in rows.items()], rows)


def past(row: int = 0) -> RememberedPast:
    """Of the item in this row and the next one."""
    return RememberedPast(SequenceState.of(SequenceEvent(n, f"i{n}", n, "view") for n in (row, row + 1)))


def catalogue() -> Catalogue:
    items = Catalogue()
    items.apply(ItemUpdate(row, f"i{row}") for row in range(ITEMS))
    return items


ALL = catalogue()


async def prepare(together: MicroBatcher, version: Version, one: RememberedPast, count: int = 8) -> None:
    await together.prepare(version, ALL, one, count)  # type: ignore[arg-type]


async def test_all_of_one_turn_go_together(version: Version) -> None:
    together, pasts = MicroBatcher(), [past(row) for row in range(MAX_TOGETHER + 3)]
    await asyncio.gather(*[prepare(together, version, one) for one in pasts])
    assert version.batches == [MAX_TOGETHER, 3]
    assert version.threads == {threading.get_ident()}
    for row, one in enumerate(pasts):
        sequence = np.array([row, row + 1])
        user = one.user(version.vectors, sequence)
        assert user is not None
        assert user.tolist() == version.vectors.values[sequence].sum(axis=0).tolist()
        shortlist = one.shortlist(version.vectors, user)
        assert shortlist is not None
        everything = scores_of(version.vectors, np.arange(ITEMS), user)
        assert shortlist.rows.tolist() == np.argsort(-everything, kind="stable")[:8].tolist()
        assert shortlist.scores.tolist() == everything[shortlist.rows].tolist()


async def test_what_is_known_is_not_worked_out_again(version: Version) -> None:
    together, one = MicroBatcher(), past()
    await prepare(together, version, one)
    await prepare(together, version, one)
    assert version.batches == [1]
    await prepare(together, version, one, count=16)
    assert version.batches == [1, 1], "more candidates are wanted"
    await prepare(together, version, one, count=0)
    await prepare(together, version, one, count=1_000)
    await prepare(together, version, one, count=LONGEST)
    assert version.batches == [1, 1, 1], "there are no more items"
    write(version.vectors, np.ones((1, WIDTH), np.float32))
    await prepare(together, version, one)
    assert version.batches == [1, 1, 1, 1], "an item of the sequence has changed"
    await prepare(together, version, RememberedPast(SequenceState()))
    assert version.batches == [1, 1, 1, 1], "of nothing there is nothing to make"


async def test_without_an_index_only_the_user_is_made(version: Version) -> None:
    version.has_index = False
    one = past()
    await prepare(MicroBatcher(), version, one)
    user = one.user(version.vectors, np.array([0, 1]))
    assert user is not None
    assert one.shortlist(version.vectors, user) is None


@pytest.mark.parametrize(("inline_bytes", "waits"), [(0, False), (1 << 20, True)])
async def test_large_catalogues_and_indexes_that_wait_are_searched_in_a_thread(
    version: Version, inline_bytes: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes meanwhile is served together when the thread is free again, and the loop goes on."""
    monkeypatch.setattr(micro_batching, "INLINE_BYTES", inline_bytes)
    version.waits = waits
    is_free = threading.Event()
    version.before = lambda: is_free.wait(10)
    together = MicroBatcher()
    first = asyncio.create_task(prepare(together, version, past()))
    while not version.batches:
        await asyncio.sleep(0.001)
    others = [asyncio.create_task(prepare(together, version, past(row))) for row in range(1, 6)]
    await asyncio.sleep(0.01)
    assert not first.done()
    is_free.set()
    await asyncio.gather(first, *others)
    assert version.batches == [1, 5]
    assert threading.get_ident() not in version.threads


async def test_what_changes_meanwhile_is_not_kept(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_batching, "INLINE_BYTES", 0)
    version.before = lambda: write(version.vectors, np.ones((1, WIDTH), np.float32))
    one, other = past(), past(4)
    together = MicroBatcher()
    await asyncio.gather(prepare(together, version, one), prepare(together, version, other))
    assert one.user(version.vectors, np.array([0, 1])) is None, "made from what was there before"
    user = other.user(version.vectors, np.array([4, 5]))
    assert user is not None
    assert other.shortlist(version.vectors, user) is None


@pytest.mark.parametrize("inline_bytes", [0, 1 << 20])
async def test_trouble_leaves_each_to_be_worked_out_alone(
    version: Version, monkeypatch: pytest.MonkeyPatch, inline_bytes: int
) -> None:
    monkeypatch.setattr(micro_batching, "INLINE_BYTES", inline_bytes)

    def fail() -> None:
        raise ValueError("broken")

    version.before = fail
    together, pasts = MicroBatcher(), [past(row) for row in range(3)]
    await asyncio.gather(*[prepare(together, version, one) for one in pasts])
    assert [one.user(version.vectors, np.array([row, row + 1])) for row, one in enumerate(pasts)] == [None] * 3
    version.before = lambda: None
    await prepare(together, version, pasts[0])
    assert pasts[0].user(version.vectors, np.array([0, 1])) is not None


async def test_what_a_replaced_index_finds_is_not_kept(version: Version) -> None:
    """Nobody tells it of changes any more."""
    one = past()
    version.vectors.searched_by = object()
    await prepare(MicroBatcher(), version, one)
    user = one.user(version.vectors, np.array([0, 1]))
    assert user is not None
    assert one.shortlist(version.vectors, user) is None


def test_how_many_candidates_are_wanted() -> None:
    def wanted(seen: int, **options: Any) -> int:
        events = SequenceState.of(SequenceEvent(n, f"i{n}", n, "view") for n in range(seen))
        return candidates_wanted(RankingOptions(**options), RememberedPast(events))

    assert wanted(0) == 32
    assert wanted(50) == 64
    assert wanted(50, limit=15) == 128, "65 of which 50 may have been seen"
    assert wanted(5_000) == LONGEST
    assert wanted(3, freshness_weight=1.0) == wanted(3, filter="a = 1") == wanted(3, include=("a",)) == 0
