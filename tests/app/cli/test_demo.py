import shlex
from pathlib import Path

import pytest

from app.cli import demo, progress
from app.cli.demo import prepare_demo
from crossan.client import AsyncClient, ClientError
from tests.app.cli.fake_service import KEY, URL, FakeService


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeService:
    monkeypatch.setattr(progress, "POLL_S", 0.0)
    monkeypatch.setattr(demo, "POLL_S", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return FakeService()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "demo folder"
    folder.mkdir()
    rows = "demo-1,Rain,\ndemo-2,Wind,wind.jpg\n"
    (folder / "items.csv").write_text(f"item_id,title,image\n{rows}")
    (folder / "wind.jpg").write_bytes(b"picture")
    (folder / "events.csv").write_text("user_id,item_id,timestamp\ndemo-u,demo-1,1\n")
    return folder


async def test_it_imports_waits_trains_and_shows_the_way_in(service: FakeService, folder: Path) -> None:
    service.pending = 3
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        result = await prepare_demo(client, folder)
    assert set(service.items) == {"demo-1", "demo-2"}
    assert len(service.events) == 1
    assert service.pending == 0
    assert service.live_model == "v1"
    assert result["sample"]["user_id"] == "demo-u"
    assert result["page"] == f"{URL}/ui/#key={KEY}&user=demo-u"
    first, upload, second = (shlex.split(command) for command in result["try"].values())
    assert f"Authorization: Bearer {KEY}" in first
    assert first[-1] == f"{URL}/recommend/demo-u?limit=5"
    assert f"image=@{folder / 'wind.jpg'}" in upload
    assert second.count("curl") == 2
    assert any('"item_id": "demo-1"' in word for word in second)


async def test_an_item_without_media_is_not_waited_for(service: FakeService, folder: Path) -> None:
    service.pending, service.pending_media = 1_000, 0
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        await prepare_demo(client, folder)
    assert service.pending > 0


async def test_a_second_start_does_nothing_again(service: FakeService, folder: Path) -> None:
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        await prepare_demo(client, folder)
        service.calls.clear()
        await prepare_demo(client, folder)
    assert {call.split("/")[1] for call in service.calls} == {"admin", "recommend"}
    assert not any(call.startswith("POST") for call in service.calls)


async def test_an_emptied_service_is_filled_again(service: FakeService, folder: Path) -> None:
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        await prepare_demo(client, folder)
        service.items.clear()
        await prepare_demo(client, folder)
    assert len(service.items) == 2


async def test_a_training_that_an_earlier_start_began_is_joined(service: FakeService, folder: Path) -> None:
    running = {"id": "t0", "state": "running", "hyperparameters": {}, "progress": None, "result": None, "error": None}
    service.trainings.append(running)
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        await prepare_demo(client, folder)
    assert len(service.trainings) == 1


async def test_a_failed_training_is_an_error(service: FakeService, folder: Path) -> None:
    failing = {
        "id": "t0",
        "state": "running",
        "hyperparameters": {"fail": 1},
        "progress": None,
        "result": None,
        "error": None,
    }
    service.trainings.append(failing)
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        with pytest.raises(ClientError, match="asked to"):
            await prepare_demo(client, folder)
