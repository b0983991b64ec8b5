import dataclasses
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.core.config import Settings
from app.core.jobs import JobKind
from app.items.intake import MediaIntake
from app.items.media_urls import UrlPolicy
from app.items.upkeep import ensure_upkeep
from app.jobs.run import JobRun
from app.transfers.download import Downloader, Timeouts
from app.transfers.fetching import MAX_ATTEMPTS, Fetcher, FetchPolicy, retry_after_s
from tests.app.transfers.test_download import Host, Names, answer, only_loopback
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import put_item


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    host.handler = answer(media.png(1))
    yield host
    host.listener.close()


@pytest.fixture
def fetching(light_settings: Settings, fakes: dict[str, FakeEncoder], host: Host) -> Iterator[Service]:
    """A service that fetches from the test's own host, at once and without pauses."""
    named = light_settings.model_copy(update={"media_fetch_hosts": (f"media.test:{host.port}",)})
    with running_service(named, fakes) as service:
        service.more_work[JobKind.FETCH] = fetcher_of(service).run
        yield service


def fetcher_of(service: Service, names: Names | None = None) -> Fetcher:
    context = service.context
    policy = UrlPolicy(context.settings.media_fetch_hosts)
    downloader = Downloader(policy, Timeouts(10.0, 5.0), lookup=names or Names(), allowed=only_loopback)
    return Fetcher(context.database, context.intake, context.queue, context.changes, downloader, FetchPolicy(3))


def media_of(service: Service, item_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/items/{item_id}").json()["media"]
    return found


def want(service: Service, item_id: str, url: str, modality: str = "image") -> Any:
    return service.client.post(f"/items/{item_id}/media/{modality}", json={"url": url})


def make_due(service: Service) -> None:
    """As if the pause were over."""
    with service.context.database.transaction() as transaction:
        transaction.session.execute(text("UPDATE media_fetches SET next_at = now() WHERE state = 'pending'"))
        ensure_upkeep(transaction, service.context.queue, pause_s=0.0)


def test_a_medium_by_url(fetching: Service, host: Host, fakes: dict[str, FakeEncoder]) -> None:
    put_item(fetching, "a", "x")
    ordered = want(fetching, "a", host.url())
    assert ordered.status_code == 202, ordered.text
    medium = ordered.json()["media"]["image"]
    assert (medium["state"], medium["sha256"], medium["source"]) == ("pending", None, "url")
    assert (medium["fetch"]["state"], medium["fetch"]["url"]) == ("pending", host.url())
    assert fetching.client.get("/items/a/media/image").status_code == 404
    fetching.run_jobs()
    medium = media_of(fetching, "a")["image"]
    assert (medium["state"], medium["width"], medium["error"]) == ("encoded", 48, None)
    assert medium["fetch"] | {"state": "fetched", "attempts": 1, "error": None, "next_at": None} == medium["fetch"]
    assert fetching.client.get("/items/a/media/image").content == media.png(1)
    assert len(fakes["image"].encoded) == 1


def test_media_by_url_in_a_batch(fetching: Service, host: Host) -> None:
    lines = [{"item_id": f"i{n}", "title": "x", "media": {"image": {"url": host.url(f"/{n}.png")}}} for n in range(7)]
    for _ in range(2):
        report = fetching.client.post("/items:batch", json=lines).json()
        assert report["summary"]["rejected"] == 0
        fetching.run_jobs()
    assert len(host.requests) == 7, "the same address again is not fetched again"
    assert {media_of(fetching, f"i{n}")["image"]["state"] for n in range(7)} == {"encoded"}
    want(fetching, "i0", host.url("/0.png"))
    fetching.run_jobs()
    assert len(host.requests) == 8, "one who asks for one medium means it"


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (answer(b"gone", "404 Not Found"), "answered 404"),
        (answer(b"<html>not a picture</html>", "200 OK", "Content-Type: image/png"), "image"),
        (answer(media.wav()), "image"),
        (answer(b""), "image"),
    ],
)
def test_what_cannot_be_had_says_why_and_holds_nothing_up(
    fetching: Service, host: Host, handler: Callable[..., None], reason: str
) -> None:
    host.handler = handler
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url("/b.png?token=secret"))
    fetching.run_jobs()
    item = fetching.client.get("/items/a").json()
    medium = item["media"]["image"]
    assert (medium["state"], medium["fetch"]["state"], medium["fetch"]["attempts"]) == ("failed", "failed", 1)
    assert reason in medium["error"]
    assert "secret" not in medium["error"]
    assert (item["state"], item["media"]["text"]["state"]) == ("encoded", "encoded")
    host.handler = answer(media.png(2))
    want(fetching, "a", host.url("/b.png?token=secret"))
    fetching.run_jobs()
    assert media_of(fetching, "a")["image"]["state"] == "encoded"


