import hashlib
from collections import Counter
from pathlib import Path

import pytest

from app.cli.importer.events import BATCH, PARTITIONS, partition_of
from app.cli.importer.report import ImportReport
from app.cli.importer.run import count_rows, import_folder
from crossan.client import ApiError, AsyncClient, RetryPolicy, Unreachable
from tests.app.cli.fake_service import KEY, URL, FakeService


async def no_pause(seconds: float) -> None:
    """Retries at once."""


class Importer:
    """Imports one folder into one fake service, again and again."""

    def __init__(self, tmp_path: Path) -> None:
        self.service = FakeService()
        self.folder = tmp_path / "folder"
        self.folder.mkdir()
        self.cache = tmp_path / "cache"
        self.advanced: Counter[str] = Counter()

    def items(self, *rows: str, header: str = "item_id,title,image") -> None:
        (self.folder / "items.csv").write_text("\n".join((header, *rows)) + "\n")

    def events(self, *rows: str) -> None:
        (self.folder / "events.csv").write_text("\n".join(("user_id,item_id,timestamp", *rows)) + "\n")

    def file(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def _advance(self, what: str, count: int) -> None:
        self.advanced[what] += count

    async def run(self, *, key: str = KEY, attempts: int = 1) -> ImportReport:
        client = AsyncClient(
            URL, key, retries=RetryPolicy(attempts=attempts), transport=self.service.transport(), sleep=no_pause
        )
        async with client:
            return await import_folder(client, self.folder, concurrency=4, advance=self._advance, cache=self.cache)


@pytest.fixture
def importer(tmp_path: Path) -> Importer:
    return Importer(tmp_path)


async def test_items_arrive_with_their_media(importer: Importer) -> None:
    importer.items("a,Apple,a.jpg", "b,Bread,", "c,,")
    importer.file("a.jpg", b"picture")
    report = await importer.run()
    assert (report.items_sent, report.items_unchanged, report.media_sent, report.failed) == (3, 0, 3, 0)
    media = importer.service.items["a"]["media"]
    assert media["image"]["sha256"] == hashlib.sha256(b"picture").hexdigest()
    assert media["text"]["sha256"] == hashlib.sha256(b"Apple.").hexdigest()
    assert set(importer.service.items["b"]["media"]) == {"text"}
    assert importer.service.items["c"]["media"] == {}
    assert importer.advanced == {"items": 3}


async def test_a_second_run_sends_nothing_and_a_third_only_what_changed(importer: Importer) -> None:
    importer.items("a,Apple,a.jpg", "b,Bread,", "c/d,Cheese,")
    importer.file("a.jpg", b"picture")
    await importer.run()
    again = await importer.run()
    assert (again.items_sent, again.items_unchanged, again.media_sent) == (0, 3, 0)
    importer.file("a.jpg", b"better picture")
    importer.items("a,Apple,a.jpg", "b,Brown bread,", "c/d,Cheese,")
    third = await importer.run()
    # a: a new picture; b: a new title and so a new text.
    assert (third.items_sent, third.items_unchanged, third.media_sent) == (2, 1, 2)


async def test_bad_files_are_listed_and_their_items_arrive_without_them(importer: Importer) -> None:
    importer.items("a,Apple,corrupt.jpg", "b,Bread,missing.jpg", "refuse-me,Cake,", "d,Date,")
    importer.file("corrupt.jpg", b"corrupt")
    report = await importer.run()
    assert set(importer.service.items) == {"a", "b", "d"}
    assert set(importer.service.items["a"]["media"]) == {"text"}
    wheres = sorted(failure.where.split("/")[-1] for failure in report.failures)
    assert wheres == ["corrupt.jpg", "missing.jpg", "refuse-me"]
    assert report.failed == 3
    assert any("not decodable" in failure.error for failure in report.failures)


async def test_a_wrong_key_ends_the_import(importer: Importer) -> None:
    importer.items("a,Apple,")
    with pytest.raises(ApiError, match="401"):
        await importer.run(key="crs_wrong")


async def test_outages_are_sat_out(importer: Importer) -> None:
    importer.items(*(f"i{n},Item {n}," for n in range(10)))
    importer.events("u,i0,1", "u,i1,2")
    importer.service.outages = [0, 503, 429, 500]
    report = await importer.run(attempts=8)
    assert (report.items_sent, report.events_accepted, report.failed) == (10, 2, 0)


async def test_a_service_that_stays_away_is_an_error_and_the_next_run_goes_on(importer: Importer) -> None:
    importer.items(*(f"i{n},Item {n}," for n in range(10)))
    importer.service.uploads_left = 5
    with pytest.raises(Unreachable):
        await importer.run()
    there = len(importer.service.items)
    assert 5 <= there < 10
    importer.service.uploads_left = -1
    importer.service.outages.clear()
    report = await importer.run()
    assert (report.items_sent, report.items_unchanged) == (10 - there, there)


def many_events(users: int, each: int) -> list[str]:
    """Interleaved in time: every user's events are spread over the whole file."""
    return [f"user-{user},item-{n},{n * users + user}" for n in range(each) for user in range(users)]


async def test_events_of_a_user_arrive_in_order(importer: Importer) -> None:
    importer.items("a,Apple,")
    importer.events(*many_events(40, 100))
    report = await importer.run()
    assert report.events_accepted == 4000
    assert importer.advanced["events"] == 4000 == count_rows(importer.folder / "events.csv")
    for user in range(40):
        times = [event["timestamp"] for event in importer.service.events if event["user_id"] == f"user-{user}"]
        assert times == sorted(times)
        assert len(times) == 100


async def test_a_finished_import_of_events_costs_one_batch_a_partition(importer: Importer) -> None:
    importer.items("a,Apple,")
    rows = many_events(64, 200)
    importer.events(*rows)
    batches = sum(-(-count // BATCH) for count in Counter(partition_of(row.split(",")[0]) for row in rows).values())
    first = await importer.run()
    assert importer.service.calls["POST /events"] == batches > PARTITIONS
    importer.service.calls.clear()
    second = await importer.run()
    assert importer.service.calls["POST /events"] == PARTITIONS
    assert second.events_accepted == 0
    assert second.events_duplicate + second.events_skipped == first.events_accepted == 64 * 200


async def test_a_journal_is_not_believed_when_the_service_has_lost_the_events(importer: Importer) -> None:
    importer.items("a,Apple,")
    importer.events(*many_events(64, 200))
    await importer.run()
    importer.service.seen.clear()
    report = await importer.run()
    assert report.events_accepted == 64 * 200
    assert report.events_skipped == 0


async def test_rejected_and_unreadable_events_are_listed(importer: Importer) -> None:
    importer.items("a,Apple,")
    importer.events("u,a,1", "nobody,a,2", ",a,3")
    report = await importer.run()
    assert report.events_accepted == 1
    assert {failure.where: failure.error for failure in report.failures} == {
        "events.csv line 3": "user_id: refused",
        "events.csv line 4": "user_id or item_id is empty",
    }


def test_the_list_of_failures_is_bounded() -> None:
    report = ImportReport()
    for number in range(150):
        report.fail(str(number), "why")
    assert report.document()["failed"] == 150
    assert len(report.document()["failures"]) == 100
