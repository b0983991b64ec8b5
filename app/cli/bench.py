"""`crossan bench`: how fast this machine is, as multiples of its own limits."""

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson
from crossan.client import ClientError


class Group(StrEnum):
    """What is measured together."""

    SERVE = "serve"
    TOPK = "topk"
    ENCODER = "encoder"
    ENCODE = "encode"
    INGEST = "ingest"
    TRAIN = "train"
    PEERS = "peers"
    FILTERS = "filters"
    SCALE = "scale"


def bench(
    group: Annotated[Group, typer.Argument(help="What to measure.")],
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter runs, less than 50 seconds.")] = False,
    runs: Annotated[int | None, typer.Option(min=3, help="Interleaved pairs of a figure and its floor.")] = None,
    encoders: Annotated[Path | None, typer.Option(help="Folder of encoders, for `encode`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a group of figures, each beside its floor in the same run."""
    # A process of its own: what measures is never part of what serves.
    command = [sys.executable, "-m", "bench", group.value]
    command += ["--quick"] * quick + ["--json"] * as_json
    command += [f"--runs={runs}"] * (runs is not None) + [f"--encoders={encoders}"] * (encoders is not None)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ClientError(f"{group.value} was not measured (exit code {code}).")
