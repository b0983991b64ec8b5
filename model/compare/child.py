"""What every process of a comparison does around its work: reads its job, leaves a result or an error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.compare.files import ERROR, JOB, PROGRESS, RESULT, read_json, write_json

Report = Callable[[dict[str, Any]], None]
"""Told how far the work is."""
Work = Callable[[dict[str, Any], Report], dict[str, Any]]
"""Does a job, and returns its result."""


def main(work: Work) -> int:
    """Does the job in the folder that the command line names; the exit code is 0 when there is a result."""
    return run_job(Path(sys.argv[1]), work)


def run_job(folder: Path, work: Work) -> int:
    """Does the job in a folder; returns 0 when it left a result, 1 when it left an error."""
    job = read_json(folder / JOB)
    if job is None:
        sys.stderr.write(f"there is no job in {folder}\n")
        return 1
    (folder / ERROR).unlink(missing_ok=True)
    try:
        result = work(job, lambda progress: write_json(folder / PROGRESS, progress))
    # The outermost frame of the process: whatever went wrong is written down, and the other jobs go on.
    except Exception as error:
        traceback.print_exc()
        name = "" if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: "
        write_json(folder / ERROR, {"error": f"{name}{error}"})
        return 1
    write_json(folder / RESULT, result)
    return 0
