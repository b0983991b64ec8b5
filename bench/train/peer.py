"""Runs epochs of RecTools' SASRec in its own environment."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np

from bench.measuring import Skipped
from model.data.dataset import Interactions

CHILD = Path(__file__).with_name("rectools_child.py")
PATIENCE_S = 300
SHOWN = 400


def write_log(events: Interactions, path: Path) -> Path:
    """Write users and items in the order of the events; returns the path."""
    np.savez(path, users=events.users, items=events.items)
    return path


def epoch_s(python: Path, log_file: Path) -> float:
    """Return the seconds of an epoch on one thread, the first one not counted.

    Raises:
        Skipped: It does not run here.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(python), str(CHILD), str(log_file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env=environment,
    )
    if done.returncode:
        raise Skipped(f"RecTools does not train here: {done.stderr.strip()[-SHOWN:]}")
    seconds: float = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return seconds
