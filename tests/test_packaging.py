"""What is shipped: the API without torch, the images, the compose file, and documentation that stays true."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.cli.launch import create_key
from app.core.config import Settings
from app.db.migrate import upgrade
from app.embedded.services import bundled_services

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "onnxscript")

_GUARDED_SERVER = f"""
import sys
import tempfile
from importlib.abc import MetaPathFinder

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise AssertionError(f"the API imported {{name}}")
        return None

sys.meta_path.insert(0, Refuse())
from uvicorn.main import main
sys.argv = ["uvicorn", "app.main:create_app", "--factory", "--fd", sys.argv[1]]
main()
"""


def _index_is_reachable() -> bool:
    asked = [sys.executable, "-m", "pip", "index", "versions", "hatchling"]
    return subprocess.run(asked, capture_output=True, check=False, timeout=120).returncode == 0


@pytest.fixture(scope="module")
def api_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with `pip install .[api]` and nothing else."""
    if os.environ.get("CI") != "true" and not _index_is_reachable():
        pytest.skip("no package index can be reached")
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "data", "dist", "tests", "__pycache__"))
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "-c", "constraints.txt", ".[api]"]
    done = subprocess.run(install, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return python


@contextmanager
def _serving(python: Path, settings: Settings, folder: Path) -> Iterator[httpx.Client]:
    """The API under the import guard, on a free port."""
    from app.cli.listening import bind

    address = bind("127.0.0.1", 0)
    fd = address.listener.fileno()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSAN_", "PYTHON"))}
    environment |= {"CROSSAN_DATA_DIR": str(settings.data_dir)}
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-c", _GUARDED_SERVER, str(fd)],
            cwd=folder,
            env=environment,
            pass_fds=(fd,),
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=address.url, timeout=30.0) as client:
            yield client
    finally:
        process.terminate()
        process.wait(15)
        address.listener.close()


@pytest.mark.e2e
def test_the_api_installs_without_torch(api_python: Path) -> None:
    code = f"from importlib.util import find_spec; print([name for name in {HEAVY!r} if find_spec(name)])"
    assert subprocess.check_output([api_python, "-c", code], text=True, cwd="/").strip() == "[]"
    location = "import app, migrations; print(app.__file__, migrations.__file__)"
    assert str(ROOT) not in subprocess.check_output([api_python, "-c", location], text=True, cwd="/")