def test_what_may_go_well_later_is_tried_again_with_longer_pauses(fetching: Service, host: Host) -> None:
    host.handler = answer(b"", "503 Service Unavailable")
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())
    for attempt in range(1, MAX_ATTEMPTS + 1):
        fetching.run_jobs()
        fetch = media_of(fetching, "a")["image"]["fetch"]
        assert (fetch["attempts"], fetch["error"]) == (attempt, "the host answered 503")
        assert fetch["state"] == ("failed" if attempt == MAX_ATTEMPTS else "pending")
        assert fetching.run_jobs() == [], "not before the pause is over"
        make_due(fetching)
    assert len(host.requests) == MAX_ATTEMPTS
    assert [retry_after_s(attempts) for attempts in (1, 2, 3, 4)] == [30.0, 60.0, 120.0, 240.0]


def test_an_upload_takes_the_place_of_an_address(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())
    fetching.client.post("/items/a/media/image", content=media.png(9))
    fetching.run_jobs()
    assert host.requests == []
    assert media_of(fetching, "a")["image"]["fetch"] is None
    assert fetching.client.get("/items/a/media/image").content == media.png(9)


@pytest.mark.parametrize("change", ["upload", "other address", "delete"])
def test_what_changes_while_it_is_fetched_wins(fetching: Service, host: Host, change: str) -> None:
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url("/old.png"))

    def handler(connection: Any, request: bytes) -> None:
        if b"old" in request:
            if change == "upload":
                fetching.client.post("/items/a/media/image", content=media.png(9))
            elif change == "delete":
                fetching.client.delete("/items/a")
            else:
                want(fetching, "a", host.url("/new.png"))
        answer(media.png(1) if b"old" in request else media.png(9))(connection, request)

    host.handler = handler
    fetching.run_jobs()
    if change == "delete":
        assert fetching.client.put("/items/a", json={}).json()["media"] == {}
    else:
        assert fetching.client.get("/items/a/media/image").content == media.png(9)


