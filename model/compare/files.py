"""Documents of a comparison on disk: written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

JOB, RESULT, ERROR, PROGRESS = "job.json", "result.json", "error.json", "progress.json"
"""In the folder of a job: what is asked, what came out, what went wrong, and how far it is."""


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a document so that no reader, and no later run, ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}-{os.getpid()}")
    scratch.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    scratch.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns a document, or None where there is none that can be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def digest_of(document: Mapping[str, Any]) -> str:
    """Returns the sha256 (hex) of a document, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