@pytest.mark.e2e
def test_the_api_answers_without_torch(api_python: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="crossan-tests-") as data, bundled_services(Path(data), durable=False):
        settings = Settings(data_dir=Path(data), database_url=None, redis_url=None, broker_url=None)
        upgrade(settings.database)
        key = create_key(settings, project="packaged", name="proof", scopes=["recommend", "ingest"])["key"]
        with _serving(api_python, settings, tmp_path) as client:
            until = time.monotonic() + 30
            answer = None
            while answer is None and time.monotonic() < until:
                with suppress(httpx.ReadError):
                    answer = client.get("/recommend/somebody", headers={"Authorization": f"Bearer {key}"})
            assert answer is not None
            assert answer.status_code == 200, (tmp_path / "api.log").read_text()
            assert answer.json()["items"] == []
            assert client.get("/recommend/somebody").status_code == 401
    assert "the API imported" not in (tmp_path / "api.log").read_text()


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def _stages() -> dict[str, str]:
    """The body of each stage of the Dockerfile, by name."""
    parts = re.split(r"^FROM .+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_compose_has_every_part_with_a_health_check() -> None:
    services = _compose()["services"]
    assert set(services) == {
        "postgres",
        "valkey",
        "migrate",
        "api",
        "worker-encode",
        "worker-train",
        "worker-transfer",
        "worker-sweep",
        "beat",
    }
    for name in ("postgres", "valkey", "api"):
        assert services[name]["healthcheck"]["test"], name
    stages = _stages()
    for name in ("api", "worker-encode", "worker-train", "worker-transfer", "worker-sweep", "beat"):
        waits = services[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert {waits["postgres"]["condition"], waits["valkey"]["condition"]} == {"service_healthy"}
        assert "/data" in services[name]["volumes"][0]
    built = {service["build"]["target"] for service in services.values() if "build" in service}
    assert built == {"api", "worker"}
    assert all("HEALTHCHECK" in stages[target] for target in built)


def test_compose_names_only_settings_that_exist_and_no_secret() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    known = {f"CROSSAN_{name.upper()}" for name in Settings.model_fields} | {"CROSSAN_BIND"}
    assert set(re.findall(r"CROSSAN_[A-Z_]+", text)) <= known
    assert not re.search(r"PASSWORD[:=] *[\w']+$", text, flags=re.MULTILINE)


def test_workers_of_the_images_and_of_the_supervisor_take_every_queue() -> None:
    from app.core.jobs import Queue

    commands = [" ".join(service["command"]) for service in _compose()["services"].values() if "command" in service]
    taken = {
        queue for command in commands for queues in re.findall(r"-Q (\S+)", command) for queue in queues.split(",")
    }
    assert taken == {queue.value for queue in Queue}


def test_the_images_run_as_nobody_in_particular_and_the_api_image_has_no_torch() -> None:
    stages = _stages()
    assert set(stages) == {"base", "api", "worker"}
    for target in ("api", "worker"):
        assert "USER 10001" in stages[target]
        assert "-c constraints.txt" in stages[target]
        # The dependencies' layer comes before the code's.
        assert stages[target].index("pip install -c") < stages[target].index("COPY . .")
    assert "worker]" not in stages["api"]
    assert "torch" not in stages["api"].lower()


def test_hadolint_finds_nothing_serious() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    subprocess.run([hadolint, "--failure-threshold", "warning", "--ignore", "DL3042", ROOT / "Dockerfile"], check=True)


def test_compose_file_is_accepted_by_docker() -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode
    ):
        pytest.skip("the docker compose plugin is not installed")
    secrets = {"POSTGRES_PASSWORD": "a", "VALKEY_PASSWORD": "b"}
    subprocess.run(["docker", "compose", "config", "-q"], cwd=ROOT, check=True, env={**os.environ, **secrets})


def test_every_dependency_is_constrained_and_torch_names_no_build() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {name: wanted for name, wanted in project["optional-dependencies"].items() if name not in ("gpu", "s3")}
    wanted = [*project["dependencies"], *(requirement for group in groups.values() for requirement in group)]
    names = {re.split(r"[\[<>=! ]", requirement)[0].lower() for requirement in wanted} - {"crossan"}
    assert names - pinned == set()


def _rows(table: str) -> dict[str, tuple[str, str]]:
    """Default and meaning of each variable of the documented table."""
    rows = re.findall(r"^\| `(CROSSAN_\w+)` \| (.*?) ?\| (.*?) ?\|$", table, flags=re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in rows}


def _defaults() -> dict[str, str]:
    """What the table has to say, in its order; the limits of media are one variable each."""
    defaults = {}
    for name, field in Settings.model_fields.items():
        if name == "media":
            defaults |= {f"CROSSAN_MEDIA__{n.upper()}": f"`{v}`" for n, v in asdict(field.default).items()}
        else:
            defaults[f"CROSSAN_{name.upper()}"] = "" if field.default is None else f"`{field.default}`"
    return defaults


def _write_table() -> None:
    """Bring the defaults up to date and keep the meanings."""
    page = ROOT / "docs" / "deploy.md"
    before, table, after = re.split(r"(?<=<!-- settings -->\n)|(?=<!-- /settings -->)", page.read_text())
    meanings = {name: meaning for name, (_, meaning) in _rows(table).items()}
    rows = [f"| `{name}` | {default} | {meanings.get(name, '')} |" for name, default in _defaults().items()]
    page.write_text("\n".join([f"{before}| variable | default | meaning |", "|---|---|---|", *rows, after]))


def test_the_documented_settings_are_the_real_ones() -> None:
    documented = _rows((ROOT / "docs" / "deploy.md").read_text())
    assert {name: default for name, (default, _) in documented.items()} == _defaults(), "python -m tests.test_packaging"
    assert [name for name, (_, meaning) in documented.items() if not meaning] == []


def test_the_example_of_encoders_in_the_documentation_is_valid() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()
    (example,) = re.findall(r"CROSSAN_ENCODERS='(\[.*?\])'", text, flags=re.DOTALL)
    settings = Settings(encoders=json.loads(example))
    assert settings.modalities == ("text", "image")


if __name__ == "__main__":
    _write_table()
