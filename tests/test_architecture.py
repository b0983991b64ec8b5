"""What holds everywhere: who may import whom, and what every module looks like."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "worker", "model", "crossan")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = ("torch", "transformers", "onnxscript")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run_python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=ROOT,
        env={**os.environ, "CROSSAN_REDIS_URL": "redis://nowhere"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_import_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    found = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


FORBID = """
import importlib.abc, sys
class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise AssertionError(f"{name} is imported")
sys.meta_path.insert(0, Forbid())
import importlib
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize(
    "module",
    [
        "app.main",
        "app.cli.main",
        "app.context",
        "app.training.pipeline",
        "app.items.encoding",
        "app.models.vectors",
        "worker.tasks.estimates",
        "worker.tasks.maintenance",
        "worker.tasks.transfers",
        "app.transfers.exporting",
        "app.transfers.fetching",
        "app.transfers.importing",
        "model.config",
        "model.artifact",
        "model.runtime",
        "model.metrics",
        "model.evaluation",
        "model.options",
        "model.tuning_space",
        "model.encoders.spec",
        "model.encoders.decode",
        "model.encoders.offline",
    ],
)
def test_it_is_imported_without_torch(module: str) -> None:
    found = run_python(FORBID, module, ",".join(HEAVY))
    assert found.returncode == 0, found.stderr


def test_the_hook_would_notice() -> None:
    found = run_python(FORBID, "worker.trainer", ",".join(HEAVY))
    assert "torch is imported" in found.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_opens_with_one_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.partition("\n")[0].strip().endswith((".", ":", "?", "!"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_prints(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_only_the_session_commits() -> None:
    committing = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    }
    assert committing == {"app/db/session.py"}


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for package in (*PACKAGES, "tests") for path in (ROOT / package).rglob("*.py")}
    assert [name_of(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_there_is_no_place_for_odds_and_ends() -> None:
    assert [name_of(path) for path in MODULES if path.stem in ("utils", "helpers", "common", "misc")] == []