def test_a_present_medium_stays_until_the_new_one_has_come(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    fetching.client.post("/items/a/media/image", content=media.png(9))
    fetching.run_jobs()
    host.handler = answer(b"", "404 Not Found")
    want(fetching, "a", host.url())
    fetching.run_jobs()
    medium = media_of(fetching, "a")["image"]
    assert (medium["state"], medium["error"], medium["fetch"]["state"]) == ("encoded", None, "failed")
    assert fetching.client.get("/items/a/media/image").content == media.png(9)


def test_a_text_by_url_stands_above_the_fields(fetching: Service, host: Host) -> None:
    host.handler = answer("Wörter.".encode())
    put_item(fetching, "a", "Title")
    assert want(fetching, "a", host.url("/a.txt"), "text").status_code == 202
    fetching.run_jobs()
    assert fetching.client.get("/items/a/media/text").text == "Wörter."


def test_addresses_that_are_refused_at_once(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    for url in ("http://other.test/", "ftp://media.test/", "", "x" * 5_000, "http://media.test/\x00"):
        answer_ = want(fetching, "a", url)
        assert answer_.status_code in (413, 422), url
    assert want(fetching, "nobody", host.url()).status_code == 404
    assert want(fetching, "a", host.url(), "smell").status_code == 404
    wrong = fetching.client.post("/items/a/media/image", json={"text": "x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "url")
    assert fetching.run_jobs() != []
    assert host.requests == []


def test_without_named_hosts_it_is_off(light: Service) -> None:
    put_item(light, "a", "x")
    refused = want(light, "a", "https://media.test/a.png")
    assert refused.status_code == 422
    assert "CROSSAN_MEDIA_FETCH_HOSTS" in refused.json()["detail"]


def test_hosts_taken_from_the_list_later_are_not_asked(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())
    strict = dataclasses.replace(
        fetcher_of(fetching), downloader=Downloader(UrlPolicy(["x.test"]), Timeouts(1.0, 1.0), allowed=only_loopback)
    )
    fetching.more_work[JobKind.FETCH] = strict.run
    fetching.run_jobs()
    assert media_of(fetching, "a")["image"]["state"] == "failed"
    assert host.requests == []


def test_a_worker_that_shall_end_gives_back_what_it_has_begun(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())

    def handler(connection: Any, request: bytes) -> None:
        fetching.shutting_down.set()
        answer(media.png(1))(connection, request)

    host.handler = handler
    run = fetcher_of(fetching).run

    def run_then_live(job: JobRun) -> None:
        try:
            run(job)
        finally:
            fetching.more_work[JobKind.FETCH] = run_after
            host.handler = answer(media.png(1))

    def run_after(job: JobRun) -> None:
        fetching.shutting_down.clear()
        run(job)

    fetching.more_work[JobKind.FETCH] = run_then_live
    fetching.more_work[JobKind.ENCODE] = lambda job: fetching._finish(job, {})
    fetching.run_jobs()
    fetch = media_of(fetching, "a")["image"]["fetch"]
    assert (fetch["state"], fetch["attempts"]) == ("fetched", 1)
    assert len(host.requests) == 2


def test_what_a_dead_worker_had_claimed_is_found_by_the_sweep(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())
    with fetching.context.database.transaction() as transaction:
        transaction.session.execute(text("UPDATE media_fetches SET claimed_by = gen_random_uuid(), attempts = 1"))
        transaction.session.execute(text("UPDATE jobs SET state = 'failed', finished_at = now() WHERE kind = 'fetch'"))
        ensure_upkeep(transaction, fetching.context.queue, pause_s=0.0)
    fetching.run_jobs()
    assert (
        media_of(fetching, "a")["image"]["fetch"] | {"state": "fetched", "attempts": 2}
        == (media_of(fetching, "a")["image"]["fetch"])
    )


def test_an_address_that_kills_workers_is_given_up(fetching: Service, host: Host) -> None:
    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())
    with fetching.context.database.transaction() as transaction:
        transaction.session.execute(text(f"UPDATE media_fetches SET attempts = {MAX_ATTEMPTS}"))
    fetching.run_jobs()
    assert "died each time" in media_of(fetching, "a")["image"]["error"]
    assert host.requests == []


def test_other_projects_media_are_left_alone(fetching: Service, host: Host) -> None:
    other = fetching.project_client("other")
    other.put("/items/a", json={"title": "x"})
    put_item(fetching, "a", "x")
    assert want(fetching, "a", host.url()).status_code == 202
    fetching.run_jobs()
    assert "image" not in other.get("/items/a").json()["media"]
    stored = [path for path in Path(fetching.settings.data_dir / "blobs").rglob("*") if path.is_file()]
    assert {path.relative_to(fetching.settings.data_dir / "blobs").parts[0] for path in stored} <= {
        str(fetching.project), str(fetching.project + 1)
    }  # fmt: skip


def test_a_disk_that_is_full_is_not_the_addresss_fault(
    fetching: Service, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    put_item(fetching, "a", "x")
    want(fetching, "a", host.url())
    with monkeypatch.context() as broken:
        broken.setattr(MediaIntake, "accept", full)
        with pytest.raises(OSError, match="no space"):
            fetching.run_jobs()
    fetch = media_of(fetching, "a")["image"]["fetch"]
    assert (fetch["state"], fetch["attempts"]) == ("pending", 0)
    make_due(fetching)
    fetching.run_jobs()
    assert media_of(fetching, "a")["image"]["fetch"]["state"] == "fetched"
