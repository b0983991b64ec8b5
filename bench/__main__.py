"""Measures groups of figures and keeps the results: `python -m bench [GROUP …]`; `python -m bench table` shows them."""

import argparse
import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import latest, table
from bench.measuring import RUNS, Figure, Options, Skipped
from bench.scale.document import write_document
from bench.targets import TARGETS

ALL = ("serve", "topk", "encoder", "encode", "ingest", "train", "peers", "filters")
"""What is measured when no group is named."""
GROUPS = (*ALL, "scale")
TABLE = "table"
ENCODERS, MEDIA = "CROSSAN_BENCH_ENCODERS", "CROSSAN_BENCH_MEDIA"
log = logging.getLogger("bench")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments ask for; 1 if a group failed."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    if chosen.groups == [TABLE]:
        table.write(latest.read())
        write_document()
        return 0
    if len(chosen.groups) == 1:
        return _measure(chosen.groups[0], _options(chosen), as_json=chosen.json)
    return _measure_each(chosen.groups or ALL, sys.argv[1:] if arguments is None else arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: a group in under 50 seconds")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--runs", type=int, default=RUNS, help="interleaved pairs of a figure and its floor")
    parser.add_argument("--only", default="", help="figures, with commas between them")
    parser.add_argument("--by-cpu", action="store_true", help="compare by processor time; nothing is kept")
    parser.add_argument("--profile", action="store_true", help="also say where the server's time goes")
    parser.add_argument("--cache-dir", type=Path, default=Options().cache_dir, help="keeps what is slow to make")
    encoders = os.environ.get(ENCODERS)
    parser.add_argument(
        "--encoders", type=Path, default=encoders and Path(encoders), help=f"folder of encoders, else {ENCODERS}"
    )
    media = os.environ.get(MEDIA)
    parser.add_argument("--media", type=Path, default=media and Path(media), help=f"folder of media, else {MEDIA}")
    return parser


def _options(chosen: argparse.Namespace) -> Options:
    return Options(
        quick=chosen.quick,
        runs=chosen.runs,
        only=frozenset(name for name in chosen.only.split(",") if name),
        by_cpu=chosen.by_cpu,
        profile=chosen.profile,
        cache_dir=chosen.cache_dir,
        encoders=chosen.encoders,
        media=chosen.media,
    )


def _measure(group: str, options: Options, *, as_json: bool) -> int:
    """Measure one group in this process; what was found before it failed or was skipped is kept."""
    found: dict[str, Figure] = {}
    try:
        for name, figure in _figures(group, options):
            found[name] = figure
            log.info("%s: %s", name, _line(name, figure))
    except Skipped as missing:
        log.warning("%s skipped: %s", group, missing)
    finally:
        if found and not options.by_cpu:
            latest.merge(found)
    if as_json:
        sys.stdout.write(json.dumps({name: latest.entry(figure) for name, figure in found.items()}) + "\n")
    return 0


def _figures(group: str, options: Options) -> Iterator[tuple[str, Figure]]:
    module = importlib.import_module(f"bench.{group}")
    figures: Iterator[tuple[str, Figure]] = module.measure(options)
    return figures


def _line(name: str, figure: Figure) -> str:
    target = TARGETS.get(name)
    shown = f"{figure.ratio:.3f} x {target.floor if target else 'its floor'} (± {figure.spread:.3f})"
    met = target.is_met(figure) if target else None
    if target is None or met is None:
        return shown
    return f"{shown}, {'reaches' if met else 'misses'} {target.direction} {target.target}"


def _measure_each(groups: Sequence[str], arguments: Sequence[str]) -> int:
    """Each group in a process of its own: no group sees another's threads and memory."""
    flags = [argument for argument in arguments if argument not in GROUPS]
    codes = [subprocess.run([sys.executable, "-m", "bench", group, *flags], check=False).returncode for group in groups]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
