"""The newest result of every figure: `bench/results/latest.json`, {name: {ratio, spread, floor, runs}}."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.measuring import Figure

RESULTS = Path(__file__).parent / "results"
LATEST = RESULTS / "latest.json"
DIGITS = 4
"""Significant ones: more would be noise."""


def read(path: Path = LATEST) -> dict[str, Figure]:
    """What has been measured so far, by name."""
    return {name: Figure(**entry) for name, entry in read_json(path).items()}


def read_json(path: Path) -> dict[str, Any]:
    """What a file of results holds; nothing if there is none yet."""
    return json.loads(path.read_text()) if path.is_file() else {}


def merge(found: Mapping[str, Figure], path: Path = LATEST) -> None:
    """Write new figures; those that were not measured keep their old entries."""
    write_json({name: entry(figure) for name, figure in sorted({**read(path), **found}.items())}, path)


def entry(figure: Figure) -> dict[str, float]:
    """A figure as the file has it."""
    return {name: rounded(value) for name, value in asdict(figure).items()}


def rounded(value: float) -> float:
    """The number with as many digits as mean something."""
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
