import json
import socket
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import main as main_module
from app.cli import options, progress
from app.cli.launch import api_children, child_environment, other_children
from app.cli.listening import bind, bind_shared
from app.cli.main import app, main
from app.cli.train import parse_settings
from app.core.config import Settings
from app.embedded.services import Endpoints
from crossan.client import AsyncClient, ClientError
from tests.app.cli.fake_service import KEY, URL, FakeService

runner = CliRunner()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeService:
    """A fake service, whose address and key lie in the data folder as `crossan up` leaves them."""
    fake = FakeService()
    monkeypatch.setattr(options, "AsyncClient", partial(AsyncClient, transport=fake.transport()))
    monkeypatch.setattr(progress, "POLL_S", 0.0)
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSAN_URL", raising=False)
    monkeypatch.delenv("CROSSAN_API_KEY", raising=False)
    (tmp_path / options.KEY_FILE).write_text(f"{KEY}\n")
    (tmp_path / options.ADDRESS_FILE).write_text(f"{URL}\n")
    return fake


def run_json(*arguments: str, code: int = 0) -> dict[str, object]:
    """Run with --json: stdout is that document and nothing else."""
    result = runner.invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    document: dict[str, object] = json.loads(result.stdout)
    return document


def run_text(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def test_recommend(service: FakeService) -> None:
    assert run_json("recommend", "a/b")["user_id"] == "a/b"
    assert "image 75% text 25%" in run_text("recommend", "u1")
    assert service.calls["GET /recommend/a/b"] == 1


def test_training_returns_at_once_without_wait(service: FakeService) -> None:
    assert run_json("train")["state"] == "queued"
    assert "queued" in run_text("train")


def test_training_with_wait_shows_the_result_beside_the_baselines(service: FakeService) -> None:
    shown = run_text("train", "--wait", "--set", "epochs=2", "--set", "fusion=momef", "--promote", "always")
    assert "v1 is live" in shown
    assert "popular (test)" in shown
    order = service.trainings[0]
    assert order["hyperparameters"] == {"epochs": 2, "fusion": "momef"}
    assert order["promote"] == "always"


def test_a_failed_training_is_exit_code_one(service: FakeService) -> None:
    assert run_json("train", "--wait", "--set", "fail=true", code=1)["error"] == "asked to"
    assert "failed: asked to" in run_text("train", "--wait", "--set", "fail=true", code=1)


def test_settings_are_json_or_text() -> None:
    assert parse_settings(["lr=1e-3", "name=a=b", "layers=[1,3]"]) == {"lr": 0.001, "name": "a=b", "layers": [1, 3]}
    with pytest.raises(ClientError, match="KEY=VALUE"):
        parse_settings(["lr"])


def test_keys(service: FakeService) -> None:
    made = run_json("keys", "create", "--name", "shop", "--scopes", "recommend, ingest")
    assert made["scopes"] == ["recommend", "ingest"]
    assert run_text("keys", "create", "--name", "shop").strip() == "crs_new"
    with pytest.raises(ClientError, match="recommend, ingest, admin"):
        run_text("keys", "create", "--name", "shop", "--scopes", "zoo")
    assert "crs_new…" in run_text("keys", "list")
    assert run_json("keys", "revoke", "7") == {"id": 7, "revoked": True}


def test_status(service: FakeService) -> None:
    service.live_model = "v1"
    assert run_json("status")["ready"] is True
    shown = run_text("status")
    assert "live model v1" in shown
    assert "events 0 of 4 users" in shown


def test_import_exits_with_one_when_something_failed(service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,image\na,Apple,none.jpg\n")
    report = run_json("import", str(tmp_path), code=1)
    assert (report["items_sent"], report["failed"]) == (1, 1)
    assert "1 sent with 0 media" not in run_text("import", str(tmp_path), code=1)


def test_errors_are_one_line_or_one_document(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["crossan", "keys", "revoke", "8"])
    with pytest.raises(SystemExit, match="1"):
        main()
    out, err = capsys.readouterr()
    assert out == ""
    assert "404 Key not found" in err
    monkeypatch.setattr("sys.argv", ["crossan", "keys", "revoke", "8", "--json"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert json.loads(capsys.readouterr().out)["error"]["status"] == 404


def test_a_bug_keeps_its_traceback(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(main_module, "app", break_)
    with pytest.raises(RuntimeError, match="a bug"):
        main()


def test_without_a_key_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("CROSSAN_API_KEY", raising=False)
    with pytest.raises(ClientError, match=r"crossan keys create --project default"):
        options.connect(None, None)


def test_a_given_address_and_key_win(service: FakeService) -> None:
    client = options.connect("http://other:1/", "k")
    assert (client.url, client.key) == ("http://other:1", "k")


def test_a_taken_port_is_told_before_anything_starts() -> None:
    first = bind("127.0.0.1", 0)
    port = first.listener.getsockname()[1]
    with pytest.raises(ClientError, match=f"Port {port} of 127.0.0.1"):
        bind("127.0.0.1", port)
    first.listener.close()


def test_an_address_for_every_interface_is_shown_as_a_local_one() -> None:
    address = bind("0.0.0.0", 0)
    assert address.url == f"http://127.0.0.1:{address.listener.getsockname()[1]}"
    address.listener.close()


@pytest.mark.parametrize("processes", [1, 3])
def test_no_other_service_is_at_the_address(processes: int) -> None:
    address = bind("127.0.0.1", 0, processes=processes)
    port = address.listener.getsockname()[1]
    with bind_shared("127.0.0.1", port) if processes > 1 else address.listener as listener:
        listener.listen()
        with pytest.raises(ClientError, match="can't be used"):
            bind("127.0.0.1", port, processes=processes)
    address.listener.close()


def test_one_api_process_inherits_the_socket_that_listens(tmp_path: Path) -> None:
    address = bind("127.0.0.1", 0)
    with api_children(Settings(data_dir=tmp_path), {"A": "b"}, address) as (api,):
        assert (api.name, api.pass_fds, api.environment) == ("api", (address.listener.fileno(),), {"A": "b"})
    with socket.create_connection(address.listener.getsockname()):
        pass
    address.listener.close()


def test_several_api_processes_have_a_socket_each_and_count_into_one_folder(tmp_path: Path) -> None:
    address = bind("127.0.0.1", 0, processes=2)
    port = address.listener.getsockname()[1]
    with api_children(Settings(data_dir=tmp_path, api_processes=2), {"A": "b"}, address) as specs:
        assert [spec.name for spec in specs] == ["api-1", "api-2"]
        assert {spec.arguments[-1] for spec in specs} == {f"127.0.0.1:{port}"}
        (folder,) = {spec.environment["PROMETHEUS_MULTIPROC_DIR"] for spec in specs}
        assert Path(folder).is_dir()
    assert not Path(folder).exists()
    # Whoever is late to listen gets nothing meanwhile: the socket that holds the port takes no connections.
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
    address.listener.close()


def test_the_workers_split_the_queues(tmp_path: Path) -> None:
    endpoints = Endpoints("postgresql://d", "redis://r")
    specs = {spec.name: spec for spec in other_children(child_environment(Settings(data_dir=tmp_path), endpoints))}
    assert list(specs) == ["worker-encode", "worker-train", "worker-transfer", "worker-sweep", "beat"]
    arguments = specs["worker-encode"].arguments
    assert arguments[arguments.index("-Q") + 1] == "encode,index,query"
    assert specs["beat"].environment["CROSSAN_DATABASE_URL"] == "postgresql://d"


def test_help_names_every_command() -> None:
    shown = runner.invoke(main_module.app, ["--help"]).output
    for name in ("up", "serve", "import", "train", "tune", "compare", "recommend", "keys", "status", "migrate"):
        assert name in shown
